"""What the compiled parts know of the elements of a tensor."""

cdef extern from "moments.h" nogil:
    ctypedef struct moments:
        double count, sum, sum_of_squares, lowest, highest, zeros, nonfinite, saturated, nan

    ctypedef struct element_type:
        size_t bytes
        void (*measure)(const void *memory, size_t size, moments *found) noexcept nogil
        void (*measure_sums)(const void *memory, size_t size, moments *found) noexcept nogil
        void (*measure_move)(
            const void *now, const void *before, size_t size, moments *value, moments *move
        ) noexcept nogil
        double (*count_outside)(
            const void *memory, size_t size, double low, double high
        ) noexcept nogil

    const element_type F32, F64, BF16

cdef struct Elements:
    const element_type *type
    const void *memory
    size_t size
    unsigned long long order

cdef bint locate(object tensor, Elements *found) except -1
cdef int measure(const Elements *elements, double low, double high, moments *found) except -1
cdef int measure_sums(const Elements *elements, moments *found) except -1
cdef int measure_move(
    const Elements *now, const Elements *before, moments *value, moments *move) except -1
cdef tuple as_row(const moments *found)

cdef class Sheet:
    cdef moments *rows
    cdef int *slots
    cdef Py_ssize_t length, room
    cdef bint sums_only
    cdef object seen, version
    cdef Py_ssize_t place

    cdef moments *add(self, int slot) except NULL
    cpdef bint note(self, int slot, object tensor, double low=*, double high=*) except -1
    cpdef tuple turn(self)
    cpdef object rest(self)
