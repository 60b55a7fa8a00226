# cython: language_level=3, auto_pickle=False
"""Follow the calls of modules whose gradient goes the way that it went before."""

import torch
from torch._C import _current_graph_task_id, _has_torch_function_unary, is_grad_enabled
from torch._C._functorch import peek_interpreter_stack

from gradtrace.recording.observer import LARGE as _LARGE

from gradtrace_torch.compiled.memory cimport Sheet

cdef object Tensor = torch.Tensor
cdef Py_ssize_t LARGE = _LARGE
cdef Py_ssize_t SMALL = 4096
"""Elements up to which it costs less to measure the two ends of a way than to hear of both."""


cdef class QuickCalls:
    cdef public bint on, large, expectant, reads_ahead
    cdef public long long task
    cdef public Sheet outputs, gradients
    cdef public set forward
    cdef public list parameters

    def __init__(self):
        self.on = self.large = self.expectant = True
        self.reads_ahead = False
        self.task = -2
        self.outputs, self.gradients = Sheet(), Sheet(sums_only=True)
        self.forward, self.parameters = set(), []

    def parameter_arrived(self, parameter):
        if _current_graph_task_id() == self.task:
            self.parameters.append(parameter)
        else:
            self.parameter_odd(parameter)
        return self.reads_ahead

    def arrived(self, int slot, gradient):
        self._arrived(slot, gradient)

    cdef int _arrived(self, int slot, object gradient) except -1:
        if gradient is None or not self.on or not self.large and gradient.numel() > LARGE:
            return 0
        cdef long long task = _current_graph_task_id()
        if task != self.task:
            self.enter_pass(task)
        if not self.gradients.note(slot, gradient):
            self.arrived_odd(slot, gradient)
        return 0


cdef class QuickModule:
    cdef readonly bint is_plain
    cdef readonly int output_slot, upstream_slot, downstream_slot
    cdef readonly double low, high
    cdef QuickCalls _calls
    cdef bint _knows_way
    cdef tuple _to_core, _from_core
    cdef int _core_slot, _slot
    cdef object _through, _came, _went

    def __init__(self, QuickCalls calls, double low, double high, *, bint plain):
        self._calls, self.is_plain = calls, plain
        self.low, self.high = low, high
        self.output_slot = self.upstream_slot = self.downstream_slot = -1

    def take_slots(self, int output, int upstream, int downstream):
        cdef QuickCalls calls = self._calls
        self.output_slot, self.upstream_slot, self.downstream_slot = output, upstream, downstream

        def came(gradients):
            calls._arrived(upstream, gradients[0])

        self._came = came

    def suppose(self, way):
        """Suppose a way. Its hooks are its own: those of another still wait."""
        cdef QuickCalls calls = self._calls
        cdef int upstream_slot = self.upstream_slot, downstream_slot = self.downstream_slot
        self._knows_way = way is not None
        if way is None:
            return
        self._to_core, self._core_slot, self._from_core, self._slot = way
        cdef int core_slot = self._core_slot, slot = self._slot

        def through(downstream, upstream):
            calls._arrived(upstream_slot, upstream[0])
            calls._arrived(downstream_slot, downstream[core_slot])

        def went(downstream, upstream):
            calls._arrived(downstream_slot, downstream[slot])

        self._through, self._went = through, went

    def follow(self, tuple arguments, object output):
        cdef QuickCalls calls = self._calls
        cdef bint repeats
        if not calls.on:
            return True
        if type(output) is not Tensor or _has_torch_function_unary(output):
            return False
        if peek_interpreter_stack() is not None or not is_grad_enabled():
            return False
        repeats = _current_graph_task_id() != -1
        if calls.expectant and not repeats:
            calls.begin()
        if not calls.large and output.numel() > LARGE:
            if not self.is_plain:
                self.began()
            return True
        if self.output_slot < 0 or len(arguments) != 1:
            return False
        given = arguments[0]
        if type(given) is not Tensor or given is output:
            return False
        if not self.is_plain and given.requires_grad:
            return False
        if not self._put_hooks(given, output):
            return False
        if not self.is_plain:
            self.began()
        if not repeats:
            calls.forward.add(self)
        elif self in calls.forward:  # a checkpoint computes again what was measured before
            return True
        if not calls.outputs.note(self.output_slot, output, self.low, self.high):
            calls.put_odd(self, output)
        return True

    cdef bint _put_hooks(self, object given, object output) except -1:
        """Put hooks where they were needed last time; False if that is not where they are now."""
        try:
            node = output.grad_fn
            if node is None or output.output_nr:
                return False
            if not given.requires_grad:
                node.register_prehook(self._came)
                return True
            if not self._knows_way:
                return False
            core = node
            for slot in self._to_core:
                core = core.next_functions[slot][0]
            user = core
            for slot in self._from_core:
                user = user.next_functions[slot][0]
            edge = user.next_functions[self._slot]
            if edge[0] is not given.grad_fn or edge[1] != given.output_nr:
                return False
        except (AttributeError, IndexError, RuntimeError):  # it leads elsewhere; see `node_of`
            return False
        if self._core_slot >= 0 and (user is node or output.numel() <= SMALL):
            core.register_hook(self._through)
        else:
            node.register_prehook(self._came)
            user.register_hook(self._went)
        return True
