"""How the report of an analysis shows itself, in a notebook and anywhere else."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

__all__ = ["Report"]


class Report:
    """A result that a notebook shows in full, and that is one line in a list."""

    @abstractmethod
    def _counts(self) -> str:
        """Return what there is how often, in a few words."""

    def __repr__(self) -> str:
        return f"<gradtrace.{type(self).__name__}: {self._counts()}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))
