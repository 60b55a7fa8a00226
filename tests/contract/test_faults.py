"""Whether the contract sees what is wrong: each of its tests fails on a backend with the fault."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import gradtrace
from gradtrace.backends import GROUPS, Plugin
from gradtrace.errors import OptionError
from gradtrace.testing import BackendContract
from tests.contract import faults, test_torch
from tests.contract.faults import FAULTS
from tests.contract.faulty import Fault, Faulty

TESTS = [name for name in dir(BackendContract) if name.startswith("test_")]


class Watched(test_torch.TestTorch):
    """The contract in PyTorch, with leaves that faults can find."""

    __test__ = False

    def leaf(self, numbers: Any) -> Any:
        made = super().leaf(numbers)
        faults.tensors.append(weakref.ref(made))
        return made


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a fault into the only backend that is installed."""

    def put(fault: Fault) -> Watched:
        backend, build = Faulty(fault), gradtrace.graph.build
        faults.tensors.clear()
        faults.left.clear()

        def built(tape: Any) -> Any:
            made = build(tape)
            fault.records(made.nodes, made.edges)
            return made

        plugin = Plugin(GROUPS[0], "torch", "here", loaded=backend)
        monkeypatch.setattr("gradtrace.capture.backends_for", lambda model, name: [backend])
        monkeypatch.setattr("gradtrace.testing.structure.plugins", lambda group: [plugin])
        monkeypatch.setattr("gradtrace.graph.build", built)
        return Watched()

    yield put
    faults.left.clear()
    gc.collect()


@pytest.mark.parametrize("test", TESTS)
def test_a_backend_without_fault_passes(plant: Any, test: str) -> None:
    getattr(plant(Fault("none", "")), test)()


@pytest.mark.parametrize(
    ("fault", "test"),
    [(fault, f"test_{test}") for fault in FAULTS for test in fault.seen_by.split()],
    ids=lambda each: each.name if isinstance(each, Fault) else each,
)
def test_a_fault_is_seen(plant: Any, fault: Fault, test: str) -> None:
    with pytest.raises((AssertionError, OptionError, KeyError)) as caught:
        getattr(plant(fault), test)()
    assert str(caught.value), "it does not say what is wrong"


def test_every_test_of_the_contract_has_its_fault() -> None:
    seen = {f"test_{test}" for fault in FAULTS for test in fault.seen_by.split()}
    assert seen == set(TESTS)
