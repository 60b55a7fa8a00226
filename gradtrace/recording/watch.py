"""Watch a training: follow the verdict of each rule from step to step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from gradtrace.finding import Finding as Reported
from gradtrace.recording.judges import WARM_UP, Verdict
from gradtrace.recording.rules import RULES, Rule
from gradtrace.recording.sample import Step
from gradtrace.recording.window import Plan, Window

__all__ = ["Finding", "Watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Reported):
    """What a rule reports of a training: what `diagnose` does of a graph, over some steps.

    Its `numbers` are those of the step at which it was sure.
    """

    node: str
    edge: None = None
    first_step: int
    last_step: int
    """The last one so far."""

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {number:.3g}" for name, number in self.numbers.items())
        steps = f"step {self.first_step:,}"
        if self.last_step != self.first_step:
            steps = f"steps {self.first_step:,} to {self.last_step:,}"
        head = f"{self.severity}: {self.rule} at {self.node or 'the model'}, {steps}"
        return f"{head}{f' ({shown})' if shown else ''}. {self.cause} {self.remedy}"


@dataclass(slots=True)
class _Streak:
    """How long a rule has held at a node, or has not held there."""

    length: int = 0
    calm: int = 0
    first: int = 0
    finding: Finding | None = None

    def go_on(
        self, rule: Rule, verdict: Verdict, row: int, column: int, step: int, age: int
    ) -> tuple[Finding, bool] | None:
        """Note that the rule holds, at a step of that age; return the finding, and if it is new."""
        self.first = self.first if self.length else step
        self.length += 1
        self.calm = 0
        if self.finding is not None:
            self.finding = replace(self.finding, last_step=step)
            return self.finding, False
        if self.length < rule.patience or (age < WARM_UP + rule.patience and not rule.early):
            return None
        self.finding = _finding(rule, verdict, row, column, self.first, step)
        return self.finding, True

    def end(self, patience: int) -> None:
        """Note that the rule does not hold."""
        self.length = 0
        self.calm += 1
        if self.calm >= patience:
            self.finding = None

    @property
    def over(self) -> bool:
        """Whether nothing is left to follow."""
        return not self.length and self.finding is None


class Watch:
    """Sees the steps of one session in order. What it finds does not depend on their batches."""

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self._rules = rules
        self._notes: list[dict[str, Any]] = [{} for _ in rules]
        self._streaks: list[dict[str, _Streak]] = [{} for _ in rules]
        self._plan = Plan(())
        self._seen = 0

    def see(self, steps: Sequence[Step]) -> tuple[list[Finding], list[Finding]]:
        """Look at `steps`; return the findings that begin in them, and all as they are now."""
        begun: list[Finding] = []
        changed: dict[tuple[int, str, int], Finding] = {}
        for _, group in groupby(steps, key=lambda step: id(step.series)):
            part = list(group)
            if self._plan.series is not part[0].series:
                self._plan = Plan(part[0].series)
            window = Window(self._plan, part, self._seen)
            self._seen += len(part)
            for number, rule in enumerate(self._rules):
                verdict = rule.judge(window, self._notes[number])
                for finding, new in self._follow(number, window, verdict) if verdict else ():
                    changed[number, finding.node, finding.first_step] = finding
                    begun += [finding] if new else []
        return begun, list(changed.values())

    def _follow(
        self, number: int, window: Window, verdict: Verdict
    ) -> Iterator[tuple[Finding, bool]]:
        """Yield each finding that begins or goes on, from the columns where anything is amiss."""
        rule, streaks = self._rules[number], self._streaks[number]
        holds = verdict.holds & verdict.known
        amiss = np.logical_or.reduce(holds, axis=0)
        for column, node in enumerate(verdict.nodes):
            if amiss[column] or node in streaks:
                streak = streaks.setdefault(node, _Streak())
                for row in np.flatnonzero(verdict.known[:, column]).tolist():
                    step = window.indices[row]
                    if not holds[row, column]:
                        streak.end(rule.patience)
                    elif finding := streak.go_on(rule, verdict, row, column, step, window.age(row)):
                        yield finding
                if streak.over:
                    del streaks[node]


def _finding(rule: Rule, verdict: Verdict, row: int, column: int, first: int, last: int) -> Finding:
    return Finding(
        rule=rule.name,
        severity=rule.severity,
        node=verdict.blamed(row) if verdict.blamed else verdict.nodes[column],
        numbers={name: float(each[row, column]) for name, each in verdict.numbers.items()},
        cause=rule.cause,
        remedy=rule.remedy,
        first_step=first,
        last_step=last,
    )
