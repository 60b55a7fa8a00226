"""A small convolutional network learns handwritten digits, recorded, with one step traced."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.text import Text
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d, relu

import gradtrace
from gradtrace.facts import overview, plain

__all__ = ["Block", "Net", "run"]

EPOCHS = 15
BATCH = 32
TRACED = 2
"""Images of the traced step; few enough that every Jacobian can be exact."""

STEP = """\
with gradtrace.trace(model, keep="all", derivatives="exact") as graph:
    loss = cross_entropy(model(images), digits)
    loss.backward()"""

COMMANDS = """\
# every node with its value and upstream gradient, every operand with its gain
gradtrace show {graph}

# the chain rule at every node, for other programs
gradtrace check {graph} --json

# another figure, each block as one box
gradtrace render {graph} -o {blocks} --depth 1

# gradient flow over the whole training
gradtrace dashboard {run}"""

LINES = """\
import gradtrace
graph = gradtrace.load({graph!r})  # a networkx.MultiDiGraph

# what the step added to block1.conv.weight.grad
graph.nodes["block1.conv.weight"]["upstream_gradient"].array

# ∂loss/∂scores, exact
graph.edges["fc.linear", "cross_entropy", 0]["local_derivative"].dense()"""


class Block(nn.Module):
    """A convolution that halves the image."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return what it finds, shape `(batch, channels_out, height / 2, width / 2)`."""
        return max_pool2d(relu(self.conv(image)), 2)


class Net(nn.Module):
    """Two blocks with a linear layer on top."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = Block(1, 12)
        self.block2 = Block(12, 16)
        self.fc = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return a score for each digit, shape `(batch, 10)`, of images `(batch, 1, 8, 8)`."""
        scores: Tensor = self.fc(self.block2(self.block1(image)).flatten(1))
        return scores


class Data(NamedTuple):
    """Images with the digits they show."""

    images: Tensor
    digits: Tensor


def run(output: Path, console: Console) -> dict[str, Any]:
    """Train, trace, check, draw; return the facts of it."""
    train, test = _data()
    console.rule("[bold]gradtrace demo: digits", align="left")
    model, accuracy, run = _train(train, test, output, console)
    sample = Data(test.images[:TRACED], test.digits[:TRACED])
    _show_images(model, sample, console)
    graph = _trace(model, sample)
    _show_graph(graph, console)
    files = _write(graph, run, output, console)
    _show_next(files, run, console)
    check = graph.check()
    return {
        "demo": "digits",
        "accuracy": accuracy,
        "overview": plain(overview(graph)),
        "check": {name: len(getattr(check, name)) for name in ("passed", "failed", "unverifiable")},
        "files": plain(files),
        "recording": {"run": str(run.directory), "steps": len(run.steps)},
    }


def _data() -> tuple[Data, Data]:
    """Return the images that come with scikit-learn, a fifth of them for the test."""
    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1) / 16
    digits = torch.tensor(bunch.target)
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
    test, train = order[: len(order) // 5], order[len(order) // 5 :]
    return Data(images[train], digits[train]), Data(images[test], digits[test])


def _train(
    train: Data, test: Data, output: Path, console: Console
) -> tuple[Net, float, gradtrace.Recording]:
    """Return a trained network, the share of test images it recognizes, and its recording."""
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    began = time.perf_counter()
    columns = TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.fields[loss]}")
    progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
    recorder = gradtrace.record(model, _free(output / "digits-run"), optimizer=optimizer)
    with _one_thread(), progress, recorder:
        task = progress.add_task("training", total=EPOCHS, loss="")
        for _ in range(EPOCHS):
            loss = _epoch(model, optimizer, train, recorder)
            progress.update(task, advance=1, loss=f"loss {loss:.4f}")
    with torch.no_grad():
        accuracy = float((model(test.images).argmax(1) == test.digits).double().mean())
    model.zero_grad()
    console.print(
        f"  A convolutional network learned {len(train.digits):,} handwritten digits in "
        f"{time.perf_counter() - began:.1f} s;\n  it recognizes {accuracy:.1%} of "
        f"{len(test.digits)} others. Here are {TRACED} of those:\n"
    )
    return model, accuracy, gradtrace.open_recording(recorder.directory)


def _free(folder: Path) -> Path:
    """Return `folder`, or one beside it that there is not yet: each demo is a run of its own."""
    more = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return next(each for each in chain([folder], more) if not each.exists())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: on so small a network, more of them wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _epoch(
    model: Net, optimizer: torch.optim.Optimizer, train: Data, recorder: gradtrace.Recorder
) -> float:
    """Show the network every image once; return the last loss."""
    loss = torch.tensor(0.0)
    for batch in torch.randperm(len(train.digits)).split(BATCH):
        loss = cross_entropy(model(train.images[batch]), train.digits[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recorder.step(loss=loss)
    return loss.item()


def _show_images(model: Net, sample: Data, console: Console) -> None:
    """Draw the images in characters, each with what the network takes it for."""
    for row in range(sample.images.shape[2]):
        lines = (sample.images[image, 0, row].tolist() for image in range(len(sample.digits)))
        console.print("  ", "   ".join("".join(map(_shade, line)) for line in lines))
    with torch.no_grad():
        guesses = model(sample.images).argmax(1).tolist()
    names = [
        f"{digit}, taken for {guess}" for digit, guess in zip(sample.digits, guesses, strict=True)
    ]
    console.print("  ", "   ".join(name.center(16) for name in names), style="dim", highlight=False)


def _shade(ink: float) -> str:
    return " ░▒▓█"[round(ink * 4)] * 2


def _trace(model: Net, sample: Data) -> gradtrace.Graph:
    """Trace one step; this is all there is to do in a program of your own."""
    images, digits = sample
    with gradtrace.trace(model, keep="all", derivatives="exact") as graph:
        loss = cross_entropy(model(images), digits)
        loss.backward()
    return graph


def _show_graph(graph: gradtrace.Graph, console: Console) -> None:
    """Show what was traced, with how many nodes satisfy the chain rule."""
    _title("One step of it, traced", console)
    _show_code(STEP, "python", console)
    console.print(Padding(Text(str(overview(graph))), (1, 2)))
    check = graph.check()
    style, mark = ("green", "✓") if check.ok else ("red", "✗")
    console.print(
        f"  [{style}]{mark} {len(check.passed)} of {len(check)} nodes satisfy the chain rule[/]; "
        f"{len(check.failed)} break it",
        highlight=False,
    )
    for reason in dict.fromkeys(verdict.reason for verdict in check.unverifiable):
        nodes = [verdict.node for verdict in check.unverifiable if verdict.reason == reason]
        line = f"    {', '.join(nodes)}: {reason}"
        console.print(Text(line, style="dim"))


def _write(
    graph: gradtrace.Graph, run: gradtrace.Recording, output: Path, console: Console
) -> dict[str, Path]:
    """Leave the graph in `output` as a file to load, with two figures of it; say what is there."""
    with console.status("drawing"):
        files = {"graph": graph.save(output / "digits.gradtrace")}
        for format in ("svg", "pdf"):
            files[format] = output / f"digits.{format}"
            graph.render(files[format])
    made = [
        (str(file), f"{what}, {file.stat().st_size / 1e3:,.0f} kB")
        for file, what in zip(files.values(), ("the graph", "a figure", "for a paper"), strict=True)
    ]
    steps = f"the training, {len(run.steps)} steps, {len(run.findings)} findings"
    made.append((str(run.directory), steps))
    _title("Made", console)
    width = max(len(path) for path, _ in made)
    for path, what in made:
        console.print(Text.assemble(f"  {path:{width}}  ", (what, "dim")), soft_wrap=True)
    for finding in run.findings:
        console.print(Text(f"  {finding}"))
    return files


def _show_next(files: dict[str, Path], run: gradtrace.Recording, console: Console) -> None:
    """Say what to try with the files."""
    graph = str(files["graph"])
    blocks = quote(str(files["graph"].with_name("blocks.svg")))
    _title("Try next", console)
    folder = quote(str(run.directory))
    _show_code(COMMANDS.format(graph=quote(graph), blocks=blocks, run=folder), "bash", console)
    console.print()
    _show_code(LINES.format(graph=graph), "python", console)


def _title(text: str, console: Console) -> None:
    console.print(f"\n[bold]{text}[/]\n")


def _show_code(code: str, language: str, console: Console) -> None:
    """Print code so that its lines can be copied: none is broken or cut."""
    text = Syntax(code, language, background_color="default").highlight(code)
    for line in text.split("\n"):
        console.print(Text("    " if line else "").append_text(line), soft_wrap=True)
