# cython: language_level=3, auto_pickle=False
"""Read tensors where they lie in the memory of the host.

One question tells where that is: here a question takes no more time than its answer.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc

import torch

cdef extern from "exchange.h":
    ctypedef struct dl_device:
        int32_t type

    ctypedef struct dl_element:
        uint8_t code, bits

    ctypedef struct dl_version:
        uint32_t major

    ctypedef struct dl_tensor:
        void *data
        dl_device device
        int32_t dimensions
        dl_element element
        int64_t *shape
        int64_t *strides

    ctypedef struct dl_exchange:
        dl_version version
        int (*look)(void *object, dl_tensor *found) except -1

    const int DL_CPU, DL_FLOAT, DL_BFLOAT

cdef object Tensor = torch.Tensor
cdef object Parameter = torch.nn.Parameter


cdef dl_exchange *exchange_of(object kind) except NULL:
    """Return the C interface of a class of tensors; raise ImportError where it has none."""
    cdef dl_exchange *found
    capsule = getattr(kind, "__dlpack_c_exchange_api__", None)
    if PyCapsule_IsValid(capsule, "dlpack_exchange_api"):
        found = <dl_exchange *>PyCapsule_GetPointer(capsule, "dlpack_exchange_api")
        if found.version.major == 1 and found.look is not NULL:
            return found
    raise ImportError(f"PyTorch {torch.__version__} does not tell in C where its tensors are")


cdef dl_exchange *EXCHANGE = exchange_of(Tensor)

cdef size_t LONG = 2**18
"""Elements from which on other threads may run while they are read."""


cdef bint locate(object tensor, Elements *found) except -1:
    """Find elements that lie in the memory of the host without gaps, and as they are.

    False of all other tensors, which have to be read in another way: see `elements.is_ordinary`
    and `elements.is_there`.
    """
    cdef dl_tensor seen
    cdef size_t end
    if not (type(tensor) is Tensor or type(tensor) is Parameter):
        return False
    try:
        EXCHANGE.look(<void *>tensor, &seen)
    except (BufferError, RuntimeError):  # of a layout or a type of its own, or inside a transform
        return False
    if seen.device.type != DL_CPU or tensor.is_neg():
        return False
    if seen.element.code == DL_FLOAT and seen.element.bits == 32:
        found.type = &F32
    elif seen.element.code == DL_FLOAT and seen.element.bits == 64:
        found.type = &F64
    elif seen.element.code == DL_BFLOAT:
        found.type = &BF16
    else:
        return False
    found.memory = seen.data
    if not _is_dense(&seen, found):
        return False
    if not found.size:
        return True
    if not found.memory:
        return False
    end = <size_t>tensor.storage_offset() + found.size
    return end * found.type.bytes <= <size_t>tensor.untyped_storage().nbytes()


cdef bint _is_dense(const dl_tensor *tensor, Elements *found) noexcept:
    """Tell whether elements fill their memory, in whatever order; note their number and order."""
    cdef int axis, last = tensor.dimensions - 1, left = 0
    cdef int64_t size = 1
    found.size = found.order = 0
    for axis in range(tensor.dimensions):
        if not tensor.shape[axis]:
            return True
        left += tensor.shape[axis] != 1
    while left:
        for axis in range(last, -1, -1):
            if tensor.shape[axis] != 1 and tensor.strides[axis] == size:
                break
        else:
            return False
        size *= tensor.shape[axis]
        found.order = found.order << 6 | axis
        left -= 1
    found.size = size
    return True


cdef int measure(const Elements *elements, double low, double high, moments *found) except -1:
    """Measure elements; where `low` < `high`, those outside of that range are saturated."""
    if elements.size < LONG:
        _measure(elements, low, high, found)
    else:
        with nogil:
            _measure(elements, low, high, found)
    return 0


cdef int measure_sums(const Elements *elements, moments *found) except -1:
    """Measure of elements the sums alone, and how many are not finite."""
    if elements.size < LONG:
        elements.type.measure_sums(elements.memory, elements.size, found)
    else:
        with nogil:
            elements.type.measure_sums(elements.memory, elements.size, found)
    return 0


cdef void _measure(const Elements *of, double low, double high, moments *found) noexcept nogil:
    of.type.measure(of.memory, of.size, found)
    if low < high:
        found.saturated = of.type.count_outside(of.memory, of.size, low, high)


cdef int measure_move(
    const Elements *now, const Elements *before, moments *value, moments *move
) except -1:
    """Measure elements, and what was added to those that were there `before`, of the same type."""
    if now.size < LONG:
        now.type.measure_move(now.memory, before.memory, now.size, value, move)
    else:
        with nogil:
            now.type.measure_move(now.memory, before.memory, now.size, value, move)
    return 0


cdef tuple as_row(const moments *found):
    return (
        found.count, found.sum, found.sum_of_squares, found.lowest, found.highest,
        found.zeros, found.nonfinite, found.saturated, found.nan,
    )


def moments_of(tensor, *, double low=0, double high=0):
    cdef Elements elements
    cdef moments found
    if not locate(tensor, &elements):
        return None
    measure(&elements, low, high, &found)
    return as_row(&found)


cdef class Sheet:
    def __init__(self, *, bint sums_only=False):
        self.sums_only = sums_only

    def __dealloc__(self):
        free(self.rows)
        free(self.slots)

    cdef moments *add(self, int slot) except NULL:
        """Return room for a row in `slot`."""
        cdef Py_ssize_t room = 2 * self.length + 16
        if self.length == self.room:
            rows = <moments *>realloc(self.rows, room * sizeof(moments))
            if not rows:
                raise MemoryError
            self.rows = rows
            slots = <int *>realloc(self.slots, room * sizeof(int))
            if not slots:
                raise MemoryError
            self.slots, self.room = slots, room
        self.slots[self.length] = slot
        self.length += 1
        return &self.rows[self.length - 1]

    cpdef bint note(self, int slot, object tensor, double low=0, double high=0) except -1:
        cdef Elements elements
        cdef moments found
        cdef moments *row
        if tensor is self.seen and not low < high and tensor._version == self.version:
            row = self.add(slot)
            row[0] = self.rows[self.place]
            row.saturated = NAN
            return True
        if not locate(tensor, &elements):
            return False
        if self.sums_only:
            measure_sums(&elements, &found)
        else:
            measure(&elements, low, high, &found)
        self.add(slot)[0] = found  # another thread may have made room meanwhile
        try:
            self.version = tensor._version
        except RuntimeError:  # made in inference mode, which counts none
            self.seen = None
        else:
            self.seen, self.place = tensor, self.length - 1
        return True

    cpdef tuple turn(self):
        slots = (<char *>self.slots)[:self.length * sizeof(int)]
        rows = (<char *>self.rows)[:self.length * sizeof(moments)]
        self.length = 0
        self.seen = None
        return slots, rows

    cpdef object rest(self):
        self.seen = None
