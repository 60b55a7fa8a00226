# cython: language_level=3, auto_pickle=False
"""Measure parameters in each step: their gradients, their values, and by how much they move."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from weakref import ref

from gradtrace.recording.observer import LARGE as _LARGE

from gradtrace_torch.compiled.memory cimport (
    Elements, Sheet, as_row, locate, measure, measure_move, moments,
)

cdef size_t LARGE = _LARGE

cdef enum:
    VALUE, GRADIENT, UNCLIPPED, UPDATE, QUANTITIES


cdef class QuickParameter:
    cdef readonly object tensor
    cdef readonly bint odd
    cdef int slots[QUANTITIES]
    cdef moments found[QUANTITIES]
    cdef bint has[QUANTITIES]
    cdef object gradient, gradient_version
    cdef moments raw
    cdef bint is_fresh  # whether it was measured as it arrived
    cdef moments accumulated
    cdef bint has_accumulated, was_taken
    cdef object value_version
    cdef moments value
    cdef void *room
    cdef size_t room_size
    cdef Elements before
    cdef bint has_before

    def __init__(self, tensor, slots):
        self.tensor = tensor
        self.slots = slots

    def __dealloc__(self):
        free(self.room)

    cdef int note(self, int quantity, const moments *row) noexcept:
        self.found[quantity] = row[0]
        self.has[quantity] = True
        return 0

    cdef bint read_gradient(self, bint *new) except -1:
        """Measure the gradient, if there is one; False where that cannot be done here."""
        cdef Elements elements
        cdef moments found
        gradient = self.tensor.grad
        if gradient is None:
            self.gradient = None
            self.has_accumulated = new[0] = False
            return True
        if not locate(gradient, &elements):
            return False
        measure(&elements, 0, 0, &found)
        new[0] = not (
            self.has_seen(gradient) and memcmp(&found, &self.raw, sizeof(moments)) == 0
        )
        self.gradient, self.gradient_version = ref(gradient), gradient._version
        self.raw = found
        return True

    cdef bint has_seen(self, gradient) except -1:
        """Tell whether it is the tensor that was measured last, and no version was counted since.

        It is not kept alive: another may be where it was.
        """
        return (
            gradient is not None
            and self.gradient is not None
            and self.gradient() is gradient
            and self.gradient_version == gradient._version
        )

    cdef bint accumulate(self, bint arrived) except -1:
        cdef bint new = False
        is_fresh, self.is_fresh = self.is_fresh, False
        if not (is_fresh and self.has_seen(self.tensor.grad)) and not self.read_gradient(&new):
            return False
        if self.gradient is not None and (arrived or new):
            self.accumulated, self.has_accumulated = self.raw, True
            if not self.was_taken:
                self.note(GRADIENT, &self.raw)
                self.note(UNCLIPPED, &self.raw)
        return True

    cdef bint take(self) except -1:
        cdef bint new
        if not self.read_gradient(&new):
            return False
        if self.gradient is not None:
            self.was_taken = True
            self.note(GRADIENT, &self.raw)
            self.note(UNCLIPPED, &self.accumulated if self.has_accumulated else &self.raw)
        return True

    cdef bint keep_copy(self, bint large) except -1:
        """Copy the value that an optimizer is about to change, if there is memory for it."""
        cdef size_t size
        if not locate(self.tensor, &self.before):
            return False
        if self.before.size > LARGE and not large:
            self.drop_copy()
            return True
        size = self.before.size * self.before.type.bytes
        if size != self.room_size:
            self.drop_copy()
            self.room = malloc(size)
            if not self.room:
                return True
            self.room_size = size
        memcpy(self.room, self.before.memory, size)
        self.before.memory = self.room
        self.has_before = True
        return True

    cdef int drop_copy(self) noexcept:
        free(self.room)
        self.room, self.room_size, self.has_before = NULL, 0, False
        return 0

    cdef bint note_move(self, bint large) except -1:
        """Note the value, and what was added to it since it was copied."""
        cdef Elements now
        cdef moments move
        cdef bint has_before = self.has_before
        self.has_before = self.has_accumulated = False
        self.value_version = None  # it may have been written to through `.data`, unnoticed
        if (
            not has_before
            or not locate(self.tensor, &now)
            or now.type != self.before.type
            or now.size != self.before.size
            or now.order != self.before.order
        ):
            return self.note_value(large)
        measure_move(&now, &self.before, &self.value, &move)
        self.value_version = self.tensor._version
        self.note(VALUE, &self.value)
        self.note(UPDATE, &move)
        return True

    cdef bint note_value(self, bint large) except -1:
        """Note the value; a large one that nobody wrote to since is not read again."""
        cdef Elements now
        if not locate(self.tensor, &now):
            return False
        version = self.tensor._version
        if version != self.value_version or large or now.size <= LARGE:
            measure(&now, 0, 0, &self.value)
            self.value_version = version
        self.note(VALUE, &self.value)
        return True

    cdef int turn(self, Sheet sheet) except -1:
        cdef int quantity
        for quantity in range(QUANTITIES):
            if self.has[quantity]:
                sheet.add(self.slots[quantity])[0] = self.found[quantity]
                self.has[quantity] = False
        self.was_taken = self.odd = self.is_fresh = False
        self.gradient = None
        return 0

    def give_up(self):
        rows = {
            self.slots[quantity]: as_row(&self.found[quantity])
            for quantity in range(QUANTITIES)
            if self.has[quantity]
        }
        accumulated = as_row(&self.accumulated) if self.has_accumulated else None
        taken = self.was_taken
        memset(self.has, 0, sizeof(self.has))
        self.has_accumulated, self.odd, self.is_fresh = False, True, False
        self.gradient = self.value_version = None
        self.drop_copy()
        return rows, taken, accumulated

    def resume(self, accumulated):
        cdef moments *row = &self.accumulated
        row.count, row.sum, row.sum_of_squares, row.lowest, row.highest = accumulated[:5]
        row.zeros, row.nonfinite, row.saturated, row.nan = accumulated[5:]
        self.has_accumulated = True


def listener(arrived, QuickParameter parameter):
    def hear(tensor):
        cdef bint new
        if arrived(tensor) and parameter is not None and not parameter.odd:
            parameter.is_fresh = parameter.read_gradient(&new)

    return hear


def accumulate_gradients(list parameters, *, bint arrived):
    cdef QuickParameter each
    return [each for each in parameters if each.odd or not each.accumulate(arrived)]


def take_gradients(list parameters):
    cdef QuickParameter each
    return [each for each in parameters if each.odd or not each.take()]


def copy_values(list parameters, *, bint large):
    cdef QuickParameter each
    return [each for each in parameters if each.odd or not each.keep_copy(large)]


def measure_moves(list parameters, *, bint large):
    cdef QuickParameter each
    return [each for each in parameters if each.odd or not each.note_move(large)]


def measure_values(list parameters, *, bint large):
    cdef QuickParameter each
    return [
        each for each in parameters if each.odd or not (each.has[VALUE] or each.note_value(large))
    ]


def turn(list parameters, Sheet sheet):
    cdef QuickParameter each
    for each in parameters:
        each.turn(sheet)
