"""Problems of neural networks: layers, losses, cells in a loop, shared weights."""

from __future__ import annotations

from typing import Any

from tests.problems.problem import given, labels, normal, positive, problem

__all__: list[str] = []


@problem(normal(4, 3), labels(4, classes=3))
def cross_entropy(xp: Any, scores: Any, classes: Any) -> Any:
    return xp.cross_entropy(scores, classes)


@problem(normal(4, 3), labels(4, classes=3))
def cross_entropy_by_hand(xp: Any, scores: Any, classes: Any) -> Any:
    return -xp.mean(xp.log_softmax(scores, -1)[range(4), classes])


@problem(normal(2, 5))
def softmax(xp: Any, x: Any) -> Any:
    return xp.sum(xp.softmax(x, 1) ** 2) + xp.sum(xp.log_softmax(x, 0) * x)


@problem(normal(4, 3), given(4, 3))
def mean_squared_error(xp: Any, x: Any, target: Any) -> Any:
    return xp.mse(xp.tanh(x), target)


@problem(normal(4, 3))
def binary_cross_entropy(xp: Any, x: Any) -> Any:
    return xp.binary_cross_entropy(xp.sigmoid(x), xp.sigmoid(2.0 * x))


@problem(normal(5, 4), normal(3, 4), normal(3), labels(5, classes=3))
def classifier(xp: Any, x: Any, w: Any, b: Any, classes: Any) -> Any:
    return xp.cross_entropy(xp.linear(x, w, b), classes)


@problem(normal(3, 6), normal(6), normal(6))
def layer_norm(xp: Any, x: Any, scale: Any, shift: Any) -> Any:
    return xp.sum(xp.layer_norm(x, scale, shift) ** 3)


@problem(normal(8, 3), positive(3), normal(3))
def batch_norm(xp: Any, x: Any, scale: Any, shift: Any) -> Any:
    return xp.sum(xp.batch_norm(x, scale, shift) ** 3)


@problem(normal(2, 3, 4, 4), positive(3), normal(3))
def batch_norm_of_images(xp: Any, x: Any, scale: Any, shift: Any) -> Any:
    return xp.sum(xp.relu(xp.batch_norm(x, scale, shift)) ** 2)


@problem(normal(2, 3, 6, 5), normal(4, 3, 3, 3), normal(4))
def convolution(xp: Any, x: Any, kernel: Any, bias: Any) -> Any:
    return xp.sum(xp.relu(xp.conv2d(x, kernel, bias)) ** 2)


@problem(normal(1, 2, 7, 6), normal(3, 2, 3, 2))
def convolution_with_stride(xp: Any, x: Any, kernel: Any) -> Any:
    return xp.sum(xp.conv2d(x, kernel, stride=2) ** 2)


@problem(normal(2, 2, 4, 4), normal(3, 2, 3, 3), normal(3))
def convolution_with_padding(xp: Any, x: Any, kernel: Any, bias: Any) -> Any:
    return xp.sum(xp.conv2d(x, kernel, bias, stride=(2, 1), padding=(1, 2)) ** 2)


@problem(normal(1, 2, 7, 7), normal(2, 2, 3, 3))
def convolution_with_dilation(xp: Any, x: Any, kernel: Any) -> Any:
    return xp.sum(xp.conv2d(x, kernel, dilation=2, padding=1) ** 2)


@problem(normal(2, 4, 5, 5), normal(6, 2, 3, 3), normal(6))
def convolution_in_groups(xp: Any, x: Any, kernel: Any, bias: Any) -> Any:
    return xp.sum(xp.conv2d(x, kernel, bias, groups=2) ** 2)


@problem(normal(2, 2, 6, 6))
def max_pooling(xp: Any, x: Any) -> Any:
    return xp.sum(xp.max_pool2d(x, 2) ** 2) + xp.sum(xp.max_pool2d(x, 3, stride=2) ** 3)


@problem(normal(2, 2, 6, 6))
def average_pooling(xp: Any, x: Any) -> Any:
    return xp.sum(xp.avg_pool2d(x, 2) ** 2) + xp.sum(xp.avg_pool2d(x, 3, stride=2) ** 3)


@problem(
    *(normal(2, 1, 8, 8), normal(4, 1, 3, 3), normal(4), normal(10, 36), normal(10)),
    labels(2, classes=10),
)
def small_convolutional_network(
    xp: Any, x: Any, k: Any, c: Any, w: Any, b: Any, classes: Any
) -> Any:
    hidden = xp.max_pool2d(xp.relu(xp.conv2d(x, k, c)), 2)
    return xp.cross_entropy(xp.linear(xp.reshape(hidden, (2, 36)), w, b), classes)


@problem(normal(7, 3), labels(2, 4, classes=7), normal(3, 3))
def embedding(xp: Any, table: Any, words: Any, w: Any) -> Any:
    return xp.sum(xp.tanh(xp.embedding(words, table) @ w))


@problem(normal(2, 4, 3), normal(2, 5, 3), normal(2, 5, 3))
def attention(xp: Any, query: Any, key: Any, value: Any) -> Any:
    return xp.sum(xp.attention(query, key, value) ** 2)


@problem(normal(4, 3), normal(5, 3), normal(5, 2))
def attention_by_hand(xp: Any, query: Any, key: Any, value: Any) -> Any:
    weights = xp.softmax(query @ xp.transpose(key, (1, 0)) / 3**0.5, -1)
    return xp.sum((weights @ value) ** 2)


@problem(normal(5, 2, 3), normal(2, 4), normal(4, 3), normal(4, 4), normal(4), normal(4))
def recurrent_cell(xp: Any, x: Any, h: Any, w: Any, u: Any, b: Any, c: Any) -> Any:
    for step in range(5):
        h = xp.rnn_cell(x[step], h, w, u, b, c)
    return xp.sum(h**2)


@problem(normal(3, 2, 3), normal(2, 4), normal(2, 4), normal(16, 3), normal(16, 4), normal(16))
def long_short_term_memory(xp: Any, x: Any, h: Any, c: Any, w: Any, u: Any, b: Any) -> Any:
    for step in range(3):
        h, c = xp.lstm_cell(x[step], (h, c), w, u, b, b)
    return xp.sum(h * c)


@problem(normal(6, 2, 3), normal(4, 3), normal(4, 4), normal(4))
def recurrence_by_hand(xp: Any, x: Any, w: Any, u: Any, b: Any) -> Any:
    h = xp.tanh(xp.linear(x[0], w, b))
    for step in range(1, 6):
        h = xp.tanh(xp.linear(x[step], w, b) + xp.linear(h, u))
    return xp.sum(h**2)


@problem(normal(4, 5), normal(5, 5), normal(5), normal(5, 5), normal(5))
def residual_network(xp: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    h = x + xp.relu(xp.linear(x, w1, b1))
    h = h + xp.relu(xp.linear(h, w2, b2))
    return xp.mean(h**2)


@problem(normal(4, 3), normal(3, 3), normal(3))
def shared_weights(xp: Any, x: Any, w: Any, b: Any) -> Any:
    for _ in range(4):
        x = xp.tanh(xp.linear(x, w, b))
    return xp.sum(x)


@problem(normal(4, 6), normal(3, 6))
def tied_autoencoder(xp: Any, x: Any, w: Any) -> Any:
    code = xp.sigmoid(xp.linear(x, w))
    return xp.mean((code @ w - x) ** 2)


@problem(normal(4, 6), normal(8, 6), normal(8), normal(3, 8), normal(3), labels(4, classes=3))
def multilayer_perceptron(xp: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any, classes: Any) -> Any:
    return xp.cross_entropy(xp.linear(xp.gelu(xp.linear(x, w1, b1)), w2, b2), classes)


@problem(normal(5, 4), normal(3, 4), normal(5, 3))
def two_heads(xp: Any, x: Any, w: Any, u: Any) -> Any:
    h = xp.tanh(xp.linear(x, w))
    return xp.sum(h * u), xp.mean(xp.linear(xp.transpose(h, (1, 0)), xp.transpose(u, (1, 0))))


@problem(normal(4, 6), normal(6), normal(6), normal(6, 6), normal(12, 6), normal(6, 12))
def transformer_block(xp: Any, x: Any, scale: Any, shift: Any, w: Any, up: Any, down: Any) -> Any:
    z = xp.layer_norm(x, scale, shift)
    x = x + xp.attention(xp.linear(z, w), z, z)
    z = xp.layer_norm(x, scale, shift)
    return xp.mean((x + xp.linear(xp.gelu(xp.linear(z, up)), down)) ** 2)
