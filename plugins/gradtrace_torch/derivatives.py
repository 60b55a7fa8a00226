"""Local derivatives in their cheapest true structure, recorded right after the call."""

from __future__ import annotations

import math
import random
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gradtrace.derivative import LocalDerivative
from gradtrace_torch.live import LiveCall, LiveUse, LiveValue
from gradtrace_torch.ops import op_of
from gradtrace_torch.products import product_norms
from gradtrace_torch.pullback import Pullback, Shares, device_of, filled

__all__ = ["Differentiator"]

SIGNS = 2**18
"""Random signs that are drawn at least."""


class Differentiator:
    """Records the local derivatives of calls, as well as `mode` asks."""

    def __init__(self, mode: str, limit: int) -> None:
        self.mode = mode
        self.limit = limit
        self._signs = torch.empty(0)
        self._random = torch.Generator().manual_seed(0)
        self._coins = random.Random(0)

    def differentiate(self, call: LiveCall) -> None:
        """Set the derivative of every use of `call` that a gradient comes back through."""
        uses = [use for use in call.uses if use.slots]
        results = [value for value in call.results if value.edge is not None]
        if not uses or not results:
            return
        reason = _unfit(results, uses)
        if reason is None:
            pullback = Pullback(call, results, uses)
            try:
                with torch.no_grad(), warnings.catch_warnings(), _NoPassInside():
                    warnings.simplefilter("ignore")  # torch tells of batching, which is our doing
                    self._differentiate(pullback)
                return
            except Exception as error:
                reason = f"its backward could not be run by itself ({_first_line(error)})"
        for use in uses:
            use.derivative = _operator(results, use, reason=reason)

    def _differentiate(self, pullback: Pullback) -> None:
        if self.mode == "norm":
            norms = product_norms(pullback.call, pullback.uses)
            if norms is not None:
                for use, norm in zip(pullback.uses, norms, strict=True):
                    use.derivative = _operator(pullback.results, use, norm=norm)
                return
            shares = pullback([self._signs_like(value) for value in pullback.results])
            for use, share in zip(pullback.uses, shares, strict=True):
                use.derivative = _estimated(pullback.results, use, share)
            return
        probe = [self._normal_like(value) for value in pullback.results]
        shares = pullback(probe)
        for use in pullback.uses:
            use.derivative = None
        _find_simple(pullback, probe, shares)
        self._find_dense(pullback, probe, shares)

    def _find_dense(self, pullback: Pullback, probe: list[Tensor], shares: Shares) -> None:
        rows = sum(math.prod(value.shape) for value in pullback.results)
        wanted: list[LiveUse] = []
        for use, share in zip(pullback.uses, shares, strict=True):
            if use.derivative is not None:
                continue
            size = rows * math.prod(use.value.shape)
            if size <= self.limit:
                wanted.append(use)
            else:
                reason = f"it has {size:,} elements, over the limit of {self.limit:,}"
                use.derivative = _estimated(pullback.results, use, share, reason=reason)
        if wanted:
            chosen = [pullback.uses.index(use) for use in wanted]
            joined = torch.cat([part.flatten() for part in probe])
            jacobians = _checked_jacobians(pullback, chosen, joined, shares)
            for use, jacobian in zip(wanted, jacobians, strict=True):
                shape = (*_result_shape(pullback.results), *use.value.shape)
                use.derivative = _known(pullback.results, use, "dense", jacobian.reshape(shape))

    def _normal_like(self, value: LiveValue) -> Tensor:
        numbers = torch.randn(tuple(value.shape), generator=self._random, dtype=torch.float64)
        return numbers.to(device_of(value), value.dtype)

    def _signs_like(self, value: LiveValue) -> Tensor:
        """Return random signs of the shape of `value`.

        For a norm they do as well as normal numbers, E‖vᵀJ‖² = ‖J‖² (Hutchinson, 1989), with less
        variance. Each call takes them from elsewhere in one pool: drawing takes longer than
        pulling back.
        """
        size = math.prod(value.shape)
        if len(self._signs) < 2 * size:
            drawn = self._coins.randbytes(max(size, SIGNS) // 2)  # eight to a byte
            bits = np.unpackbits(np.frombuffer(drawn, np.uint8))
            self._signs = torch.from_numpy(bits).float().mul_(2).sub_(1)
        start = self._coins.randrange(len(self._signs) - size + 1)
        signs = self._signs[start : start + size].reshape(tuple(value.shape))
        return signs.to(device_of(value), value.dtype)


class _NoPassInside(TorchFunctionMode):
    """Refuses the backward pass that some calls run inside their own: it would add to `.grad`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if op_of(func).role in ("backward", "grad"):
            raise RuntimeError("it runs a backward pass of its own")
        return func(*args, **(kwargs or {}))


def _checked_jacobians(
    pullback: Pullback, chosen: list[int], probe: Tensor, shares: Shares
) -> list[Tensor]:
    """Return Jacobians that agree with the pullback of a random probe.

    Batched pullbacks of a few operations are wrong in PyTorch itself (`cdist`); a loop is right.
    """
    try:
        jacobians = pullback.jacobians(chosen, batched=True)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return pullback.jacobians(chosen, batched=False)
    expected = [filled(shares[i], pullback.uses[i].value, probe) for i in chosen]
    if all(map(_agrees, jacobians, [probe] * len(chosen), expected)):
        return jacobians
    return pullback.jacobians(chosen, batched=False)


def _agrees(jacobian: Tensor, probe: Tensor, expected: Tensor) -> bool:
    dtype = jacobian.dtype if jacobian.dtype is torch.float64 else torch.float32
    rows, probe = jacobian.to(dtype).reshape(len(jacobian), -1), probe.to(dtype)
    expected = expected.to(dtype).flatten()
    gap = (probe @ rows - expected).abs()
    tolerance = 64 * math.sqrt(len(probe)) * torch.finfo(jacobian.dtype).eps
    off = ~(gap <= tolerance * expected.abs())  # NaN too
    if bool(off.any()):  # of these few, what cancelled in the sum tells how much rounding may be
        scale = probe.abs() @ rows[:, off].abs()
        off = gap[off] > tolerance * scale.clamp(min=1e-30)
    return not bool(off.any())


def _find_simple(pullback: Pullback, probe: list[Tensor], shares: Shares) -> None:
    """Set the derivatives that are zero, the identity, scaled or diagonal.

    J is diagonal if pullback(v) = pullback(1)·v for a random v.
    """
    for use, share in zip(pullback.uses, shares, strict=True):
        if share is None or not math.prod(use.value.shape) or not probe[0].numel():
            use.derivative = _known(pullback.results, use, "zero", None)
    alike = [
        (i, use)
        for i, use in enumerate(pullback.uses)
        if use.derivative is None
        and len(probe) == 1
        and math.prod(use.value.shape) == probe[0].numel()
    ]
    if not alike:
        return
    ones = pullback([torch.ones_like(probe[0])])
    for i, use in alike:
        diagonal, share = ones[i], shares[i]
        if diagonal is not None and share is not None and _is_diagonal(diagonal, share, probe[0]):
            use.derivative = _diagonal(pullback.results, use, diagonal)


def _is_diagonal(diagonal: Tensor, share: Tensor, probe: Tensor) -> bool:
    expected = diagonal.reshape(-1) * probe.reshape(-1).to(diagonal.dtype)
    tolerance = 64 * torch.finfo(diagonal.dtype).eps
    return torch.allclose(share.reshape(-1), expected, rtol=tolerance, atol=0.0, equal_nan=True)


def _diagonal(results: list[LiveValue], use: LiveUse, diagonal: Tensor) -> LocalDerivative:
    first = diagonal.reshape(-1)[0]
    if not bool((diagonal == first).all()):
        return _known(results, use, "diagonal", diagonal)
    if first == 1:
        return _known(results, use, "identity", None)
    if first == 0:
        return _known(results, use, "diagonal", diagonal)
    return _known(results, use, "scaled", first)


def _known(
    results: list[LiveValue], use: LiveUse, structure: str, tensor: Tensor | None
) -> LocalDerivative:
    size = math.prod(use.value.shape)
    if tensor is None:
        norm = math.sqrt(size) if structure == "identity" else 0.0
    else:
        norm = _norm(tensor) * (math.sqrt(size) if structure == "scaled" else 1.0)
    array = None
    if tensor is not None:
        narrow = tensor.dtype in (torch.float64, torch.float32, torch.float16)
        array = (tensor if narrow else tensor.float()).detach().cpu().numpy()
    return LocalDerivative(
        structure, _result_shape(results), tuple(use.value.shape), array=array, norm=norm
    )


def _estimated(
    results: list[LiveValue], use: LiveUse, share: Tensor | None, reason: str | None = None
) -> LocalDerivative:
    if share is None:
        return _known(results, use, "zero", None)
    return _operator(results, use, norm=_norm(share), estimated=True, reason=reason)


def _norm(tensor: Tensor) -> float:
    norm = float(torch.linalg.vector_norm(tensor.detach()))
    if 1e-15 < norm < 1e15 and tensor.dtype in (torch.float32, torch.float64):
        return norm
    return float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64))


def _operator(results: list[LiveValue], use: LiveUse, **options: Any) -> LocalDerivative:
    return LocalDerivative("operator", _result_shape(results), tuple(use.value.shape), **options)


def _result_shape(results: list[LiveValue]) -> tuple[int, ...]:
    """Return the shape of the result; several are taken as one, flat and joined."""
    if len(results) == 1:
        return tuple(results[0].shape)
    return (sum(math.prod(value.shape) for value in results),)


def _unfit(results: list[LiveValue], uses: list[LiveUse]) -> str | None:
    """Return why no Jacobian of real numbers can be had, None where it can."""
    values = [*results, *(use.value for use in uses)]
    if torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
        return "its saved tensors are behind hooks; a checkpoint would run its forward again"
    if any(value.nested for value in values):
        return "the derivative of a nested tensor is no matrix"
    if any(value.dtype.is_complex for value in values):
        return "the derivative of complex values is not a matrix of complex numbers"
    if any(device_of(value).type == "meta" for value in values):
        return "tensors on the meta device have no elements"
    return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
