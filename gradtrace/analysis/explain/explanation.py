"""An explanation of a gradient, which writes itself as text, Markdown or LaTeX."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gradtrace.analysis.explain.results import Factor, Meaning, Note, Path, Rest, Written
from gradtrace.errors import require_choice
from gradtrace.summary import Summary

__all__ = ["FORMS", "Explanation"]

FORMS = ("text", "markdown", "latex")


@dataclass(frozen=True, repr=False)
class Explanation:
    """The chain rule from outputs back to a target: a sum over paths of products of factors."""

    target: str
    output: str | None
    """The node it begins at; None where a backward pass began at several."""
    name: Written
    """What is explained, such as ∂L/∂w₁."""
    value: Summary | None
    """What the paths add up to: the upstream gradient at the target."""
    seed: Summary | None
    """The gradient that it begins with."""
    paths: tuple[Path, ...]
    """The largest paths, the largest first."""
    rest: Rest | None
    """The sum of all others."""
    legend: tuple[Meaning, ...]
    notes: tuple[Note, ...]
    reason: str | None = None
    """Why there is no path, or what about the numbers is not known."""
    form: str = "text"

    @property
    def count(self) -> int:
        """The number of paths there are."""
        return len(self.paths) + (self.rest.count if self.rest else 0)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors of the largest path."""
        return self.paths[0].factors if self.paths else ()

    def to(self, form: str) -> Explanation:
        """Return the same explanation, which writes itself in another form."""
        require_choice("form", form, FORMS)
        return replace(self, form=form)

    def __str__(self) -> str:
        from gradtrace.analysis.explain.latex import latex
        from gradtrace.analysis.explain.markdown import markdown
        from gradtrace.analysis.explain.text import text

        return {"text": text, "markdown": markdown, "latex": latex}[self.form](self)

    def __repr__(self) -> str:
        from gradtrace.analysis.explain.text import count

        paths = f"{count(self.count)} path{'s' if self.count != 1 else ''}"
        return f"<gradtrace.Explanation of {self.name} at {self.target!r}: {paths}>"

    def _repr_markdown_(self) -> str:
        return str(self.to("markdown"))

    def _repr_latex_(self) -> str:
        return str(self.to("latex"))
