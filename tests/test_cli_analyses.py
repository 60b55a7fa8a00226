"""What the commands print that analyse saved graphs, with how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gradtrace.cli import app
from gradtrace.graph import Graph
from tests.tapes import Run


def program(factor: float = 1.0, layers: int = 3) -> Graph:
    run = Run()
    x = run.leaf("x", np.full((2, 3), 2.0), kind="input", differentiable=False)
    for number in range(layers):
        x = run.call("mul", x, run.leaf(f"w{number}", np.full((2, 3), factor)))
    run.backward(run.call("sum", run.call("add", run.call("tanh", x), x)))
    return run.graph()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    return program(0.9).save(tmp_path / "healthy.gradtrace")


@pytest.fixture
def vanishing(tmp_path: Path) -> Path:
    return program(0.1, 12).save(tmp_path / "vanishing.gradtrace")


@pytest.mark.parametrize("command", ["paths", "diagnose", "diff"])
def test_every_command_has_help_with_an_example(run: Callable[..., Result], command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: gradtrace {command}" in result.output
    assert command in run("--help").output


def test_paths(run: Callable[..., Result], healthy: Path) -> None:
    result = run("paths", healthy, "w0")
    assert result.exit_code == 0
    assert result.output == f"{program(0.9).paths('w0')}\n"
    assert "from sum back to w0: 2 paths, 1 fan-out" in result.output


def test_paths_as_json(run: Callable[..., Result], healthy: Path) -> None:
    facts = json.loads(run("paths", healthy, "w0", "mul_2", "--top", 1, "--json").output)
    assert (facts["source"], facts["target"], facts["count"]) == ("w0", "mul_2", 1)
    assert facts["paths"][0]["edges"][0][:2] == ["w0", "mul"]
    assert facts["resolved"] is True


def test_paths_to_where_none_lead(run: Callable[..., Result], healthy: Path) -> None:
    result = run("paths", healthy, "x")
    assert result.exit_code == 1
    assert "no gradient comes back" in result.output


def test_diagnose(run: Callable[..., Result], healthy: Path, vanishing: Path) -> None:
    result = run("diagnose", healthy)
    assert result.exit_code == 0
    assert "0 errors, 0 warnings" in result.output
    result = run("diagnose", vanishing)
    assert result.exit_code == 1
    assert "warning  vanishing  mul" in result.output


def test_diagnose_as_json(run: Callable[..., Result], vanishing: Path) -> None:
    result = run("diagnose", vanishing, "--rule", "vanishing", "--json")
    facts = json.loads(result.output)
    assert result.exit_code == 1
    assert facts["ok"] is False
    assert facts["rules"] == ["vanishing"]
    (finding,) = facts["findings"]
    assert finding["node"] == "mul"
    assert finding["numbers"]["slope"] == pytest.approx(0.1)


def test_a_note_does_not_fail(run: Callable[..., Result], tmp_path: Path) -> None:
    tape = Run()
    tape.backward(tape.call("mul", tape.leaf("w", 1.0), tape.leaf("v", 2.0, differentiable=False)))
    result = run("diagnose", tape.graph().save(tmp_path / "frozen.gradtrace"))
    assert result.exit_code == 0
    assert "1 note" in result.output


def test_diff(run: Callable[..., Result], healthy: Path, vanishing: Path) -> None:
    result = run("diff", healthy, healthy)
    assert result.exit_code == 0
    assert "0 of 10 nodes part, 0 are in one only" in result.output
    result = run("diff", healthy, vanishing)
    assert result.exit_code == 1
    assert "the first value that parts is that of w0" in result.output
    assert "only in b: " in result.output


def test_diff_as_json(run: Callable[..., Result], healthy: Path, tmp_path: Path) -> None:
    other = program(0.8).save(tmp_path / "other.gradtrace")
    result = run("diff", healthy, other, "--json")
    facts = json.loads(result.output)
    assert result.exit_code == 1
    assert facts["same"] is False
    assert facts["first_value"]["a"] == "w0"
    assert len(facts["rows"]) == 10
    assert run("diff", healthy, other, "--tolerance", 0.9).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("paths", "{file}", "nope"), "no node is named 'nope'"),
        (("diagnose", "{file}", "--rule", "nope"), "no rule is named 'nope'; use some of"),
        (("diff", "{file}", "nowhere.gradtrace"), "there is no file nowhere.gradtrace"),
    ],
)
def test_bad_input_is_one_line_on_the_error_output(
    run: Callable[..., Result], healthy: Path, arguments: tuple[Any, ...], message: str
) -> None:
    result = run(*(each.format(file=healthy) for each in arguments))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
