"""A call that can be run again on other operands: its function with all but its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradtrace.tape import Replay
from gradtrace_torch.arguments import operands_of, results_of
from gradtrace_torch.live import LiveCall
from gradtrace_torch.ops import Op, Path

__all__ = ["Memory"]

Array = npt.NDArray[Any]


_STRAIGHT = "its backward passes straight through what is rounded, on purpose"

_SYMMETRIC = "it reads one triangle of its operand, and its backward takes it to be symmetric"

_SAMPLED = "its backward is that of the distribution, not of the steps that drew from it"

_SPARSE = "its backward leaves out what a sparse operand does not store"

_DELIBERATE: dict[Any, str] = {
    torch.linalg.cholesky: _SYMMETRIC,
    torch.linalg.cholesky_ex: _SYMMETRIC,
    torch.cholesky: _SYMMETRIC,
    torch.linalg.eigh: _SYMMETRIC,
    torch.linalg.eigvalsh: _SYMMETRIC,
    torch.nn.functional.ctc_loss: "its backward takes log_probs to come from a log_softmax",
    torch._standard_gamma: _SAMPLED,
    torch._sample_dirichlet: _SAMPLED,
    torch.distributions.dirichlet._Dirichlet: _SAMPLED,
    torch.fake_quantize_per_tensor_affine: _STRAIGHT,
    torch.fake_quantize_per_channel_affine: _STRAIGHT,
    torch._fake_quantize_learnable_per_tensor_affine: _STRAIGHT,
    torch._fake_quantize_learnable_per_channel_affine: _STRAIGHT,
}
"""Functions whose backward is by design not the derivative, with what it is."""

_OPTIONALLY: dict[Any, dict[str, tuple[int, str]]] = {
    torch.nn.functional.embedding: {
        "padding_idx": (2, "its backward leaves out the rows of padding_idx on purpose"),
        "max_norm": (3, "its backward takes the rows as they are once max_norm has shortened them"),
    },
    torch.nn.functional.gumbel_softmax: {"hard": (2, _STRAIGHT)},
}
"""The same, if given one of these arguments, which may stand at this position."""


_WIDE = dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.float64)


class _Hole(NamedTuple):
    """Where a tensor stood among the arguments."""

    path: Path


class Memory:
    """What a call needs to be run again, kept from before it ran."""

    def __init__(
        self, op: Op, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._op = op
        self._function = function
        given = {name: value for name, value in kwargs.items() if name != "out"}
        self._args = tuple(_emptied(value, (index,)) for index, value in enumerate(args))
        self._kwargs = {name: _emptied(value, (name,)) for name, value in given.items()}
        self._sparse = any(tensor.is_sparse for _, tensor in operands_of(args, kwargs))
        self._random: Tensor | None = torch.get_rng_state()

    def forget_random(self) -> None:
        """Forget the random state if the call, which has run now, did not use it."""
        if self._random is not None and torch.equal(self._random, torch.get_rng_state()):
            self._random = None

    def _given(self, name: str, position: int) -> Any:
        return self._kwargs.get(name, (*self._args, *[None] * 4)[position])

    def _deliberate(self) -> str | None:
        """Return what the backward is instead of the derivative, where that is meant so."""
        function = self._op.function
        for name, (position, why) in _OPTIONALLY.get(function, {}).items():
            given = self._given(name, position)
            if given is not None and given is not False:
                return why
        return _SPARSE if self._sparse else _DELIBERATE.get(function)

    def replay(self, call: LiveCall) -> Replay | str:
        """Return the function of the operands that `call` has on the tape, or why there is none."""
        deliberate = self._deliberate()
        if deliberate is not None:
            return deliberate
        paths = [(path, i) for i, use in enumerate(call.uses) for path in (use.path, *use.also)]
        places = dict(paths)
        holes = set(_holes([self._args, self._kwargs]))
        if holes != set(places):
            return "it has operands that are not among its arguments"
        count = len(call.results)

        def run(operands: Sequence[Array]) -> list[Array]:
            tensors = {path: torch.from_numpy(np.array(operands[i])) for path, i in paths}
            with (
                torch._C.DisableTorchFunction(),
                torch.no_grad(),
                torch.random.fork_rng(devices=[]),
            ):
                if self._random is not None:
                    torch.set_rng_state(self._random)
                args = tuple(_filled(value, tensors) for value in self._args)
                kwargs = {name: _filled(value, tensors) for name, value in self._kwargs.items()}
                found = results_of(self._op, args, self._function(*args, **kwargs))
            if len(found) != count:
                raise ValueError(f"{len(found)} results where {count} were recorded")
            return [tensor.resolve_conj().resolve_neg().numpy() for tensor in found]

        return run


def _emptied(value: Any, path: Path) -> Any:
    """Return `value` with a hole for each tensor in it."""
    if isinstance(value, Tensor):
        return _Hole(path)
    if isinstance(value, dict):
        return {key: _emptied(each, (*path, key)) for key, each in value.items()}
    if isinstance(value, list | tuple) and type(value) is not torch.Size:
        return _remade(value, [_emptied(each, (*path, i)) for i, each in enumerate(value)])
    return value


def _filled(value: Any, tensors: dict[Path, Tensor]) -> Any:
    """Return `value` with a tensor in each hole, and no precision asked for below float64."""
    if isinstance(value, _Hole):
        return tensors[value.path].clone()
    if isinstance(value, torch.dtype):
        return _WIDE.get(value, value)
    if isinstance(value, dict):
        return {key: _filled(each, tensors) for key, each in value.items()}
    if isinstance(value, list | tuple) and type(value) is not torch.Size:
        return _remade(value, [_filled(each, tensors) for each in value])
    return value


def _remade(sequence: Sequence[Any], elements: list[Any]) -> Any:
    if hasattr(sequence, "_fields"):
        return type(sequence)(*elements)
    return elements if isinstance(sequence, list) else tuple(elements)


def _holes(value: Any) -> Iterator[Path]:
    if isinstance(value, _Hole):
        yield value.path
    elif isinstance(value, dict):
        for each in value.values():
            yield from _holes(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _holes(each)
    elif is_dataclass(value) and not isinstance(value, type):
        yield ()  # its tensors were not taken out
