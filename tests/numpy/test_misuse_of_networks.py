"""What the functions of networks say to those who use them in a way that cannot work."""

from __future__ import annotations

import numpy as np
import pytest

import gradtrace_numpy as gn
from gradtrace.errors import OptionError
from tests.numpy.misuse import Case, assert_teaches, x

CASES: dict[str, Case] = {
    "shapes of linear": (
        gn.ShapeError,
        "linear cannot take operands of these shapes: input (2, 3), weight (4, 2)",
        lambda: gn.linear(x(), np.ones((4, 2))),
    ),
    "shapes of conv2d": (
        gn.ShapeError,
        "input is (samples, channels, height, width) with 3 channels here",
        lambda: gn.conv2d(gn.array(np.ones((1, 2, 4, 4))), np.ones((1, 3, 2, 2))),
    ),
    "mse that would broadcast": (
        gn.ShapeError,
        "an input of shape (3, 1) and a target of shape (3,) would be broadcast",
        lambda: gn.mse(gn.array(np.ones((3, 1))), np.ones(3)),
    ),
    "targets that are no classes": (
        gn.ShapeError,
        "targets are class numbers, integers from 0 to 2",
        lambda: gn.cross_entropy(x(), np.array([0, 3])),
    ),
    "a limit that is no length": (
        OptionError,
        "max_norm=-1 is no length",
        lambda: gn.clip_gradients([x()], -1),
    ),
    "a probability that is none": (
        OptionError,
        "p=1.5 is no probability; pass a number from 0 to 1",
        lambda: gn.dropout(x(), 1.5),
    ),
    "probabilities that are none": (
        gn.ShapeError,
        "input holds probabilities, from 0 to 1; sigmoid makes them of any number",
        lambda: gn.binary_cross_entropy(x(), np.ones((2, 3))),
    ),
    "a mask of zeros and ones": (
        OptionError,
        "a mask is boolean, true where attention is allowed, or holds floats that are added",
        lambda: gn.attention(x(), x(), x(), np.tril(np.ones((2, 2)))),
    ),
    "batch_norm of one axis": (
        gn.ShapeError,
        "batch_norm takes samples with channels on axis 1, not an input of shape (3,)",
        lambda: gn.batch_norm(x()[0]),
    ),
    "evaluation without statistics": (
        OptionError,
        "batch_norm(training=False) normalizes with running statistics; pass running_mean=",
        lambda: gn.batch_norm(x(), training=False),
    ),
    "running statistics that are arrays": (
        OptionError,
        "running statistics are ndarrays, updated in place; pass np.zeros(3), no Array",
        lambda: gn.batch_norm(x(), running_mean=gn.array(np.zeros(3)), running_var=np.ones(3)),
    ),
    "a weight that is no matrix": (
        gn.ShapeError,
        "weight (3,); weight has the shape (features out, features in)",
        lambda: gn.linear(x(), np.ones(3)),
    ),
    "a convolution without steps": (
        gn.ShapeError,
        "stride=(0, 0) is no step; it is 1 or more",
        lambda: gn.conv2d(np.ones((1, 1, 3, 3)), x()[None, None], stride=0),
    ),
    "a kernel of two axes": (
        gn.ShapeError,
        "weight is (channels out, channels in / groups, height, width)",
        lambda: gn.conv2d(np.ones((1, 1, 3, 3)), x()),
    ),
    "channels that groups do not divide": (
        gn.ShapeError,
        "3 channels out do not divide into 2 groups",
        lambda: gn.conv2d(gn.array(np.ones((1, 2, 3, 3))), np.ones((3, 1, 2, 2)), groups=2),
    ),
    "pooling of a matrix": (
        gn.ShapeError,
        "input (2, 3); input is (samples, channels, height, width)",
        lambda: gn.max_pool2d(x(), 2),
    ),
    "padding wider than the kernel": (
        gn.ShapeError,
        "padding=(2, 2) is at most half of the kernel, (2, 2)",
        lambda: gn.avg_pool2d(x()[None, None], 2, padding=2),
    ),
    "an optimizer of nothing": (
        gn.BackwardError,
        "an optimizer needs differentiable arrays",
        lambda: gn.SGD({"ids": gn.array([1, 2])}),
    ),
    "a reduction that does not exist": (
        OptionError,
        "reduction='max' is not an option",
        lambda: gn.mse(x(), x(), reduction="max"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_error_teaches(name: str) -> None:
    assert_teaches(CASES[name])
