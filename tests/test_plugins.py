"""A backend with a renderer from another distribution, built, installed, then used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ABACUS = Path(__file__).parent / "abacus"

TRACE = """
import sys
import abacus, gradtrace

x, y = abacus.Number(3.0), abacus.Number(2.0)
with gradtrace.trace() as graph:
    loss = x * x + x * y
    loss.backward()
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the distribution is installed."""
    folder = tmp_path_factory.mktemp("stranger")
    source = shutil.copytree(ABACUS, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps"]
    options = ["--no-build-isolation", "--target", folder / "site", source]
    done = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def run(site: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that can import what is installed in `site`."""
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def output(site: Path, program: str) -> str:
    done = run(site, program)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(site: Path) -> dict[str, dict[str, Any]]:
    program = "from gradtrace.cli import app; app(['plugins', '--json'])"
    return {row["name"]: row for row in json.loads(output(site, program))}


def test_it_is_a_distribution_of_its_own(site: Path) -> None:
    assert (site / "gradtrace_abacus-1.0.dist-info" / "entry_points.txt").exists()
    assert listed(site)["abacus"]["from"] == "gradtrace-abacus"


def test_its_backend_traces_its_framework(site: Path) -> None:
    lines = output(site, TRACE + "print(graph); print(graph.check())").splitlines()
    assert lines[0] == "graph of 5 nodes, 6 edges by abacus: 2 inputs, 3 calls"
    assert lines[-1] == "chain rule: 5 pass, 0 fail, 0 unverifiable"


def test_its_gradients_are_on_the_graph(site: Path) -> None:
    program = TRACE + "print([d.norm for _, d in graph.nodes(data='upstream_gradient')])"
    assert output(site, program) == "[8.0, 1.0, 3.0, 1.0, 1.0]\n"


def test_its_renderer_draws_its_format(site: Path, tmp_path: Path) -> None:
    target = tmp_path / "figure.outline"
    output(site, TRACE + f"graph.render({str(target)!r})")
    lines = target.read_text().splitlines()
    assert "- mul < 2" in lines
    assert "- add < 2" in lines


def test_its_rule_diagnoses(site: Path) -> None:
    program = TRACE + "print([(f.rule, f.node) for f in graph.diagnose() if f.rule == 'even'])"
    assert output(site, program) == "[('even', 'input_2'), ('even', 'mul_2')]\n"
    assert listed(site)["even"] == {
        "kind": "rule",
        "name": "even",
        "from": "gradtrace-abacus",
        "state": "works",
        "serves": ["even numbers"],
        "error": None,
    }
    assert listed(site)["odd"]["state"] == "broken"
    assert "it is no rule; help('gradtrace.analysis.diagnose" in listed(site)["odd"]["error"]


def test_its_graphs_are_saved_and_loaded(site: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "sum.gradtrace")
    program = TRACE + f"graph.save({file!r}); print(str(gradtrace.load({file!r})) == str(graph))"
    assert output(site, program) == "True\n"


def test_it_can_be_chosen_by_name_or_by_model(site: Path) -> None:
    for choice in ("backend='abacus'", "x"):
        program = TRACE.replace("trace()", f"trace({choice})") + "print(graph.graph['backend'])"
        assert output(site, program) == "abacus\n"


def test_its_sink_takes_a_recording(site: Path, tmp_path: Path) -> None:
    program = f"""if True:
        import gradtrace
        from gradtrace.recording.export import export
        from gradtrace.recording.sample import Step
        from gradtrace.recording.writer import Writer
        writer = Writer({str(tmp_path / "run")!r})
        for index in range(3):
            writer.put(Step(index, 0.0, {{"loss": 0.5}}))
        writer.close()
        run = gradtrace.open_recording(writer.directory)
        export(run, {str(tmp_path / "ledger")!r}, to="ledger")
    """
    output(site, program)
    assert (tmp_path / "ledger").read_text() == "0 0.5\n1 0.5\n2 0.5\n"
    odd = run(site, "from gradtrace.recording.sinks import find_sink; find_sink('stray')")
    assert (
        "sink 'stray' of gradtrace-abacus is broken (it is no sink; help('gradtrace." in odd.stderr
    )


def test_a_broken_plugin_is_listed_with_its_reason(site: Path) -> None:
    rows = listed(site)
    assert rows["abacus"]["state"] == rows["outline"]["state"] == "works"
    assert rows["ledger"]["state"] == "works"
    assert (
        rows["unfinished"]["state"] == rows["strange"]["state"] == rows["odd"]["state"] == "broken"
    )
    assert "it is no sink; help('gradtrace.recording.sinks')" in rows["stray"]["error"]
    assert "No module named 'a_package_that_nobody_wrote'" in rows["unfinished"]["error"]
    assert "it is no backend; help('gradtrace.backends')" in rows["strange"]["error"]


@pytest.mark.parametrize("name", ["unfinished", "strange"])
def test_a_broken_plugin_that_is_asked_for_says_what_is_wrong(site: Path, name: str) -> None:
    done = run(site, TRACE.replace("trace()", f"trace(backend={name!r})"))
    assert f"BackendError: backend {name!r} cannot be used; {name} is broken" in done.stderr


def test_its_author_runs_the_contract(site: Path) -> None:
    arguments = [str(ABACUS / "test_contract.py"), "-n0", "-rs", "-p", "no:cacheprovider"]
    program = f"import pytest, sys; sys.exit(pytest.main({[*arguments, '-o', 'addopts=']!r}))"
    report = output(site, program)
    tally = re.search(r"(\d+) passed, (\d+) skipped", report)
    assert tally, report
    assert int(tally[1]) > 3 * int(tally[2]) > 0, report
    assert "TestAbacus has no vectors" in report
