// A device named "pretend" that computes on the CPU, so that what is meant for a GPU runs where there
// is none. Its tensors are not those of the CPU, its backward passes run in a thread of their own, it
// counts the kernels that a GPU would have been given, and it can refuse whatever the host would have
// to wait for.

#include <ATen/EmptyTensor.h>
#include <ATen/Functions.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <set>

namespace {

using at::Tensor;

const c10::Device here(c10::DeviceType::PrivateUse1, 0);

std::atomic<bool> strict{false};
std::atomic<int64_t> launches{0};
std::atomic<size_t> memory_now{0};
std::atomic<size_t> memory_peak{0};
thread_local int inside = 0;  // an operation that the CPU carries out

const std::set<std::string> waiting = {"aten::_unique2", "aten::bincount",  "aten::equal",
                                       "aten::histc",    "aten::is_nonzero", "aten::masked_select",
                                       "aten::nonzero",  "aten::unique_dim"};

void wait_for(const std::string& what) {
  TORCH_CHECK(inside || !strict, "the host would wait for the device in ", what);
}

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return here.type(); }
  c10::Device exchangeDevice(c10::Device) const override { return here; }
  c10::Device getDevice() const override { return here; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, here); }
  c10::Stream getNewStream(c10::Device, int) const override { return c10::Stream(c10::Stream::DEFAULT, here); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** event, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag)
      const override { *event = &launches; }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override { wait_for("synchronize"); }
  void synchronizeDevice(const c10::DeviceIndex) const override { wait_for("synchronize"); }
  void synchronizeEvent(void*) const override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    if (!bytes) return {nullptr, nullptr, &release, here};
    auto* block = static_cast<size_t*>(std::malloc(bytes + 64));
    *block = bytes;
    memory_now += bytes;
    if (memory_now > memory_peak) memory_peak = memory_now.load();
    return {block + 8, block, &release, here};
  }
  static void release(void* block) {
    if (!block) return;
    memory_now -= *static_cast<size_t*>(block);
    std::free(block);
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};
Memory memory;
REGISTER_ALLOCATOR(c10::DeviceType::PrivateUse1, &memory);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  bool isPinnedPtr(const void*) const override { return false; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetAllocator(c10::kCPU); }
};

const bool registered = [] {
  at::RegisterPrivateUse1HooksInterface(new Hooks());
  return true;
}();

Tensor empty(c10::IntArrayRef size, std::optional<c10::ScalarType> dtype,
             std::optional<c10::Layout>, std::optional<c10::Device>, std::optional<bool>,
             std::optional<c10::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(dtype), format);
}

Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride,
                     std::optional<c10::ScalarType> dtype, std::optional<c10::Layout>,
                     std::optional<c10::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory,
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(dtype));
}

Tensor on_host(const Tensor& tensor) {
  if (tensor.is_cpu()) return tensor;
  auto plain = at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(),
                             tensor.options().device(c10::kCPU));
  if (tensor.is_neg()) plain._set_neg(true);
  if (tensor.is_conj()) plain._set_conj(true);
  return plain;
}

struct Inside {
  Inside() { inside++; }
  ~Inside() { inside--; }
};

Tensor copy_from(const Tensor& self, const Tensor& to, bool non_blocking) {
  if ((self.is_cpu() || to.is_cpu()) && !non_blocking) wait_for("a copy");
  launches += !inside;
  auto target = on_host(to);
  target.copy_(on_host(self));
  return to;
}

Tensor copy_from_and_resize(const Tensor& self, const Tensor& to) {
  if (to.sizes() != self.sizes()) to.resize_(self.sizes());
  return copy_from(self, to, false);
}

at::Scalar scalar(const Tensor& self) {
  wait_for("item");
  return on_host(self).item();
}

const Tensor& resize(const Tensor& self, c10::IntArrayRef size,
                     std::optional<c10::MemoryFormat>) {
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(size);
  size_t bytes = self.numel() * self.element_size();
  auto& storage = impl->unsafe_storage();
  if (storage.nbytes() < bytes) {
    auto fresh = memory.allocate(bytes);
    std::memcpy(fresh.get(), storage.data(), storage.nbytes());
    storage.set_data_ptr_noswap(std::move(fresh));
    storage.set_nbytes(bytes);
  }
  return self;
}

Tensor& set_storage(Tensor& self, c10::Storage source, c10::SymInt offset, c10::SymIntArrayRef size,
                    c10::SymIntArrayRef stride) {
  return at::native::set_storage_cpu_(self, source, offset.expect_int(),
                                      C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& name = op.schema().name();
  if (waiting.count(name)) wait_for(name);
  launches += !inside;
  Inside now;
  at::native::cpu_fallback(op, stack, /*error_on_views=*/true);
}

Tensor convolution(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias,
                   c10::IntArrayRef stride, c10::IntArrayRef padding, c10::IntArrayRef dilation,
                   bool transposed, c10::IntArrayRef output_padding, int64_t groups) {
  launches++;
  Inside now;
  auto given = bias.has_value() && bias->defined() ? std::make_optional(on_host(*bias)) : std::nullopt;
  return at::convolution(on_host(x), on_host(weight), given, stride, padding, dilation, transposed,
                         output_padding, groups).to(here);
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(
    const Tensor& gradient, const Tensor& x, const Tensor& weight, c10::IntArrayRef stride,
    c10::IntArrayRef padding, c10::IntArrayRef dilation, bool transposed,
    c10::IntArrayRef output_padding, int64_t groups, std::array<bool, 3> wanted) {
  launches++;
  Inside now;
  auto [a, b, c] = at::convolution_backward(
      on_host(gradient), on_host(x), on_host(weight), at::IntArrayRef({weight.size(0)}), stride,
      padding, dilation, transposed, output_padding, groups, wanted);
  auto back = [](const Tensor& found) { return found.defined() ? found.to(here) : found; };
  return {back(a), back(b), back(c)};
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("_local_scalar_dense", &scalar);
  m.impl("resize_", &resize);
  m.impl("view", &at::native::view);
  m.impl("alias", &at::native::alias);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
  m.impl("convolution_overrideable", &convolution);
  m.impl("convolution_backward_overrideable", &convolution_backward);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("unfold", &at::native::unfold);
  m.impl("set_.source_Storage_storage_offset", &set_storage);
}

TORCH_LIBRARY(pretend, m) {
  m.def("refuse_waiting", [](bool refuse) { strict = refuse; });
  m.def("launches", []() -> int64_t { return launches; });
  m.def("memory_peak", []() -> int64_t { return memory_peak; });
  m.def("memory_forget_peak", []() { memory_peak = memory_now.load(); });
}

}  // namespace
