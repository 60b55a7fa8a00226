"""The plot of gradient flow that the forums know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtrace.errors import OptionError, RendererError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_grad_flow"]


def plot_grad_flow(named_parameters: Iterable[tuple[str, Any]]) -> Figure:
    """Draw mean and largest magnitude of the gradient of each parameter, in forward order.

    Call it after `backward()`, as `gradtrace.plot_grad_flow(model.named_parameters())`. Returns
    the figure: `figure.savefig("flow.png")`. Biases are left out, as usual; a parameter without
    gradient has no bar, which is not a bar of 0.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise RendererError(
            "plot_grad_flow needs matplotlib: pip install 'gradtrace[plot]'"
        ) from error
    rows = [(name, each) for name, each in named_parameters if not name.endswith("bias")]
    if not rows:
        raise OptionError("there are no parameters; pass model.named_parameters()")
    magnitudes = [_magnitudes(parameter) for _, parameter in rows]
    figure = Figure(figsize=(max(4.0, 0.35 * len(rows)), 4.0), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(rows))
    axes.bar(places, [largest for _, largest in magnitudes], color="#56b4e9", label="largest")
    axes.bar(places, [mean for mean, _ in magnitudes], color="#0072b2", label="mean")
    axes.set_yscale("log")
    axes.set_xticks(places, [name for name, _ in rows], rotation="vertical")
    axes.set_ylabel("magnitude of the gradient")
    axes.legend()
    return figure


def _magnitudes(parameter: Any) -> tuple[float, float]:
    """Return mean and largest magnitude of a gradient, NaN where there is none."""
    gradient = getattr(parameter, "grad", None)
    if gradient is None:
        return float("nan"), float("nan")
    if hasattr(gradient, "detach"):
        gradient = gradient.detach().cpu().double().numpy()
    magnitude = np.abs(np.asarray(gradient))
    return float(magnitude.mean()), float(magnitude.max())
