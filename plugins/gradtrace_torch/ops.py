"""What is known of an operation before it runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["Op", "Path", "custom_op", "known_ops", "node_op", "op_of", "operand_names"]

Path = tuple[Any, ...]
"""Where a tensor stands in a call: position or argument name, then indices into containers."""

VARIADIC = inspect.Parameter.VAR_POSITIONAL

_QUIET = frozenset(
    """
    __array__ __bool__ __contains__ __deepcopy__ __dir__ __float__ __format__ __hash__ __index__
    __int__ __iter__ __len__ __reduce_ex__ __repr__ __setstate__ __str__ _is_view _version
    apply_ as_subclass_ data_ptr dense_dim dim dim_order element_size get_device grad_dtype
    has_names is_coalesced is_complex is_conj is_contiguous is_cuda is_distributed
    is_floating_point is_inference is_neg is_nonzero is_pinned is_same_size
    is_set_to is_shared is_signed is_sparse
    item itemsize map_ names nbytes ndim ndimension nelement numel numpy q_scale
    q_zero_point qscheme requires_grad_ retain_grad share_memory_ size sparse_dim storage
    storage_offset storage_type stride tolist type_as_ untyped_storage unflatten_names
    allclose equal is_tensor is_storage is_grad_enabled result_type can_cast
    is_inference_mode_enabled register_post_accumulate_grad_hook
    """.split()
)
"""Functions that read or tell, and make no tensor."""

_INPLACE = frozenset(
    """
    alpha_dropout celu dropout dropout1d dropout2d dropout3d elu feature_alpha_dropout hardsigmoid
    hardswish hardtanh leaky_relu mish relu relu6 rrelu selu silu threshold
    """.split()
)
"""Functions with an argument `inplace`."""

_TENSOR_GETTERS = frozenset({"T", "H", "mT", "mH", "real", "imag", "data"})


class Op:
    """One operation, described once for the process."""

    __slots__ = ("_takes_inplace", "function", "mutates", "name", "role")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        spelled = _spelling(function)
        self.role = _role(function, spelled)
        self.mutates = spelled == "__setitem__" or bool(
            re.search(r"[a-z0-9]_$|^__i\w+__$", spelled)
        )
        self._takes_inplace = spelled in _INPLACE
        self.name = spelled.strip("_") + ("_" if re.search(r"[a-z0-9]_$", spelled) else "")

    def writes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Tell whether a call with these arguments writes to one of them.

        >>> relu = op_of(torch.nn.functional.relu)
        >>> relu.writes((torch.ones(2),), {"inplace": True}), relu.writes((torch.ones(2),), {})
        (True, False)
        """
        if self._takes_inplace and (kwargs.get("inplace") or any(a is True for a in args)):
            return True
        return self.mutates or "out" in kwargs


known_ops: dict[Callable[..., Any], Op] = {}
"""Every operation described so far."""


def op_of(function: Callable[..., Any]) -> Op:
    """Return the description of `function`.

    >>> op_of(torch.Tensor.__rsub__).name, op_of(torch.relu_).mutates
    ('rsub', True)
    """
    op = known_ops.get(function)
    if op is None:
        op = known_ops[function] = Op(function)
    return op


@lru_cache(maxsize=1024)
def custom_op(cls: type) -> Op:
    """Return the description of a `torch.autograd.Function`, named after its class."""
    op = Op(cls)
    op.role, op.name, op.mutates = "call", cls.__name__, False
    return op


def _spelling(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None) or type(function).__name__
    if name in ("__get__", "__set__", "__delete__"):  # a property such as Tensor.T
        described: str = function.__self__.__name__  # type: ignore[attr-defined]
        return described
    return str(name)


def _role(function: Callable[..., Any], spelled: str) -> str:
    """Return `call`, `quiet`, or which part of automatic differentiation this is.

    `backward` and `grad` run it, `hook` asks to hear it, `stored` reads what it left. A `branch`
    chooses between functions, as `torch.cond` does.
    """
    if type(function).__name__ == "CondOp":
        return "branch"
    if function in (Tensor.backward, torch.autograd.backward):
        return "backward"
    if function is torch.autograd.grad:
        return "grad"
    if function is Tensor.register_hook:
        return "hook"
    kind = getattr(function, "__name__", "")
    if kind == "__get__":
        return {"grad": "stored"}.get(spelled, "call" if spelled in _TENSOR_GETTERS else "quiet")
    if kind in ("__set__", "__delete__"):
        return "quiet"
    return "quiet" if spelled in _QUIET else "call"


def node_op(name: str) -> str:
    """Return the operation of an autograd node: what its name says without `Backward`.

    >>> node_op("AddmmBackward0"), node_op("MyFunctionBackward")
    ('addmm', 'MyFunction')
    >>> node_op("torch::autograd::CopySlices")
    'copy_slices'
    """
    stem = name.rsplit("::", 1)[-1]
    if re.search(r"Backward\d+$", stem) or not stem.endswith("Backward"):
        stem = re.sub(r"Backward\d*$", "", stem)
        return (
            re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", stem).lower() or "call"
        )
    return stem.removesuffix("Backward") or "call"


def operand_names(function: Callable[..., Any] | None, paths: list[Path]) -> list[str]:
    """Return what the operands at `paths` are called: the argument's name, else its position.

    >>> operand_names(torch.nn.functional.linear, [(0,), (1,), ("bias",)])
    ['input', 'weight', 'bias']
    >>> operand_names(torch.cat, [(0, 0), (0, 1)])
    ['tensors[0]', 'tensors[1]']
    """
    positions = tuple(dict.fromkeys([path[0] for path in paths if isinstance(path[0], int)]))
    names = _argument_names(function, positions) if function is not None and positions else {}
    return [
        str(names.get(path[0], path[0])) + "".join([f"[{index}]" for index in path[1:]])
        for path in paths
    ]


@lru_cache(maxsize=4096)
def _argument_names(function: Callable[..., Any], positions: tuple[int, ...]) -> dict[Any, str]:
    """Return the names of the arguments at `positions`, where tensors were given.

    They are in the signature, or in the first of torch's own overloads that takes tensors there,
    with its `self` first if it has one.
    """
    if isinstance(function, type):
        return _names_of_custom(function, positions)
    if inspect.isfunction(function) and not hasattr(function, "__wrapped__"):
        parameters = inspect.signature(function).parameters.values()
        if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
            return dict(enumerate(p.name for p in parameters))
    try:
        schemas = torch._C._jit_get_schemas_for_operator(f"aten::{op_of(function).name}")
    except RuntimeError:
        return {}
    for schema in sorted(schemas, key=_begins_otherwise):
        taken = [a for a in schema.arguments if not a.kwarg_only]
        fits = all(p < len(taken) and "Tensor" in str(taken[p].type) for p in positions)
        if fits:
            return {position: str(taken[position].name) for position in positions}
    return {0: "self"} if getattr(function, "__objclass__", None) is torch._C.TensorBase else {}


def _begins_otherwise(schema: Any) -> bool:
    return [argument.name for argument in schema.arguments[:1]] != ["self"]


def _names_of_custom(cls: Any, positions: tuple[int, ...]) -> dict[Any, str]:
    """Return the names of the arguments of a custom function; an older one is given `ctx` first."""
    parameters = list(inspect.signature(cls.forward).parameters.values())
    if cls.setup_context is torch.autograd.Function.setup_context:
        del parameters[:1]
    named = [parameter.name for parameter in parameters if parameter.kind is not VARIADIC]
    variadic = next((p.name for p in parameters if p.kind is VARIADIC), "")
    rest = {p: f"{variadic}[{p - len(named)}]" for p in positions if variadic and p >= len(named)}
    return dict(enumerate(named)) | rest
