"""The ways in that users of torchviz and torchview know: change the import, keep the call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gradtrace.backends import backends_for
from gradtrace.capture import trace
from gradtrace.errors import BackendError, OptionError, RendererError, require_choice
from gradtrace.graph import Graph
from gradtrace.render import Figure, figure
from gradtrace.render.numbers import printable
from gradtrace.render.parts import FigureEdge, FigureNode, Row
from gradtrace.render.renderers import find_renderer
from gradtrace.render.themes import THEMES, look

__all__ = ["Ancestor", "Historian", "ModelGraph", "Stage", "draw_graph", "make_dot"]

DIRECTIONS = {None: "down", "TB": "down", "BT": "up", "LR": "right", "RL": "left"}


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One thing that a tensor was made from, as the framework's own graph has it."""

    id: str
    role: str
    """`call`, `parameter` (any leaf), `constant` (what a call saved) or `output`."""
    title: str
    lines: tuple[str, ...] = ()
    operands: tuple[str, ...] = ()
    """Ids of what it was made from."""


@runtime_checkable
class Historian(Protocol):
    """A backend that reads the graph which its framework built without us."""

    def history(
        self,
        outputs: Sequence[Any],
        names: Mapping[str, Any],
        *,
        attributes: bool,
        saved: bool,
        limit: int,
    ) -> list[Ancestor]:
        """Return what `outputs` were made from, with the attributes and tensors saved if told.

        `limit` is how many characters of an attribute are shown.
        """
        ...


@runtime_checkable
class Stage(Protocol):
    """A backend that can run a model for its graph's sake."""

    def rehearsal(
        self,
        model: Any,
        *,
        data: Any,
        sizes: Any,
        device: Any,
        dtypes: Any,
        mode: str | None,
        arguments: Mapping[str, Any],
    ) -> AbstractContextManager[tuple[Any, Callable[[], Any]]]:
        """Return a context that gives the model to trace, and a function that runs it once.

        The user's model is as it was when the context ends.
        """
        ...


def make_dot(
    var: Any,
    params: Mapping[str, Any] | None = None,
    show_attrs: bool = False,
    show_saved: bool = False,
    max_attr_chars: int = 50,
) -> Any:
    """Return a `graphviz.Digraph` of what `var` was computed from, as torchviz does.

    Args:
        var: A tensor, or several, with a gradient function: a loss.
        params: Tensors by name, such as `dict(model.named_parameters())`.
        show_attrs: Whether what each call saved beside tensors is shown.
        show_saved: Whether the tensors that each call saved are shown, too.
        max_attr_chars: Characters of an attribute that are shown.

    It draws a graph that was built before we were asked: names and shapes are known, values and
    gradients are not. `gradtrace.trace` knows them. Raises `BackendError` where no backend reads
    such a graph, and `OptionError` for parameters that are no tensors.
    """
    outputs = tuple(var) if isinstance(var, tuple | list) else (var,)
    if not outputs:
        raise OptionError("make_dot() got no tensor; pass a loss, or a tuple of tensors")
    if not isinstance(max_attr_chars, int) or max_attr_chars < 3:
        raise OptionError(f"max_attr_chars={max_attr_chars!r}: use an integer from 3")
    backend = _backend(outputs[0], Historian, "make_dot()")
    ancestors = backend.history(
        outputs, dict(params or {}), attributes=show_attrs, saved=show_saved, limit=max_attr_chars
    )
    return _digraph(_family(ancestors), "gradtrace")


def _family(ancestors: Sequence[Ancestor]) -> Figure:
    """Return the figure of what something was made from."""
    theme = THEMES["paper"]
    ids = {each.id: f"n{index}" for index, each in enumerate(ancestors)}
    nodes = tuple(
        FigureNode(
            id=ids[each.id],
            node=None,
            look=look(theme, each.role),
            rows=(Row(printable(each.title), "name"), *(Row(printable(x)) for x in each.lines)),
            cluster=None,
            tooltip=printable(each.title),
        )
        for each in ancestors
    )
    edges = tuple(
        FigureEdge(ids[tail], ids[each.id], "", theme.grey, 0.9, "solid", "")
        for each in ancestors
        for tail in each.operands
    )
    return Figure(nodes, edges, (), theme=theme)


class ModelGraph:
    """The graph of a model with its drawing: what `draw_graph` returns."""

    def __init__(self, graph: Graph, visual_graph: Any) -> None:
        self.graph = graph
        """The `gradtrace.Graph` of the forward pass."""
        self.visual_graph = visual_graph
        """A `graphviz.Digraph`."""

    def resize_graph(
        self, scale: float = 1.0, size_per_element: float = 0.3, min_size: float = 12
    ) -> None:
        """Let the drawing be at most so large: inches for each line of its text."""
        size = scale * max(min_size, len(self.visual_graph.body) * size_per_element)
        self.visual_graph.graph_attr.update(size=f"{size},{size}")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.graph._repr_mimebundle_(include, exclude)


def draw_graph(
    model: Any,
    input_data: Any = None,
    input_size: Any = None,
    graph_name: str = "model",
    depth: float = 3,
    device: Any = None,
    dtypes: Any = None,
    mode: str | None = None,
    strict: bool = True,
    expand_nested: bool = False,
    graph_dir: str | None = None,
    hide_module_functions: bool = True,
    hide_inner_tensors: bool = True,
    roll: bool = False,
    show_shapes: bool = True,
    save_graph: bool = False,
    filename: str | None = None,
    directory: str | PathLike[str] = ".",
    collect_attributes: bool = False,
    **kwargs: Any,
) -> ModelGraph:
    """Run `model` once and return its graph with a `graphviz.Digraph` of it, as torchview does.

    Args:
        model: A model; it stays where it is, as it is.
        input_data: A tensor, several of them in a list, or arguments by name in a dict.
        input_size: Sizes of tensors to make, instead of `input_data`.
        graph_name: Name of the drawing.
        depth: At which scopes the drawing is folded.
        device: Where a copy of the model is run instead, such as `"meta"`.
        dtypes: Types of the tensors that `input_size` makes.
        mode: `"train"` or `"eval"`, in which it is run unless told.
        graph_dir: Where values flow: `"TB"`, `"LR"`, `"BT"` or `"RL"`.
        roll: Whether what is repeated is drawn once.
        show_shapes: Whether shapes are shown.
        save_graph: Whether it is also drawn into `filename`.png in `directory`.
        filename: Name of that file, that of the graph unless told.
        directory: Folder of that file.
        **kwargs: Arguments of the model by name.
        strict: No effect: parallel edges are drawn.
        expand_nested: No effect: scopes are drawn as frames.
        hide_module_functions: No effect: calls are drawn.
        hide_inner_tensors: No effect: each value is drawn at the call that made it.
        collect_attributes: No effect.
    """
    require_choice("graph_dir", graph_dir, DIRECTIONS)
    backend = _backend(model, Stage, "draw_graph()")
    with (
        backend.rehearsal(
            model,
            data=input_data,
            sizes=input_size,
            device=device,
            dtypes=dtypes,
            mode=mode,
            arguments=kwargs,
        ) as (actor, run),
        trace(actor) as graph,
    ):
        run()
    drawn = figure(
        graph,
        depth=None if depth == math.inf else max(1, int(depth)),
        direction=DIRECTIONS[graph_dir],
        fold_repeats=roll,
        legend=False,
        passes="forward",
        show=["shapes"] if show_shapes else [],
    )
    if save_graph:
        target = Path(directory) / f"{filename or graph_name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(find_renderer("png").render(drawn, "png"))
    return ModelGraph(graph, _digraph(drawn, graph_name))


def _backend(subject: Any, kind: type[Any], caller: str) -> Any:
    """Return the backend that recognizes `subject`, if it is of that kind."""
    [backend] = backends_for(subject, None)
    if not isinstance(backend, kind):
        raise BackendError(
            f"the backend {backend.name!r} has nothing for {caller}; "
            "trace the run with gradtrace.trace, and draw it with graph.render"
        )
    return backend


def _digraph(drawn: Figure, name: str) -> Any:
    """Return `drawn` as a `graphviz.Digraph`, made by the renderer of DOT."""
    renderer = find_renderer("dot")
    make = getattr(renderer, "digraph", None)
    if make is None:
        raise RendererError(
            f"the renderer {renderer.name!r} makes no graphviz.Digraph; "
            "pip install 'gradtrace[graphviz]' installs one that does"
        )
    return make(drawn, name)
