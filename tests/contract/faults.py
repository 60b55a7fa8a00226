"""Faults that a backend can have, each with the checks of the contract that must see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any
from unittest import mock

import numpy as np
import torch

from gradtrace.derivative import LIMIT, LocalDerivative
from gradtrace.summary import Summary
from gradtrace.tape import Call, EdgeRecord, Leaf, NodeRecord, Tape, Use, Value
from tests.contract.faulty import (
    Fault,
    calls,
    derivatives,
    for_each,
    leaves,
    scaled,
    uses,
    values,
)

__all__ = ["FAULTS", "left", "tensors"]


def forget_a_use(tape: Tape) -> None:
    for call in calls(tape):
        call.uses = list({id(use.value): use for use in call.uses}.values())


def overwrite_sums(tape: Tape) -> None:
    for use in uses(tape):
        use.value.upstream = use.downstream


def swap_derivatives(tape: Tape) -> None:
    for call in calls(tape):
        first, last = call.uses[0], call.uses[-1]
        first.derivative, last.derivative = last.derivative, first.derivative


def forget_flat_calls(tape: Tape) -> None:
    flat = [step for step in calls(tape) if not step.results[0].differentiable]
    lost = {id(call.results[0]) for call in flat}
    tape.steps = [step for step in tape.steps if step not in flat]
    for call in calls(tape):
        call.uses = [use for use in call.uses if id(use.value) not in lost]


def make_dense(use: Use) -> LocalDerivative | None:
    old = use.derivative
    return old and replace(old, structure="dense", array=old.dense())


def add_a_call(tape: Tape) -> None:
    made = Value(leaves(tape)[0].value.summary, differentiable=True)
    tape.steps.append(Call("copy", [made], [Use("input", leaves(tape)[0].value)]))


def add_a_leaf(tape: Tape) -> None:
    unused = Value(Summary.of(7.0, keep=True), Summary.of(0.0, keep=True))
    tape.steps.append(Leaf("input", ("unused",), unused))


def seed_every_part(tape: Tape) -> None:
    for call in calls(tape):
        if len(call.results) > 1:
            call.results[0].seed = Summary.of([0.0, 0.0], keep=True)


def ones_for_seeds(tape: Tape) -> None:
    for value in values(tape):
        value.seed = value.seed and Summary.of(np.ones(value.seed.shape), keep=True)


left: list[Any] = []


def leave_steps_to_the_next(tape: Tape) -> None:
    inherited = list(left)
    left[:] = tape.steps if len(calls(tape)) == 1 else []
    tape.steps[:0] = inherited


@contextmanager
def doubled_seeds() -> Iterator[None]:
    backward = torch.Tensor.backward

    def twice(self: Any, gradient: Any = None, **options: Any) -> None:
        backward(2 * self, gradient, **options)

    with mock.patch.object(torch.Tensor, "backward", twice):
        yield


tensors: list[Any] = []
"""Every leaf that a faulty run made, as a weak reference."""


def share_memory(tape: Tape) -> None:
    known = [tensor() for tensor in tensors]
    for leaf in leaves(tape):
        for tensor in known:
            if tensor is not None and leaf.value.summary and tensor == leaf.value.summary.max:
                memory = tensor.detach().numpy()
                leaf.value.summary = replace(leaf.value.summary, array=memory)


def hold_on(tape: Tape) -> None:
    left[:] = [tensor() for tensor in tensors]


def record_later(tape: Tape) -> None:
    """Read gradients when the graph is read."""
    steps, seen = tape.steps, [tensor() for tensor in tensors]

    def later() -> list[Leaf | Call]:
        for leaf in leaves(Tape(steps)):
            for tensor in seen:
                if tensor is not None and leaf.value.summary and tensor == leaf.value.summary.max:
                    leaf.value.upstream = Summary.of(tensor.grad.numpy(), keep=True)
        return steps

    tape.defer(later)


def turn_back(nodes: list[NodeRecord], edges: list[EdgeRecord]) -> None:
    operand, result, _, data = edges[0]
    edges.append((result, operand, 0, data))


def colons(nodes: list[NodeRecord], edges: list[EdgeRecord]) -> None:
    nodes[:] = [(f"n:{node}", data) for node, data in nodes]
    edges[:] = [(f"n:{u}", f"n:{v}", key, data) for u, v, key, data in edges]


def replace_upstream(value: Value) -> Value:
    value.upstream = scaled(value.upstream)
    return value


serial = count()

FAULTS = [
    Fault(
        "takes any object",
        "the_backend_is_a_working_plugin",
        attributes={"recognizes": lambda value: True},
    ),
    Fault(
        "goes by another name",
        "a_trace_finds_the_backend_by_itself the_graph_reads_as_text",
        lambda tape: setattr(tape, "backend", "other"),
    ),
    Fault(
        "lacks an attribute",
        "nodes_say_all_that_a_node_says",
        records=lambda nodes, edges: nodes[0][1].pop("note"),
    ),
    Fault(
        "knows another kind",
        "nodes_say_all_that_a_node_says the_graph_can_be_drawn",
        for_each(leaves, kind=lambda leaf: "weight"),
    ),
    Fault(
        "names no operand",
        "edges_say_all_that_an_edge_says",
        for_each(uses, operand=lambda use: ""),
    ),
    Fault("mistakes a shape", "shapes_fit_along_every_edge", derivatives(operand_shape=(1,))),
    Fault("records its own work", "the_graph_is_that_of_the_program", add_a_call),
    Fault("goes in circles", "values_flow_one_way", records=turn_back),
    Fault(
        "numbers leaves through all runs",
        "ids_are_the_same_in_every_run",
        for_each(leaves, names=lambda leaf: (f"x{next(serial)}",)),
    ),
    Fault(
        "takes parameters for inputs",
        "a_model_gives_its_parameters_their_names",
        for_each(leaves, kind=lambda leaf: "input"),
    ),
    Fault("writes colons", "ids_are_the_same_in_every_run", records=colons),
    Fault("draws one edge for two uses", "each_use_is_an_edge", forget_a_use),
    Fault("records unused leaves", "what_is_not_used_is_not_there", add_a_leaf),
    Fault(
        "mixes up the parts",
        "parts_of_a_call_are_items",
        for_each(calls, results=lambda call: call.results[::-1]),
    ),
    Fault("makes items of unused parts", "one_part_alone_is_one_item", seed_every_part),
    Fault(
        "forgets calls without gradient",
        "a_call_without_gradient_is_kept_where_it_matters",
        forget_flat_calls,
    ),
    Fault(
        "takes every call for differentiable",
        "a_call_without_gradient_is_left_out_where_it_does_not_matter",
        for_each(values, differentiable=lambda value: True),
    ),
    Fault(
        "records other values",
        "values_are_those_of_the_program",
        for_each(values, summary=lambda value: scaled(value.summary)),
    ),
    Fault(
        "keeps the last share for the sum",
        "upstream_gradients_are_summed_over_uses the_chain_rule_holds_at_every_node "
        "gradients_of_several_passes_add_up "
        "a_value_made_before_the_block_has_its_gradient",
        overwrite_sums,
    ),
    Fault("swaps operands", "each_edge_has_its_own_factor_and_share", swap_derivatives),
    Fault("forgets the seed", "the_output_has_its_seed", for_each(values, seed=lambda value: None)),
    Fault("seeds with ones", "a_seed_that_is_given_is_the_upstream_gradient", ones_for_seeds),
    Fault(
        "measures no gain",
        "gains_are_ratios_of_norms gains_are_free_of_any_option",
        derivatives(gain=1.0),
    ),
    Fault(
        "counts earlier gradients",
        "the_gradients_are_those_that_the_user_gets an_earlier_gradient_is_not_counted_again "
        "every_detail_gives_the_same_gradients",
        for_each(leaves, value=lambda leaf: replace_upstream(leaf.value)),
    ),
    Fault(
        "forgets to norm",
        "norms_are_there_where_asked_for jacobians_of_vectors_are_exact",
        derivatives(norm=None),
    ),
    Fault(
        "writes every Jacobian out",
        "structures_are_the_cheapest_true_ones",
        for_each(uses, derivative=make_dense),
    ),
    Fault(
        "keeps too much",
        "keep_summary_keeps_no_elements keep_small_keeps_up_to_1024_elements",
        options={"keep": "all"},
    ),
    Fault("keeps too little", "keep_all_keeps_every_element", options={"keep": "summary"}),
    Fault("is never exact", "exact_derivatives_are_exact", options={"derivatives": "gain"}),
    Fault("knows no limit", "the_limit_is_kept_with_a_reason", options={"limit": LIMIT}),
    Fault(
        "claims a backward pass",
        "a_forward_pass_alone_has_no_gradients",
        lambda tape: setattr(tape, "gradients", True),
    ),
    Fault(
        "draws random numbers",
        "random_numbers_are_the_same_without_the_trace",
        lambda tape: torch.rand(()),
    ),
    Fault("changes gradients", "the_run_is_the_same_without_the_trace", around=doubled_seeds),
    Fault(
        "swallows exceptions",
        "an_exception_in_the_block_goes_through",
        around=lambda: suppress(Exception),
    ),
    Fault(
        "loses what ran",
        "an_exception_leaves_the_graph_of_what_ran",
        lambda tape: tape.steps.clear(),
    ),
    Fault(
        "stays in the middle after an exception",
        "the_trace_after_an_exception_is_whole",
        leave_steps_to_the_next,
    ),
    Fault("goes on after the block", "what_runs_after_the_block_is_not_recorded", record_later),
    Fault(
        "keeps the user's memory",
        "writing_in_place_after_the_block_changes_no_graph",
        share_memory,
    ),
    Fault("holds on to tensors", "the_graph_keeps_nothing_of_the_user_alive", hold_on),
    Fault(
        "names operands by number",
        "a_saved_graph_is_the_same_when_loaded",
        for_each(uses, operand=lambda use: 7),
    ),
]
