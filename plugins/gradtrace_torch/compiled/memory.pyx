# cython: language_level=3, auto_pickle=False
"""Read tensors where they lie in the memory of the host.

A tensor takes ten questions before its memory may be read, and three tensors are read in each call
of a module: here a question takes no more time than its answer.
"""

from libc.math cimport NAN
from libc.stdlib cimport free, realloc

import torch

cdef object Tensor = torch.Tensor
cdef object Parameter = torch.nn.Parameter
cdef object strided = torch.strided
cdef object float32 = torch.float32
cdef object float64 = torch.float64
cdef object bfloat16 = torch.bfloat16

cdef size_t LONG = 2**18
"""Elements from which on other threads may run while they are read."""


cdef bint locate(object tensor, Elements *found) except -1:
    """Find elements that lie in the memory of the host without gaps, and as they are.

    False of all other tensors, which have to be read in another way: see `elements.is_ordinary`
    and `elements.is_there`.
    """
    if not (type(tensor) is Tensor or type(tensor) is Parameter):
        return False
    dtype = tensor.dtype
    if dtype is float32:
        found.type = &F32
    elif dtype is float64:
        found.type = &F64
    elif dtype is bfloat16:
        found.type = &BF16
    else:
        return False
    if not tensor.is_cpu or tensor.layout is not strided or tensor.is_nested or tensor.is_neg():
        return False
    try:
        found.memory = <const void *><size_t>tensor.data_ptr()
    except RuntimeError:  # what a transform has wrapped has no memory of its own
        return False
    found.size = tensor.numel()
    if not found.size:
        return True
    if not found.memory or not (tensor.is_contiguous() or _is_dense(tensor)):
        return False
    cdef size_t end = <size_t>tensor.storage_offset() + found.size
    return end * found.type.bytes <= <size_t>tensor.untyped_storage().nbytes()


cdef bint _is_dense(object tensor) except -1:
    """Tell whether elements fill their memory, whatever their order."""
    cdef Py_ssize_t expected = 1
    steps = [(stride, n) for stride, n in zip(tensor.stride(), tensor.shape) if n != 1]
    for stride, length in sorted(steps):
        if stride != expected:
            return False
        expected *= length
    return True


cdef int measure(const Elements *elements, double low, double high, moments *found) except -1:
    """Measure elements; where `low` < `high`, those outside of that range are saturated."""
    if elements.size < LONG:
        _measure(elements, low, high, found)
    else:
        with nogil:
            _measure(elements, low, high, found)
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
        measure(&elements, low, high, &found)
        self.add(slot)[0] = found
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
