"""The rules that watch a training find what is planted, where it is, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gradtrace
from gradtrace.errors import GradtraceWarning
from gradtrace.recording.reader import open_recording
from gradtrace.recording.rules import RULES
from gradtrace.recording.sample import FIELDS, Step
from gradtrace.recording.watch import Finding, Watch
from gradtrace.recording.writer import Writer
from tests.recording.runs import NETWORK, recorded, training, wait_for

COLUMN = {field: position for position, field in enumerate(FIELDS)}

PLANTED = 150
"""The step from which a fault holds."""


def rows(quantity: str, prefix: str) -> list[int]:
    found = [
        position
        for position, each in enumerate(NETWORK)
        if each.quantity == quantity and each.node.startswith(prefix)
    ]
    assert found
    return found


def scale(quantity: str, prefix: str, factor: float) -> Callable[[Step], None]:
    """Make a quantity so many times larger."""

    def plant(step: Step) -> None:
        for row in rows(quantity, prefix):
            step.statistics[row, [COLUMN["min"], COLUMN["max"], COLUMN["sum"]]] *= factor
            step.statistics[row, COLUMN["sumsq"]] *= factor**2

    return plant


def fill(quantity: str, prefix: str, **fields: float) -> Callable[[Step], None]:
    """Set fields of a quantity."""

    def plant(step: Step) -> None:
        for row in rows(quantity, prefix):
            for field, value in fields.items():
                step.statistics[row, COLUMN[field]] = value

    return plant


def grow(step: Step) -> None:
    """Let all gradients run away, three times larger at each step: 3⁷ is over a thousand."""
    scale("gradient", "", 3.0 ** (step.index - PLANTED))(step)


def lose(step: Step) -> None:
    step.scalars = {"loss": float("nan")}


def scaled(step: Step) -> None:
    step.scalars = {**step.scalars, "scale": 1024.0}
    fill("gradient", "fc2", nonfinite=3)(step)


def spread(step: Step) -> None:
    """Have the optimizer take a bad gradient, after which the value of an earlier one is bad."""
    fill("gradient", "fc2.weight", nonfinite=1)(step)
    fill("value", "fc1.weight", nonfinite=1)(step)


NOT_COMPUTED = dict.fromkeys(FIELDS, float("nan"))

# fmt: off
PLANTS: list[tuple[str, str, Callable[[Step], None], int]] = [
    ("nonfinite", "fc2.weight", fill("gradient", "fc2.weight", nonfinite=1), PLANTED),
    ("nonfinite", "fc2.weight", spread, PLANTED),
    ("nonfinite", "fc1.weight", fill("value", "fc1.weight", nonfinite=1), PLANTED),
    ("nonfinite", "act1", fill("output", "act1", nonfinite=100), PLANTED),
    ("nonfinite", "loss", lose, PLANTED),
    ("nonfinite", "fc2.bias", scaled, PLANTED),
    ("vanishing", "fc1", scale("gradient", "fc1", 1e-7), PLANTED),
    ("exploding", "fc1", scale("gradient", "fc1", 1e6), PLANTED),
    ("exploding", "", grow, PLANTED + 7),
    ("dead", "act1", fill("output", "act1", zeros=100), PLANTED),
    ("dead", "fc2", fill("output", "fc2", zeros=100, sumsq=0), PLANTED),
    ("saturated", "act2", fill("output", "act2", saturated=97), PLANTED),
    ("no gradient", "fc2.weight", fill("gradient", "fc2.weight", **NOT_COMPUTED), PLANTED),
    ("zero gradient", "fc1", fill("gradient", "fc1", sumsq=0, zeros=100), PLANTED),
    ("update ratio", "fc3", scale("update", "fc3", 2000), PLANTED),
    ("update ratio", "fc2", scale("update", "fc2", 1e-5), PLANTED),
    ("update ratio", "fc2", fill("update", "fc2", sumsq=0), PLANTED),
    ("jump", "fc2", scale("gradient", "fc2", 500), PLANTED),
]
# fmt: on


def watched(steps: list[Step], batch: int = 37) -> list[Finding]:
    """Return the findings as they are at the end."""
    watch, found = Watch(), {}
    for start in range(0, len(steps), batch):
        _, changed = watch.see(steps[start : start + batch])
        for each in changed:
            found[each.rule, each.node, each.first_step] = each
    return list(found.values())


def sick(plant: Callable[[Step], None], first: int = PLANTED, last: int = 299) -> list[Step]:
    steps = training(300)
    for step in steps[first : last + 1]:
        plant(step)
    return steps


@pytest.mark.parametrize("seed", range(10))
def test_a_healthy_training_has_no_finding(seed: int) -> None:
    assert watched(training(600, seed=seed)) == []


@pytest.mark.parametrize(("rule", "node", "plant", "first"), PLANTS)
def test_a_planted_fault_is_found_where_and_when_it_is(
    rule: str, node: str, plant: Callable[[Step], None], first: int
) -> None:
    found = [each for each in watched(sick(plant)) if each.rule == rule]
    assert [each.first_step for each in found][:1] == [first]
    assert found[0].last_step == 299 or rule == "jump"
    assert node in {each.node for each in found} or not node
    assert found[0].cause
    assert found[0].remedy


def test_every_rule_is_planted() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, *_ in PLANTS}


@pytest.mark.parametrize(("rule", "node", "plant", "first"), PLANTS)
def test_what_is_found_does_not_depend_on_how_steps_come(
    rule: str, node: str, plant: Callable[[Step], None], first: int
) -> None:
    in_one, one_by_one = (watched(sick(plant), batch=size) for size in (300, 1))
    assert sorted(map(str, in_one)) == sorted(map(str, one_by_one))


@pytest.mark.parametrize(
    "plant",
    [
        scale("gradient", "fc1", 1e-7),
        fill("output", "act1", zeros=100),
        fill("output", "act2", saturated=97),
        scale("update", "", 5000),
        fill("update", "", sumsq=0),
        scale("gradient", "", 1e-3),
        fill("gradient", "fc1", **NOT_COMPUTED),
    ],
)
def test_the_first_steps_raise_no_alarm(plant: Callable[[Step], None]) -> None:
    assert watched(sick(plant, 0, 15)) == []


@pytest.mark.parametrize(
    ("plant", "steps"),
    [
        (fill("output", "act1", zeros=100), 10),
        (scale("gradient", "fc1", 1e-7), 10),
        (scale("update", "fc1", 2000), 10),
        (fill("gradient", "fc2", **NOT_COMPUTED), 30),
        (scale("gradient", "", 5), 1),
        (scaled, 10),
    ],
)
def test_what_passes_soon_is_no_finding(plant: Callable[[Step], None], steps: int) -> None:
    assert watched(sick(plant, PLANTED, PLANTED + steps - 1)) == []


def test_a_fault_that_comes_back_is_a_second_finding() -> None:
    steps = training(600)
    for step in (*steps[100:200], *steps[400:450]):
        fill("output", "act1", zeros=100)(step)
    found = watched(steps)
    spans = [(each.rule, each.first_step, each.last_step) for each in found]
    assert spans == [("dead", 100, 199), ("dead", 400, 449)]


def test_nan_that_spreads_is_one_finding_at_its_origin() -> None:
    steps = sick(fill("gradient", "fc3.weight", nonfinite=1))
    for step in steps[PLANTED + 1 :]:
        for row in range(len(NETWORK)):
            step.statistics[row, COLUMN["nonfinite"]] = 10
    found = [each for each in watched(steps) if each.severity == "error"]
    assert [(each.rule, each.node, each.first_step) for each in found] == [
        ("nonfinite", "fc3.weight", PLANTED)
    ]


def test_a_training_that_has_arrived_may_stand_still() -> None:
    steps = training(600)
    for step in steps[300:]:
        scale("gradient", "", 1e-4)(step)
        scale("update", "", 1e-5)(step)
    assert watched(steps) == []


def test_findings_are_kept_in_the_run_and_told_at_once(tmp_path: Path) -> None:
    told: list[Finding] = []
    writer = Writer(tmp_path, on_finding=told.append)
    steps = sick(fill("output", "act1", zeros=100))
    for step in steps[:250]:
        writer.put(step)
    run = open_recording(tmp_path)
    assert wait_for(lambda: run.findings)
    assert [(each.rule, each.node, each.first_step) for each in told] == [("dead", "act1", PLANTED)]
    assert told[0].last_step == PLANTED + 19
    for step in steps[250:]:
        writer.put(step)
    writer.close()
    assert len(told) == 1
    [found] = run.findings
    assert (found.rule, found.node, found.last_step) == ("dead", "act1", 299)
    assert found.numbers == {"zeros": 1.0}
    assert isinstance(found, gradtrace.Finding)
    assert str(found).startswith("warning: dead at act1, steps 150 to 299 (zeros 1). Nearly every")


def test_on_finding_that_raises_is_a_warning(tmp_path: Path) -> None:
    def fail(finding: Finding) -> None:
        raise KeyError(finding.node)

    with pytest.warns(GradtraceWarning, match=r"on_finding raised KeyError\('act1'\)"):
        run = recorded(tmp_path, sick(fill("output", "act1", zeros=100)), on_finding=fail)
    assert len(run.findings) == 1
    assert len(run.steps) == 300


def test_rules_that_fail_end_the_watch_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Watch, "see", fail)
    with pytest.warns(GradtraceWarning, match=r"have failed \(ZeroDivisionError\(\)\) and rest"):
        run = recorded(tmp_path, training(10))
    assert len(run.steps) == 10


def test_a_training_without_statistics_is_watched_by_its_loss() -> None:
    steps = [Step(i, float(i), {"loss": np.inf if i == 30 else 1.0}) for i in range(40)]
    [found] = watched(steps)
    assert (found.rule, found.node, found.first_step, found.last_step) == (
        "nonfinite",
        "loss",
        30,
        30,
    )
