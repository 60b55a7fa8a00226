"""The gradients of a convolution, as a correlation and as a full convolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, matrix, slopes

__all__ = ["correlate", "run"]

IMAGE = np.array(
    [[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 3.0, 1.0], [2.0, 0.0, 1.0, 2.0], [1.0, 1.0, 0.0, 3.0]]
)
KERNEL = np.array([[1.0, -1.0], [2.0, 0.5]])
SEED = np.array([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0], [0.0, 1.0, 1.0]])
"""The upstream gradient at the result."""


def correlate(image: Any, kernel: Any) -> Any:
    """Slide the kernel over the image; return the sum of products at each place."""
    height, width = (i - k + 1 for i, k in zip(image.shape, kernel.shape, strict=True))
    rows, columns = kernel.shape
    return np.array(
        [
            [np.sum(image[i : i + rows, j : j + columns] * kernel) for j in range(width)]
            for i in range(height)
        ]
    )


def convolve_fully(image: Any, kernel: Any) -> Any:
    """Pad the image until the kernel touches it by a corner, then slide it turned around."""
    rows, columns = (size - 1 for size in kernel.shape)
    return correlate(np.pad(image, ((rows, rows), (columns, columns))), kernel[::-1, ::-1])


def run(output: Path, console: Console) -> dict[str, Any]:
    """Find both gradients as convolutions, and compare them with the engine's."""
    story = Story("convolution", output, console)
    story.say(
        "What is called a convolution in a network is a correlation: the kernel K slides over the "
        "image X, and each element of the result Y is the sum of products at one place:"
    )
    story.derive(("Yᵢⱼ", "Σₘₙ Xᵢ₊ₘ,ⱼ₊ₙ · Kₘₙ"))
    result = correlate(IMAGE, KERNEL)
    story.code(f"X =\n{matrix(IMAGE)}\n\nK =\n{matrix(KERNEL)}\n\nY =\n{matrix(result)}")
    story.part("The kernel: every place at which an element was used")
    story.say(
        "Kₘₙ met Xᵢ₊ₘ,ⱼ₊ₙ when Yᵢⱼ was computed. Its gradient collects the upstream gradient δ "
        "over all places, which is a correlation again, of the image with δ:"
    )
    story.derive(("∂L/∂Kₘₙ", "Σᵢⱼ δᵢⱼ · Xᵢ₊ₘ,ⱼ₊ₙ", "correlate(X, δ)"))
    by_kernel = correlate(IMAGE, SEED)
    story.code(f"δ =\n{matrix(SEED)}\n\n∂L/∂K =\n{matrix(by_kernel)}")
    story.part("The image: every result that an element went into")
    story.say(
        "Xₚᵩ went into Yᵢⱼ by the element Kₚ₋ᵢ,ᵩ₋ⱼ. The minus signs turn the kernel around: this "
        "is a convolution proper, and full, because the corners of X went into one result each:"
    )
    story.derive(("∂L/∂Xₚᵩ", "Σᵢⱼ δᵢⱼ · Kₚ₋ᵢ,ᵩ₋ⱼ", "convolve_fully(δ, K)"))
    by_image = convolve_fully(SEED, KERNEL)
    story.code(f"∂L/∂X =\n{matrix(by_image)}")
    graph, x, k = trace()
    story.part("Checked")
    value = graph.nodes["conv2d"]["value"].array
    story.agree("the result is that of the engine", value[0, 0], result)
    story.agree("the kernel's gradient is the correlation of X with δ", k.grad[0, 0], by_kernel)
    story.agree("the image's is the full convolution of δ with K", x.grad[0, 0], by_image)
    for name, found, function, point in (
        ("kernel", by_kernel, lambda kernel: np.sum(SEED * correlate(IMAGE, kernel)), KERNEL),
        ("image", by_image, lambda image: np.sum(SEED * correlate(image, KERNEL)), IMAGE),
    ):
        what = f"central differences, for the {name}"
        story.agree(what, slopes(function, point), found, tolerance=1e-6)
    story.chain_rule(graph)
    story.figure(graph, title="A convolution, seeded with δ")
    return {**story.facts, "kernel": k.grad[0, 0].tolist(), "image": x.grad[0, 0].tolist()}


def trace() -> tuple[gradtrace.Graph, Any, Any]:
    """Return the graph of the convolution, with the image and the kernel."""
    x = gn.array(IMAGE[None, None], name="image")
    k = gn.parameter(KERNEL[None, None], name="kernel")
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        gn.conv2d(x, k).backward(SEED[None, None])
    return graph, x, k
