"""Know an operation by all the names that engines give it."""

from __future__ import annotations

__all__ = ["CORRESPONDENCES", "operation"]

CORRESPONDENCES = """
    add iadd add_ radd
    sub isub sub_ subtract
    rsub rsubtract
    mul imul mul_ rmul multiply
    div div_ truediv true_divide divide itruediv
    pow pow_ power float_power
    neg negative neg_
    matmul mm bmm dot addmm __matmul__
    exp exp_
    log log_
    abs absolute
    relu relu_ threshold
    sigmoid sigmoid_ expit
    tanh tanh_
    sum nansum
    mean average
    amax max
    amin min
    t transpose T mT permute swapaxes numpy_t moveaxis
    reshape view flatten ravel unsafe_view _unsafe_view
    getitem item select slice take
    cat concatenate concat
    where select_where
    square squared
    softmax _softmax
    log_softmax _log_softmax
    layer_norm native_layer_norm
    batch_norm native_batch_norm
    clamp clip
    to _to_copy astype float half bfloat16 double
"""
"""Operations that engines, or details of one engine, spell differently: a line for each."""

_SPELLED = {name: line.split()[0] for line in CORRESPONDENCES.split("\n") if line.split()
            for name in line.split()}  # fmt: skip


def operation(op: object) -> str:
    """Return an operation by the name that stands for all of its spellings.

    >>> operation("multiply"), operation("relu_"), operation("conv2d")
    ('mul', 'relu', 'conv2d')
    """
    return _SPELLED.get(str(op), str(op))
