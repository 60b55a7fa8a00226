"""The functions of networks against PyTorch, values and gradients, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

import gradtrace_numpy as gn
from tests.numpy.draws import spread

RNG = np.random.default_rng(0)
X = spread(RNG, (4, 3))
IMAGES = spread(RNG, (2, 4, 6, 5))
KERNELS = spread(RNG, (6, 4, 3, 2))
GROUPED = spread(RNG, (6, 2, 3, 2))
CHANNELS = spread(RNG, (6,))
QKV = [spread(RNG, (2, 5, 3)) for _ in range(3)]
MASK = np.tril(np.ones((5, 5), dtype=bool))
SOME = MASK & (np.arange(5) != 2)[:, None]
CELL = [spread(RNG, shape) for shape in [(4, 3), (4, 2), (2, 3), (2, 2), (2,), (2,)]]
LSTM = [spread(RNG, s) for s in [(4, 3), (4, 2), (4, 2), (8, 3), (8, 2), (8,), (8,)]]
CLASSES = np.array([2, 0, 1, 1])

Case = tuple[Callable[..., Any], Callable[..., Any], list[Any]]


def lstm(*xs: Any) -> Any:
    h, c = gn.lstm_cell(xs[0], (xs[1], xs[2]), *xs[3:])
    return np.concatenate([h, c])


def torch_lstm(*xs: Any) -> Any:
    return torch.cat(torch.lstm_cell(xs[0], (xs[1], xs[2]), *xs[3:]))


# fmt: off
CASES: dict[str, Case] = {
    "sigmoid":        (gn.sigmoid, torch.sigmoid, [X * 20]),
    "tanh":           (gn.tanh, torch.tanh, [X]),
    "relu":           (gn.relu, F.relu, [X]),
    "leaky_relu":     (lambda x: gn.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2), [X]),
    "gelu":           (gn.gelu, F.gelu, [X]),
    "softplus":       (gn.softplus, F.softplus, [X]),
    "softmax":        (gn.softmax, lambda x: F.softmax(x, -1), [X]),
    "softmax 0":      (lambda x: gn.softmax(x, axis=0), lambda x: F.softmax(x, 0), [X]),
    "log_softmax":    (gn.log_softmax, lambda x: F.log_softmax(x, -1), [X]),
    "linear":         (gn.linear, F.linear, [QKV[0], spread(RNG, (4, 3)), spread(RNG, (4,))]),
    "linear, no bias": (gn.linear, F.linear, [X, spread(RNG, (4, 3))]),
    "conv2d":         (gn.conv2d, F.conv2d, [IMAGES, KERNELS, CHANNELS]),
    "conv2d options": (lambda *xs: gn.conv2d(*xs, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
                       lambda *xs: F.conv2d(*xs, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
                       [IMAGES, GROUPED, CHANNELS]),
    "conv2d depthwise": (lambda *xs: gn.conv2d(*xs, groups=4, padding=1), lambda *xs: F.conv2d(*xs, groups=4, padding=1),
                         [IMAGES, spread(RNG, (4, 1, 3, 3))]),
    "max_pool2d":     (lambda x: gn.max_pool2d(x, 2), lambda x: F.max_pool2d(x, 2), [IMAGES]),
    "max_pool2d overlapping": (lambda x: gn.max_pool2d(x, 3, stride=2, padding=1),
                               lambda x: F.max_pool2d(x, 3, stride=2, padding=1), [IMAGES]),
    "max_pool2d ties": (lambda x: gn.max_pool2d(x, 2), lambda x: F.max_pool2d(x, 2), [np.ones((1, 1, 4, 4))]),
    "avg_pool2d":     (lambda x: gn.avg_pool2d(x, (3, 2), stride=(2, 1), padding=1),
                       lambda x: F.avg_pool2d(x, (3, 2), stride=(2, 1), padding=1), [IMAGES]),
    "layer_norm":     (gn.layer_norm, lambda x, w, b: F.layer_norm(x, (3,), w, b), [X, spread(RNG, (3,)), spread(RNG, (3,))]),
    "layer_norm 2":   (lambda x: gn.layer_norm(x, axis=1), lambda x: F.layer_norm(x, (5, 3)), [QKV[0]]),
    "batch_norm":     (gn.batch_norm, lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
                       [IMAGES, spread(RNG, (4,)), spread(RNG, (4,))]),
    "batch_norm 1":   (gn.batch_norm, lambda x: F.batch_norm(x, None, None, training=True), [X]),
    "embedding":      (lambda w: gn.embedding(CLASSES, w), lambda w: F.embedding(torch.tensor(CLASSES), w), [X]),
    "attention":      (gn.attention, F.scaled_dot_product_attention, QKV),
    "attention mask": (lambda *xs: gn.attention(*xs, MASK),
                       lambda *xs: F.scaled_dot_product_attention(*xs, torch.tensor(MASK)), QKV),
    "attention mask that is added": (lambda *xs: gn.attention(*xs, np.where(MASK, 0.5, -np.inf)),
                       lambda *xs: F.scaled_dot_product_attention(*xs, torch.tensor(np.where(MASK, 0.5, -np.inf))), QKV),
    "attention of one who sees nothing": (lambda *xs: gn.attention(*xs, SOME), lambda *xs: F.scaled_dot_product_attention(*xs, torch.tensor(SOME)), QKV),
    "max_pool2d of infinity": (lambda x: gn.max_pool2d(x, 2), lambda x: F.max_pool2d(x, 2),
                       [np.array([[[[np.inf, 1.0], [2.0, 3.0]], [[-np.inf, -np.inf], [-np.inf, 1.0]]]])]),
    "rnn_cell":       (gn.rnn_cell, torch.rnn_tanh_cell, CELL),
    "lstm_cell":      (lstm, torch_lstm, LSTM),
    "mse":            (gn.mse, F.mse_loss, [X, X[::-1].copy()]),
    "mse sum":        (lambda *xs: gn.mse(*xs, reduction="sum"), lambda *xs: F.mse_loss(*xs, reduction="sum"), [X, X[::-1].copy()]),
    "cross_entropy":  (lambda x: gn.cross_entropy(x, CLASSES), lambda x: F.cross_entropy(x, torch.tensor(CLASSES)), [X * 30]),
    "cross_entropy none": (lambda x: gn.cross_entropy(x, CLASSES, reduction="none"),
                           lambda x: F.cross_entropy(x, torch.tensor(CLASSES), reduction="none"), [X]),
    "cross_entropy images": (lambda x: gn.cross_entropy(x, np.ones((2, 6, 5), int)),
                             lambda x: F.cross_entropy(x, torch.ones((2, 6, 5), dtype=torch.int64)), [IMAGES]),
    "binary_cross_entropy": (gn.binary_cross_entropy, F.binary_cross_entropy,
                             [spread(RNG, (4, 3), 0.1, 0.9), spread(RNG, (4, 3), 0.0, 1.0)]),
}
# fmt: on


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_torch_computes(name: str) -> None:
    ours, theirs, operands = CASES[name]
    arrays = [gn.array(x) for x in operands]
    tensors = [torch.tensor(x, requires_grad=True) for x in operands]
    result, expected = ours(*arrays), theirs(*tensors)
    np.testing.assert_allclose(result.data, expected.detach().numpy(), rtol=1e-10, atol=1e-14)
    seed = np.random.default_rng(1).standard_normal(result.shape)
    result.backward(seed)
    expected.backward(torch.tensor(seed))
    for array, tensor in zip(arrays, tensors, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(array.grad, tensor.grad.numpy(), rtol=1e-10, atol=1e-13)


def test_plain_ndarrays_stay_plain() -> None:
    for ours, theirs, operands in CASES.values():
        result = ours(*operands)
        assert isinstance(result, np.ndarray | np.floating)
        expected = theirs(*map(torch.tensor, operands)).numpy()
        np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-14)


def test_batch_norm_keeps_running_statistics() -> None:
    mean, var = np.zeros(4), np.ones(4)
    their_mean, their_var = torch.zeros(4).double(), torch.ones(4).double()
    gn.batch_norm(gn.array(IMAGES), running_mean=mean, running_var=var)
    F.batch_norm(torch.tensor(IMAGES), their_mean, their_var, training=True)
    np.testing.assert_allclose(mean, their_mean.numpy())
    np.testing.assert_allclose(var, their_var.numpy())
    weight, bias = gn.array(np.arange(1.0, 5.0)), gn.array(np.ones(4))
    x = gn.array(IMAGES)
    run = {"running_mean": mean, "running_var": var, "training": False}
    result = gn.batch_norm(x, weight, bias, **run)
    tensors = [torch.tensor(each.data) for each in (x, weight, bias)]
    expected = F.batch_norm(tensors[0], their_mean, their_var, tensors[1], tensors[2])
    np.testing.assert_allclose(result.data, expected.numpy())


def test_dropout_keeps_the_mean_and_passes_gradients_where_it_kept() -> None:
    x = gn.array(np.ones((200, 200)))
    result = gn.dropout(x, 0.25, rng=np.random.default_rng(0))
    assert set(np.unique(result.data).round(12)) == {0.0, round(1 / 0.75, 12)}
    assert result.data.mean() == pytest.approx(1.0, abs=0.02)
    result.sum().backward()
    np.testing.assert_array_equal(x.grad, result.data)
    assert gn.dropout(x, 0.25, training=False) is x
    assert not gn.dropout(x, 1.0).data.any()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda ps: gn.SGD(ps, lr=0.1), lambda ps: torch.optim.SGD(ps, lr=0.1)),
        (
            lambda ps: gn.SGD(ps, lr=0.1, momentum=0.9),
            lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9),
        ),
        (lambda ps: gn.Adam(ps, lr=0.1), lambda ps: torch.optim.Adam(ps, lr=0.1)),
    ],
    ids=["sgd", "momentum", "adam"],
)
def test_optimizers_move_as_those_of_torch(ours: Any, theirs: Any) -> None:
    w, b = gn.parameter(X), gn.parameter(CHANNELS[:3])
    tw, tb = (torch.nn.Parameter(torch.tensor(each.numpy())) for each in (w, b))
    optimizer, reference = ours({"w": w, "b": b}), theirs([tw, tb])
    for _ in range(5):
        np.sum((w * w + b) ** 2).backward()
        ((tw * tw + tb) ** 2).sum().backward()
        optimizer.step()
        reference.step()
        optimizer.zero_grad()
        reference.zero_grad()
    np.testing.assert_allclose(w.data, tw.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(b.data, tb.detach().numpy(), rtol=1e-10)


def test_clipping_is_that_of_torch() -> None:
    arrays = [gn.array(X), gn.array(CHANNELS)]
    tensors = [torch.tensor(each.numpy(), requires_grad=True) for each in arrays]
    (np.sum(arrays[0] ** 3) + np.sum(arrays[1] ** 2)).backward()
    ((tensors[0] ** 3).sum() + (tensors[1] ** 2).sum()).backward()
    expected = float(torch.nn.utils.clip_grad_norm_(tensors, 1.0))
    assert gn.clip_gradients(arrays, 1.0) == pytest.approx(expected)
    for array, tensor in zip(arrays, tensors, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(array.grad, tensor.grad.numpy(), rtol=1e-6)  # torch adds 1e-6


def test_small_gradients_are_not_clipped() -> None:
    x = gn.array([3.0, 4.0])
    (0.5 * np.sum(x * x)).backward()
    assert gn.clip_gradients([x], 10.0) == 5.0
    assert x.grad.tolist() == [3.0, 4.0]
    assert gn.clip_gradients([x], 1.0) == 5.0
    assert np.linalg.norm(x.grad) == pytest.approx(1.0)
