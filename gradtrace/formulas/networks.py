"""Formulas of normalization, convolution, pooling, and attention."""

from gradtrace.formulas.rows import Row, tensor

__all__ = ["ROWS"]

CONVOLUTION = (
    "Dumoulin & Visin 2016, A guide to convolution arithmetic for deep learning, section 4"
)
INPUTS = "x W:weight b:bias"


def _normalization(ops: str, reference: str, when: str = "") -> Row:
    """Return the row of y = g ⊙ z + b with z = (x − mean)/s and s the standard deviation."""
    return tensor(
        ops,
        "g * z + b",
        "x g:weight b:bias",
        x="(g * delta - mean(g * delta) - z * mean(g * delta * z)) / std",
        g="sum(delta * z)",
        b="sum(delta)",
        reference=reference,
        where=f"z = (x − mean(x))/std, std = √(var(x) + ε){when}",
    )


def _convolution(ops: str, forward: str, back: str) -> Row:
    return tensor(
        ops,
        f"{forward}(x, W) + b",
        INPUTS,
        x=f"{back}(delta, W)",
        W="correlate(x, delta)",
        b="sum(delta)",
        reference=CONVOLUTION,
    )


def _average(ops: str) -> Row:
    return tensor(
        ops,
        "mean_of_windows(x)",
        x="spread(delta) / n",
        reference="the transpose of a mean",
        where="n: size of each window; spread adds up where windows overlap",
    )


def _maximum(ops: str) -> Row:
    return tensor(
        ops,
        "max_of_windows(x)",
        x="put_back(delta)",
        reference="a choice of elements; δ goes where each maximum was",
    )


ROWS = (
    _normalization("layer_norm native_layer_norm", "Ba et al. 2016, Layer normalization, eq. (4)"),
    _normalization(
        "batch_norm native_batch_norm cudnn_batch_norm",
        "Ioffe & Szegedy 2015, Batch normalization, section 3",
        ", in training",
    ),
    _normalization("group_norm native_group_norm", "Wu & He 2018, Group normalization, eq. (1)"),
    _normalization("instance_norm", "Ulyanov et al. 2016, Instance normalization, eq. (2)"),
    tensor(
        "rms_norm",
        "g * z",
        "x g:weight",
        x="(g * delta - z * mean(g * delta * z)) / rms",
        g="sum(delta * z)",
        reference="Zhang & Sennrich 2019, Root mean square layer normalization, eq. (4)",
        where="z = x/rms, rms = √(mean(x²) + ε)",
    ),
    tensor(
        "normalize",
        "x / norm(x)",
        x="(delta - y * sum(delta * y)) / norm(x)",
        reference="the quotient rule; p = 2",
    ),
    tensor(
        "renorm",
        "k * x",
        x="k * delta",
        reference="rows within the limit",
        where="k = 1 where no row is over the limit",
    ),
    _convolution("conv1d", "conv", "conv_transpose"),
    _convolution("conv2d convolution thnn_conv2d", "conv", "conv_transpose"),
    _convolution("conv3d", "conv", "conv_transpose"),
    tensor(
        "conv_transpose1d",
        "conv_transpose(x, W) + b",
        INPUTS,
        x="conv(delta, W)",
        W="correlate(delta, x)",
        b="sum(delta)",
        reference=CONVOLUTION,
    ),
    tensor(
        "conv_transpose2d",
        "conv_transpose(x, W) + b",
        INPUTS,
        x="conv(delta, W)",
        W="correlate(delta, x)",
        b="sum(delta)",
        reference=CONVOLUTION,
    ),
    tensor(
        "conv_transpose3d",
        "conv_transpose(x, W) + b",
        INPUTS,
        x="conv(delta, W)",
        W="correlate(delta, x)",
        b="sum(delta)",
        reference=CONVOLUTION,
    ),
    _average("avg_pool1d"),
    _average("avg_pool2d"),
    _average("avg_pool3d"),
    _average("adaptive_avg_pool1d"),
    _average("adaptive_avg_pool2d"),
    _average("adaptive_avg_pool3d"),
    _maximum("max_pool1d max_pool1d_with_indices"),
    _maximum("max_pool2d max_pool2d_with_indices"),
    _maximum("max_pool3d max_pool3d_with_indices"),
    _maximum("adaptive_max_pool1d"),
    _maximum("adaptive_max_pool2d"),
    tensor(
        "lp_pool1d",
        "sqrt(sum_of_windows(x**2))",
        x="spread(delta / y) * x",
        reference="the gradient of ‖x‖ is x/‖x‖; p = 2, windows apart",
    ),
    tensor(
        "upsample interpolate upsample_nearest2d",
        "spread(x)",
        x="sum(delta)",
        reference="the transpose of copying adds up; mode='nearest'",
    ),
    tensor(
        "scaled_dot_product_attention",
        "softmax(s * Q @ K.T) @ V",
        "Q:query K:key V:value",
        V="P.T @ delta",
        Q="s * (P * (delta @ V.T - sum(delta * y))) @ K",
        K="s * (P * (delta @ V.T - sum(delta * y))).T @ Q",
        reference="Dao et al. 2022, FlashAttention, appendix B.2",
        where="P = softmax(s Q Kᵀ), s = 1/√d; Σ runs over each row",
    ),
)
