"""Apply the table of rules to a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import networkx as nx

from gradtrace.analysis.diagnose.diagnosis import Diagnosis
from gradtrace.analysis.diagnose.findings import SEVERITIES, Finding, Report, Rule, Undetermined
from gradtrace.analysis.diagnose.rules import RULES
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import sharing
from gradtrace.backends import plugins
from gradtrace.errors import OptionError

__all__ = ["diagnose"]

GROUP = "gradtrace.rules"


def diagnose(
    graph: nx.MultiDiGraph[str],
    *,
    thresholds: Thresholds | None = None,
    rules: Sequence[str | Rule] | None = None,
) -> Diagnosis:
    """Return where gradients vanish, explode, die, turn NaN or get lost, and what does it.

    Args:
        graph: A traced or loaded graph.
        thresholds: From where on something is a finding; see `Thresholds`.
        rules: Names of the rules to apply, or rules of your own; all that are known unless told,
            with those of plugins.

    Raises `OptionError` for a rule that does not exist.

    >>> print(diagnose(nx.MultiDiGraph(gradients=True), rules=["vanishing", "exploding"]))
    diagnosis by 2 rules: 0 errors, 0 warnings, 0 notes
    """
    judged_by = thresholds or Thresholds()
    chosen, broken = _chosen(rules)
    reports: list[Report] = list(broken)
    with sharing(graph):
        for rule in chosen:
            reports += _apply(rule, graph, judged_by)
    findings = [report for report in reports if isinstance(report, Finding)]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    unknown = dict.fromkeys(
        (report.rule, report.reason) for report in reports if isinstance(report, Undetermined)
    )
    undetermined = tuple(
        Undetermined(rule, reason, _nodes(reports, rule, reason)) for rule, reason in unknown
    )
    return Diagnosis(tuple(findings), undetermined, tuple(rule.name for rule in chosen))


def _nodes(reports: Iterable[Report], rule: str, reason: str) -> tuple[str, ...]:
    return tuple(
        node
        for report in reports
        if isinstance(report, Undetermined) and (report.rule, report.reason) == (rule, reason)
        for node in report.nodes
    )


def _apply(rule: Rule, graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> list[Report]:
    if rule in RULES:
        return list(rule.find(graph, thresholds))
    try:
        return list(rule.find(graph, thresholds))
    except Exception as error:  # whatever a stranger's rule raises
        return [Undetermined(rule.name, f"the rule raised {type(error).__name__}: {error}")]


def _chosen(rules: Sequence[str | Rule] | None) -> tuple[list[Rule], list[Undetermined]]:
    """Return the rules to apply, and what there is to say of plugins that are broken."""
    if rules is not None and all(isinstance(rule, Rule) for rule in rules):
        return [rule for rule in rules if isinstance(rule, Rule)], []
    known = {rule.name: rule for rule in RULES}
    broken = []
    for plugin in plugins(GROUP):
        if isinstance(plugin.loaded, Rule):
            known.setdefault(plugin.loaded.name, plugin.loaded)
        else:
            reason = plugin.error or "it makes no Rule; help('gradtrace.analysis.diagnose')"
            broken.append(Undetermined(plugin.name, f"the plugin of {plugin.origin}: {reason}"))
    if rules is None:
        return list(known.values()), broken
    for rule in rules:
        if not isinstance(rule, Rule) and rule not in known:
            listed = ", ".join(repr(name) for name in known)
            raise OptionError(f"no rule is named {rule!r}; use some of {listed}")
    return [rule if isinstance(rule, Rule) else known[rule] for rule in rules], broken
