"""What the command `gradtrace` prints, with how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

import gradtrace
from gradtrace.cli import app
from gradtrace.derivative import LocalDerivative
from gradtrace.facts import overview, plain, records
from gradtrace.graph import Graph
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Tape, Use, Value

COMMANDS = list(get_command(app).commands)  # type: ignore[attr-defined]


def square(point: float = 3.0, downstream: float = 6.0) -> Graph:
    """The graph of y = x², whose gradient at 3 is 6."""
    x = Value(Summary.of(point, keep=True), Summary.of(downstream, keep=True), differentiable=True)
    seed = Summary.of(1.0, keep=True)
    y = Value(Summary.of(point**2, keep=True), seed, seed, differentiable=True)
    slope = LocalDerivative("scaled", (), (), array=np.array(2 * point), gain=2 * point)
    use = Use("input", x, slope, Summary.of(downstream, keep=True))
    tape = Tape([Leaf("input", ("x",), x), Call("square", [y], [use])], "toy", gradients=True)
    return Graph.from_tape(tape)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return square().save(tmp_path / "square.gradtrace")


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    return square(downstream=5.0).save(tmp_path / "wrong.gradtrace")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run: Callable[..., Result], command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: gradtrace {command}" in result.output


def test_the_help_lists_the_commands(run: Callable[..., Result]) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(command in result.output for command in COMMANDS)


def test_version(run: Callable[..., Result]) -> None:
    assert run("--version").output == "gradtrace 0.1.0\n"


def test_show_prints_the_graph_with_an_overview(run: Callable[..., Result], saved: Path) -> None:
    result = run("show", saved)
    assert result.exit_code == 0
    assert str(gradtrace.load(saved)) in result.output
    assert "2 (1 input, 1 call)" in result.output
    assert "square = 9" in result.output
    assert "× 6 from square back to x" in result.output


def test_show_as_json_holds_what_the_graph_holds(run: Callable[..., Result], saved: Path) -> None:
    facts = json.loads(run("show", saved, "--json").output)
    assert [node["id"] for node in facts["nodes"]] == ["x", "square"]
    assert facts["edges"][0]["local_derivative"]["gain"] == 6
    assert facts["overview"]["outputs"] == {"square": 9.0}


def test_json_holds_numbers_that_json_has_no_word_for(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    file = square(float("nan"), float("inf")).save(tmp_path / "nan.gradtrace")
    facts = json.loads(run("show", file, "--json").output, parse_constant=pytest.fail)
    assert facts["nodes"][0]["value"]["mean"] == "NaN"
    assert facts["nodes"][0]["upstream_gradient"]["max"] == "Infinity"
    assert facts["nodes"][0]["seed"] is None
    assert facts["overview"]["nonfinite"] == 1
    assert facts["overview"]["largest"] is None


def test_an_overview_says_what_was_not_computed() -> None:
    x, y = Value(Summary.of(3.0)), Value(Summary.of(9.0))
    tape = Tape([Leaf("input", ("x",), x), Call("square", [y], [Use("input", x)])])
    text = str(overview(Graph.from_tape(tape)))
    assert "nowhere: no backward pass ran in the block" in text
    assert text.count("not computed") == 2


def test_records_leave_out_no_attribute() -> None:
    graph = square()
    facts = records(graph)
    for facts_of_node, (node, data) in zip(facts["nodes"], graph.nodes(data=True), strict=True):
        assert set(facts_of_node) == {"id", *data}
        assert facts_of_node["id"] == node
    assert plain(gradtrace.Source("a.py", 3, "f")) == {"file": "a.py", "line": 3, "function": "f"}


def test_check_ends_with_0_where_the_chain_rule_holds(
    run: Callable[..., Result], saved: Path
) -> None:
    result = run("check", saved)
    assert result.exit_code == 0
    assert result.output == "chain rule: 2 pass, 0 fail, 0 unverifiable\n"


def test_check_ends_with_1_where_it_does_not(run: Callable[..., Result], wrong: Path) -> None:
    result = run("check", wrong)
    assert result.exit_code == 1
    assert "1 fail" in result.output


def test_check_as_json(run: Callable[..., Result], saved: Path, wrong: Path) -> None:
    assert json.loads(run("check", saved, "--json").output)["ok"] is True
    result = run("check", wrong, "--json")
    facts = json.loads(result.output)
    assert result.exit_code == 1
    assert facts["ok"] is False
    assert {each["node"]: each["verdict"] for each in facts["verdicts"]}["square"] == "fail"


def test_render_draws_next_to_the_file_unless_told(run: Callable[..., Result], saved: Path) -> None:
    result = run("render", saved, "--title", "y = x²")
    assert result.exit_code == 0
    assert result.output.strip() == str(saved.with_suffix(".svg"))
    assert "<svg" in saved.with_suffix(".svg").read_text()


def test_render_takes_the_format_from_the_path(run: Callable[..., Result], saved: Path) -> None:
    target = saved.with_name("figure.pdf")
    assert run("render", saved, "-o", target).exit_code == 0
    assert target.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nowhere.gradtrace"), "there is no file nowhere.gradtrace"),
        (("check", "{stranger}"), "is not a"),
        (("render", "{saved}", "-o", "figure.bmp"), "no renderer draws format='bmp'; use one of"),
        (("render", "{saved}", "--direction", "off"), "direction='off' is not an option; use one"),
        (("demo", "nope"), "demo='nope' is not an option; use one of 'digits'"),
    ],
)
def test_bad_input_is_one_line_on_the_error_output(
    run: Callable[..., Result],
    saved: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    stranger = tmp_path / "stranger.txt"
    stranger.write_text("not a graph")
    result = run(*(each.format(saved=saved, stranger=stranger) for each in arguments))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_output_folder_that_cannot_be_made(run: Callable[..., Result], saved: Path) -> None:
    result = run("demo", "-o", saved / "inside")
    assert result.exit_code == 2
    assert "cannot be made a folder" in result.stderr


def test_a_missing_argument_is_said_with_status_2(run: Callable[..., Result]) -> None:
    result = run("show")
    assert result.exit_code == 2
    assert "Missing argument 'FILE'" in result.stderr


def test_demos_are_listed(run: Callable[..., Result]) -> None:
    assert "digits" in run("demo", "--list").output
    assert json.loads(run("demo", "--list", "--json").output)[0]["name"] == "digits"


def test_a_demo_names_the_packages_that_it_lacks(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradtrace.demos.find_spec", lambda name: None)
    result = run("demo")
    assert result.exit_code == 2
    assert "needs torch and sklearn and graphviz, not installed here" in result.stderr
    assert "pip install 'gradtrace[demo]'" in result.stderr


def test_plugins_are_listed(run: Callable[..., Result]) -> None:
    rows = json.loads(run("plugins", "--json").output)
    found = {(row["kind"], row["name"]): row for row in rows}
    assert found["backend", "torch"]["serves"] == ["torch"]
    assert "svg" in found["renderer", "graphviz"]["serves"]
    assert ("sink", "tensorboard") in found
    assert all(row["state"] == "works" for row in found.values())
    assert "graphviz" in run("plugins").output


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).with_name("gradtrace")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "gradtrace 0.1.0\n"


@pytest.mark.slow
def test_the_digits_demo(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("demo", "digits", "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert "15 of 17 nodes satisfy the chain rule; 0 break it" in result.output
    graph = gradtrace.load(tmp_path / "digits.gradtrace")
    assert graph.check().ok
    assert all(
        derivative.exact for _, _, derivative in graph.edges(data="local_derivative") if derivative
    )
    assert (tmp_path / "digits.pdf").read_bytes().startswith(b"%PDF")
    assert "block1" in (tmp_path / "digits.svg").read_text()
    training = gradtrace.open_recording(tmp_path / "digits-run")
    assert f"gradtrace dashboard {tmp_path / 'digits-run'}" in result.output
    assert len(training.steps) == 15 * 45
    assert training.state == "finished"
    assert training.findings == ()
    losses = training.scalar("loss")[1]
    assert losses[-45:].mean() < losses[:45].mean() / 5


@pytest.mark.slow
def test_the_digits_demo_as_json(run: Callable[..., Result], tmp_path: Path) -> None:
    facts = json.loads(run("demo", "--output", tmp_path, "--json").output)
    assert facts["accuracy"] > 0.95
    assert facts["check"]["failed"] == 0
    assert all(Path(file).exists() for file in facts["files"].values())
    assert facts["recording"] == {"run": str(tmp_path / "digits-run"), "steps": 15 * 45}
