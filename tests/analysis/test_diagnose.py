"""What a diagnosis is: its text, its thresholds, its rules, and how long it takes."""

from __future__ import annotations

import dataclasses
import time
from importlib.metadata import EntryPoint
from typing import Any

import networkx as nx
import numpy as np
import pytest

import gradtrace
from gradtrace.analysis.diagnose import Finding, Rule, Thresholds, Undetermined, diagnose
from gradtrace.analysis.diagnose.rules import RULES
from gradtrace.errors import GradtraceError, OptionError
from gradtrace.graph import Graph
from tests.tapes import Run

NAMES = [rule.name for rule in RULES]


def chain(layers: int, factor: float, **options: Any) -> Graph:
    """A chain of products by `factor` on data, each with a weight of its own."""
    run = Run(**options)
    x = run.leaf("x", np.ones((2, 3)), kind="input", differentiable=False)
    for number in range(layers):
        x = run.call("mul", x, run.leaf(f"w{number}", np.full((2, 3), factor)))
    run.backward(run.call("sum", x))
    return run.graph()


def test_a_healthy_chain_has_no_finding() -> None:
    diagnosis = chain(12, 1.0).diagnose()
    assert (len(diagnosis), diagnosis.ok, diagnosis.undetermined) == (0, True, ())
    assert str(diagnosis) == "diagnosis by 13 rules: 0 errors, 0 warnings, 0 notes"
    assert repr(diagnosis) == "<gradtrace.Diagnosis: 0 errors, 0 warnings, 0 notes>"


@pytest.mark.parametrize("options", [{}, {"keep": "summary", "derivatives": "gain"}])
@pytest.mark.parametrize(("factor", "rule"), [(0.4, "vanishing"), (2.5, "exploding")])
def test_a_slope_is_told_with_its_numbers(
    factor: float, rule: str, options: dict[str, Any]
) -> None:
    (finding,) = chain(12, factor, **options).diagnose(rules=[rule])
    assert (finding.rule, finding.severity, finding.node) == (rule, "warning", "mul")
    assert finding.numbers["slope"] == pytest.approx(factor)
    assert finding.numbers["ratio"] == pytest.approx(factor**11)
    assert finding.numbers["calls"] == 11
    assert finding.edge in chain(12, factor).edges
    assert finding.source is not None


def test_a_slope_is_not_judged_by_absolute_size() -> None:
    run = Run()
    x = run.leaf("x", np.ones((2, 3)), kind="input", differentiable=False)
    for number in range(9):
        x = run.call("mul", x, run.leaf(f"w{number}", np.ones((2, 3))))
    run.backward(run.call("sum", x), 1e-30)
    assert not run.graph().diagnose()


def test_the_steepest_edges_are_named() -> None:
    run = Run()
    x = run.leaf("x", np.ones((2, 3)), kind="input", differentiable=False)
    for number in range(10):
        factor = 1e-5 if number == 4 else 1.0
        x = run.call("mul", x, run.leaf(f"w{number}", np.full((2, 3), factor)))
    run.backward(run.call("sum", x))
    (finding,) = run.graph().diagnose()
    assert finding.edge == ("mul_4", "mul_5", 0)
    assert "the edges that shrink it most: mul_5 ← mul_4 (× 1e-05)" in finding.cause


def test_thresholds_can_be_changed() -> None:
    graph = chain(12, 0.8)
    assert graph.diagnose().ok
    assert not graph.diagnose(thresholds=Thresholds(vanishing=0.2)).ok
    assert chain(12, 0.4).diagnose(thresholds=Thresholds(vanishing=1e-9)).ok


def test_every_threshold_is_documented_and_used() -> None:
    from pathlib import Path

    folder = Path(diagnose.__globals__["__file__"]).parent
    text = (folder / "thresholds.py").read_text()
    code = "".join(file.read_text() for file in folder.glob("*.py") if file.name != "thresholds.py")
    for field in dataclasses.fields(Thresholds):
        assert f"    {field.name}: " in text
        assert f"thresholds.{field.name}" in code
    with pytest.raises(dataclasses.FrozenInstanceError):
        Thresholds().vanishing = 1.0  # type: ignore[misc]


def test_findings_come_worst_first() -> None:
    run = Run()
    x = run.leaf("x", np.zeros((2, 3)), kind="input", differentiable=False)
    w, frozen = run.leaf("w", np.ones((2, 3))), run.leaf("v", 1.0, differentiable=False)
    run.backward(
        run.call("sum", run.call("mul", run.call("reciprocal", run.call("mul", x, w)), frozen))
    )
    diagnosis = run.graph().diagnose()
    assert [finding.severity for finding in diagnosis] == ["error", "note"]
    assert (diagnosis.errors, diagnosis.notes) == (diagnosis[:1], diagnosis[1:])
    text = str(diagnosis).splitlines()
    assert text[0] == "diagnosis by 13 rules: 1 error, 0 warnings, 1 note"
    assert text[2] == "error  nonfinite_value  reciprocal (model.py:5)"
    assert text[3] == "  Infinity comes up here: it divides by 0."
    assert "→ Add a small ε" in text[5]


def test_findings_of_one_cause_are_told_together() -> None:
    run = Run()
    total = run.leaf("w", 1.0)
    for number in range(6):
        total = run.call("mul", total, run.leaf(f"v{number}", 1.0, differentiable=False))
    run.backward(total)
    text = str(run.graph().diagnose())
    assert "note  no_gradient  v0, v1, v2, v3 and 2 more" in text
    assert text.count("frozen") == 1


def test_what_could_not_be_determined_is_said() -> None:
    run = Run(keep="summary", derivatives="gain")
    x = run.leaf("x", np.ones((9, 3)), kind="input", differentiable=False)
    hidden = run.call("relu", run.call("mul", x, run.leaf("w", np.ones((9, 3)))))
    run.backward(run.call("sum", run.call("mul", hidden, run.leaf("v", np.ones((9, 3))))))
    diagnosis = run.graph().diagnose()
    assert diagnosis.ok
    assert {each.rule for each in diagnosis.undetermined} == {
        "dead_relu",
        "dominant_row",
    }
    assert "trace with keep='all'" in str(diagnosis)


def test_without_backward_pass_it_says_so() -> None:
    run = Run()
    run.call("tanh", run.leaf("w", [1.0]))
    (unknown,) = run.graph().diagnose().undetermined
    assert unknown == Undetermined("no_gradient", "no backward pass ran in the trace block")


def test_an_infinite_derivative_is_found_before_any_gradient_comes() -> None:
    run = Run()
    with np.errstate(all="ignore"):
        run.call("mul", run.leaf("w", [1.0, 2.0]), run.leaf("v", [np.inf, 1.0]))
    graph = run.graph()
    assert any(finding.rule.startswith("nonfinite") for finding in graph.diagnose())


@pytest.mark.parametrize("name", NAMES)
def test_rules_can_be_chosen(name: str) -> None:
    diagnosis = diagnose(chain(3, 1.0), rules=[name])
    assert diagnosis.rules == (name,)


def test_a_rule_that_is_not_there() -> None:
    with pytest.raises(OptionError, match="no rule is named 'nope'; use some of 'nonfinite_value'"):
        chain(1, 1.0).diagnose(rules=["nope"])


def test_a_graph_with_a_cycle() -> None:
    graph = nx.MultiDiGraph([("a", "b"), ("b", "a")])
    with pytest.raises(GradtraceError, match="the graph has a cycle"):
        diagnose(graph)


def large(graph: Any, thresholds: Thresholds) -> Any:
    for node in graph:
        yield Finding("large", "warning", node, None, {}, "it is large", "nothing")


def test_a_rule_of_ones_own() -> None:
    rule = Rule("large", "warning", "large nodes", large)
    diagnosis = chain(1, 1.0).diagnose(rules=[rule])
    assert [finding.rule for finding in diagnosis] == ["large"] * 4
    both = chain(1, 1.0).diagnose(rules=["vanishing", rule])
    assert both.rules == ("vanishing", "large")


def stranger() -> Rule:
    return Rule("large", "warning", "large nodes", large)


def raises() -> Rule:
    def find(graph: Any, thresholds: Thresholds) -> Any:
        raise KeyError("gone")

    return Rule("raises", "warning", "nothing", find)


def test_rules_come_from_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint(name, f"{__name__}:{function}", "gradtrace.rules")
        for name, function in (
            ("large", "stranger"),
            ("raises", "raises"),
            ("missing", "nowhere"),
            ("wrong", "chain.__class__"),
        )
    ]
    monkeypatch.setattr(
        "gradtrace.backends._declared",
        lambda group, path: [(point, "here") for point in points if point.group == group],
    )
    diagnosis = gradtrace.diagnose(chain(1, 1.0))
    assert diagnosis.rules == (*NAMES, "large", "raises")
    assert {finding.rule for finding in diagnosis} == {"large"}
    reasons = {each.rule: each.reason for each in diagnosis.undetermined}
    assert reasons["raises"] == "the rule raised KeyError: 'gone'"
    assert "has no attribute 'nowhere'" in reasons["missing"]
    assert "wrong" in reasons


def test_5000_nodes_take_less_than_2_seconds() -> None:
    graph = chain(2500, 0.99, keep="summary", derivatives="gain")
    assert len(graph) > 5000
    began = time.process_time()
    str(graph.diagnose())
    assert time.process_time() - began < 2


def test_a_graph_is_not_changed() -> None:
    graph = chain(3, 0.5)
    before = str(graph)
    graph.diagnose()
    assert str(graph) == before
