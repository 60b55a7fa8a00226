"""The findings of a diagnosis, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from gradtrace.analysis.diagnose.findings import SEVERITIES, Finding, Undetermined
from gradtrace.analysis.flow import shown
from gradtrace.analysis.report import Report

__all__ = ["Diagnosis"]

SHOWN = 4
"""Nodes that the printed diagnosis names for one cause."""

NOUNS = {"error": "errors", "warning": "warnings", "note": "notes"}


@dataclass(frozen=True, repr=False)
class Diagnosis(Report, Sequence[Finding]):
    """What the rules found, worst first, and what they could not determine."""

    findings: tuple[Finding, ...]
    undetermined: tuple[Undetermined, ...] = ()
    rules: tuple[str, ...] = ()
    """The rules that were applied."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings where numbers are lost: NaN, infinity, overflow."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that hinder training."""
        return self._of("warning")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """Findings worth knowing, which may be meant so, such as frozen parameters."""
        return self._of("note")

    @property
    def ok(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return not self.errors and not self.warnings

    def _of(self, severity: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == severity)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, index: int | slice) -> Finding | tuple[Finding, ...]:
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        lines = [f"diagnosis by {len(self.rules)} rules: {self._counts()}"]
        for group in self._groups():
            lines += ["", *_described(group)]
        if self.undetermined:
            lines += ["", "could not be determined"]
            lines += [f"  {each.rule}: {each.reason}" for each in self.undetermined]
        return "\n".join(lines)

    def _groups(self) -> list[list[Finding]]:
        """Return findings of one rule with one cause together."""
        groups: dict[tuple[str, ...], list[Finding]] = {}
        for finding in self.findings:
            key = (finding.severity, finding.rule, finding.cause, finding.remedy)
            groups.setdefault(key, []).append(finding)
        return list(groups.values())

    def _counts(self) -> str:
        counts = [(severity, len(self._of(severity))) for severity in SEVERITIES]
        return ", ".join(
            f"{count:,} {severity if count == 1 else NOUNS[severity]}" for severity, count in counts
        )


def _described(group: list[Finding]) -> list[str]:
    first = group[0]
    nodes = [_placed(finding) for finding in group if finding.node is not None]
    more = f" and {len(nodes) - SHOWN:,} more" if len(nodes) > SHOWN else ""
    lines = [f"{first.severity}  {first.rule}  {', '.join(nodes[:SHOWN])}{more}".rstrip()]
    lines.append(f"  {_sentence(first.cause)}")
    if len(group) == 1 and first.numbers:  # of several, each has its own
        numbers = [
            f"{name.replace('_', ' ')} {_written(number)}"
            for name, number in first.numbers.items()
            if number is not None and not isinstance(number, dict | list | tuple)
        ]
        lines.append(f"  {', '.join(numbers)}")
    lines.append(f"  → {_sentence(first.remedy)}")
    return lines


def _placed(finding: Finding) -> str:
    source = finding.source
    return f"{finding.node} ({source.file}:{source.line})" if source else str(finding.node)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _written(number: object) -> str:
    if isinstance(number, int) and not isinstance(number, bool):
        return f"{number:,}"
    return shown(number) if isinstance(number, float) or number is None else str(number)
