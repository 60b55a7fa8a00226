"""The demos that `gradtrace demo` knows, each a row here with a module of its name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradtrace.errors import GradtraceError, OptionError, require_choice

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["DEMOS", "Demo", "run_demo"]


@dataclass(frozen=True, slots=True)
class Demo:
    """A program that shows one thing.

    Its module, `gradtrace.demos.<name>`, has a function `run(output, console)`. It tells the
    story on the console, leaves its files in the folder `output`, and returns what it found as
    plain data.
    """

    name: str
    line: str
    """What it shows, in one line."""
    needs: tuple[str, ...]
    """Modules without which it cannot run, all of which the extra `demo` installs."""


DEMOS = {
    demo.name: demo
    for demo in (
        Demo(
            "digits",
            "a small convolutional network learns handwritten digits; one step of it is traced",
            needs=("torch", "sklearn", "graphviz"),
        ),
        Demo(
            "composite",
            "(x² + 1)³ taken apart: dz/dx = dz/dy · dy/dx",
            needs=("graphviz",),
        ),
        Demo(
            "scalar",
            "a network of single numbers: four gradients, factor by factor",
            needs=("graphviz",),
        ),
        Demo(
            "deep", "layer by layer: upstream × local derivative = downstream", needs=("graphviz",)
        ),
        Demo(
            "activations",
            "sigmoid, tanh, ReLU and leaky ReLU with their slopes",
            needs=("graphviz",),
        ),
        Demo(
            "perceptron",
            "backpropagation written out in NumPy, matched at every layer",
            needs=("graphviz",),
        ),
        Demo("matrix", "y = Wx + b: the Jacobians ∂y/∂W, ∂y/∂x and ∂y/∂b", needs=("graphviz",)),
        Demo(
            "convolution",
            "gradients of kernel and image as correlation and full convolution",
            needs=("graphviz",),
        ),
        Demo(
            "vanishing",
            "why gradients vanish: activations, shortcuts and initialization, gain by gain",
            needs=("graphviz",),
        ),
        Demo(
            "exploding",
            "why gradients explode, and how clipping by the global norm helps",
            needs=("graphviz",),
        ),
        Demo(
            "pytorch",
            "sigmoid, square, mean in PyTorch: automatic against by hand",
            needs=("torch", "graphviz"),
        ),
        Demo(
            "recurrent",
            "backpropagation through 60 steps of time, and the sum over them",
            needs=("graphviz",),
        ),
        Demo(
            "attention",
            "how gradients reach query, key and value through the softmax",
            needs=("graphviz",),
        ),
        Demo(
            "checking",
            "a right and a wrong derivative told apart by central differences",
            needs=("graphviz",),
        ),
        Demo("mistakes", "the common mistakes, each with what reveals it", needs=("graphviz",)),
        Demo(
            "practice", "three problems to solve by hand, with their solutions", needs=("graphviz",)
        ),
    )
}
"""Every demo by its name; the first one runs unless another is asked for."""


def run_demo(name: str, *, output: Path, console: Console) -> dict[str, Any]:
    """Run the demo `name`, which leaves its files in the folder `output`.

    Raises `OptionError` for a name that is no demo's or a folder that cannot be made, and
    `GradtraceError` where a package is missing.
    """
    require_choice("demo", name, DEMOS)
    missing = [module for module in DEMOS[name].needs if find_spec(module) is None]
    if missing:
        raise GradtraceError(
            f"the demo {name!r} needs {' and '.join(missing)}, not installed here; "
            "pip install 'gradtrace[demo]' installs all that demos need"
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"output={str(output)!r} cannot be made a folder: {error.strerror}; name another"
        ) from error
    found: dict[str, Any] = import_module(f"gradtrace.demos.{name}").run(output, console)
    return found
