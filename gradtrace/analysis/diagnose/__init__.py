"""Find what is wrong with the gradients of a run: a table of rules, and what they found."""

from __future__ import annotations

from gradtrace.analysis.diagnose.diagnosis import Diagnosis
from gradtrace.analysis.diagnose.findings import SEVERITIES, Finding, Rule, Undetermined
from gradtrace.analysis.diagnose.run import diagnose
from gradtrace.analysis.diagnose.thresholds import Thresholds

__all__ = [
    "SEVERITIES",
    "Diagnosis",
    "Finding",
    "Rule",
    "Thresholds",
    "Undetermined",
    "diagnose",
]
