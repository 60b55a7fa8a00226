"""Problems for the PyTorch backend, out of the tables that PyTorch tests itself with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db

__all__ = ["EXCLUDED", "module_db", "name_of", "op_db", "samples"]

SIZE = 1500
"""Elements of operands, or results, up to which a sample is small."""

EXCLUDED = {
    "native_group_norm": "torch differentiates its mean only if other results have gradients",
}
"""Operators that are not tested, with the reason."""


def name_of(op: Any) -> str:
    """Return the name of an entry of `op_db`, with its variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def samples(op: Any, most: int) -> Iterator[tuple[Any, list[Tensor]]]:
    """Yield the smallest samples in float64 that have a real derivative, with their leaves."""
    found = sorted(
        op.sample_inputs("cpu", torch.float64, requires_grad=True),
        key=lambda sample: sum(
            t.numel() for t in tensors((sample.input, sample.args, sample.kwargs))
        ),
    )
    count = 0
    for sample in found:
        leaves = _leaves(sample)
        if not leaves or not _fits(op, sample):
            continue
        yield sample, leaves
        count += 1
        if count == most:
            return


def _leaves(sample: Any) -> list[Tensor]:
    unique = {id(t): t for t in tensors((sample.input, sample.args, sample.kwargs))}
    leaves = [t for t in unique.values() if t.requires_grad and t.is_leaf]
    fitting = all(t.layout is torch.strided and 0 < t.numel() <= SIZE for t in leaves)
    return leaves if fitting else []


def _fits(op: Any, sample: Any) -> bool:
    torch.manual_seed(0)
    try:
        results = tensors(op(sample.input, *sample.args, **sample.kwargs))
    except Exception:  # samples that the operator itself refuses
        return False
    real = [t for t in results if t.requires_grad and t.layout is torch.strided]
    plain = all(not t.is_complex() and 0 < t.numel() <= SIZE for t in real)
    return (
        bool(real)
        and plain
        and bool(torch.cat([t.detach().flatten() for t in real]).isfinite().all())
    )
