"""What is kept of a tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["SMALL", "Summary"]

SMALL = 1024
"""Number of elements up to which `keep="small"` keeps a tensor whole."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Shape, statistics and, where kept, the elements of one tensor.

    A statistic that was not computed is None, never 0. Statistics of complex tensors are those
    of the magnitudes. NaN and infinity are not left out: they show in every statistic, and
    `nonfinite` counts them.

    >>> Summary.of(np.array([3.0, -4.0]))
    Summary(shape=(2,), dtype='float64', norm=5, mean=-0.5, min=-4, max=3)
    """

    shape: tuple[int, ...]
    dtype: str
    device: str = "cpu"
    norm: float | None = None
    """Euclidean norm, the root of the sum of squares."""
    mean: float | None = None
    std: float | None = None
    """Population standard deviation. From running sums for tensors that are not kept."""
    min: float | None = None
    max: float | None = None
    nonfinite: int | None = None
    """Number of NaN and infinite elements."""
    zeros: int | None = None
    """Number of elements that are exactly 0. Not computed where it would cost extra passes."""
    array: npt.NDArray[np.generic] | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def rms(self) -> float | None:
        """Root mean square, norm / √size."""
        if self.norm is None or not self.size:
            return None
        return self.norm / math.sqrt(self.size)

    @classmethod
    def of(
        cls,
        array: npt.ArrayLike,
        *,
        keep: bool = False,
        dtype: str | None = None,
        device: str = "cpu",
    ) -> Summary:
        """Summarize `array` in float64, keeping its elements where `keep` says so.

        `dtype` names the type the framework has where NumPy has none, such as `bfloat16`.
        """
        elements = np.asarray(array)
        kept = elements if keep else None
        name = dtype or str(elements.dtype)
        if elements.size == 0:
            return cls(elements.shape, name, device, 0.0, nonfinite=0, zeros=0, array=kept)
        numbers = (np.abs(elements) if np.iscomplexobj(elements) else elements).astype(np.float64)
        with np.errstate(all="ignore"):
            return cls(
                shape=elements.shape,
                dtype=name,
                device=device,
                norm=_norm(numbers),
                mean=float(numbers.mean()),
                std=float(numbers.std()),
                min=float(numbers.min()),
                max=float(numbers.max()),
                nonfinite=int(numbers.size - np.isfinite(numbers).sum()),
                zeros=int(numbers.size - np.count_nonzero(numbers)),
                array=kept,
            )

    def __repr__(self) -> str:
        statistics = ("norm", "mean", "min", "max")
        shown = [
            f"{name}={value:.6g}"
            for name in statistics
            if (value := getattr(self, name)) is not None
        ]
        if self.nonfinite:
            shown.append(f"nonfinite={self.nonfinite}")
        head = [f"shape={self.shape}", f"dtype={self.dtype!r}"]
        return f"Summary({', '.join(head + shown)})"


def _norm(numbers: npt.NDArray[np.float64]) -> float:
    """Return the Euclidean norm without overflow or underflow of the squares."""
    largest = float(np.abs(numbers).max())
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm((numbers / largest).ravel()))
