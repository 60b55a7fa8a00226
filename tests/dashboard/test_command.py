"""What the command `gradtrace dashboard` starts, prints and refuses."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gradtrace.cli import app
from gradtrace.cli import dashboard as module
from gradtrace.errors import GradtraceError
from gradtrace_dashboard.data import runs
from tests.dashboard.browser import MAIN, dashboard, nobody_else_starts_one
from tests.recording.runs import wait_for

REFUSED = (ConnectionRefusedError, TimeoutError)


def test_nobody_else_is_let_in_and_nothing_is_sent() -> None:
    found = module.command(Path("app.py"), Path("runs"), host="127.0.0.1", port=8501)
    for option in (
        "--server.address=127.0.0.1",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
        "--client.toolbarMode=viewer",
        "--server.allowedHosts=127.0.0.1",
        "--server.allowedHosts=localhost",
    ):
        assert option in found
    assert found[-2:] == ["--", "runs"]


def test_who_asks_for_it_lets_others_in() -> None:
    found = module.command(Path("app.py"), Path("runs"), host="0.0.0.0", port=9)
    assert "--server.address=0.0.0.0" in found
    assert not any("allowedHosts" in each for each in found)


def test_it_answers_listens_on_loopback_only_and_checks_the_host(tmp_path: Path) -> None:
    with dashboard(tmp_path) as address:
        port = int(address.rpartition(":")[2])
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
            assert answer.status == 200
        with pytest.raises(REFUSED), socket.create_connection((own_address(), port), timeout=2):
            pass


def own_address() -> str:
    """Return an address of this machine that others would use; skip where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        found = str(probe.getsockname()[0])
    if found.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    return found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_without_a_trace(tmp_path: Path, end: signal.Signals) -> None:
    if signal.getsignal(end) == signal.SIG_IGN:
        pytest.skip(f"the tests were started in the background, where {end.name} is ignored")
    command = [sys.executable, "-c", MAIN, "dashboard", str(tmp_path), "--headless"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with (
        nobody_else_starts_one(),
        subprocess.Popen(command, **pipes, text=True, start_new_session=True) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().split(" is at ")[1].strip()
        process.send_signal(end)
        try:
            _, complaint = process.communicate(timeout=20)
        finally:
            process.kill()  # else a failure would wait for it
        assert process.returncode == 0
        assert "Traceback" not in complaint
        port = int(address.rpartition(":")[2])
        time.sleep(0.2)
        with pytest.raises(REFUSED), socket.create_connection(("127.0.0.1", port), timeout=2):
            pass


@pytest.mark.parametrize("given", [True, False], ids=["given", "sought"])
def test_a_port_that_is_taken_is_said_to_be(monkeypatch: pytest.MonkeyPatch, given: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(module, "PORTS", range(port, port + 1))
        more = ["--port", str(port)] if given else []
        assert f"port {port} is taken on 127.0.0.1; pass another as --port" in refused(*more)


def refused(*options: str) -> str:
    """Return what the command says when it refuses, in one line."""
    result = CliRunner().invoke(app, ["dashboard", "--headless", *options])
    assert result.exit_code == 2
    return " ".join(result.output.split())


def test_a_signal_that_did_not_wake_it_ends_it_all_the_same() -> None:
    program = """if True:
        import signal, subprocess, sys, threading, time
        from gradtrace.cli import dashboard
        lasting = [sys.executable, "-c", "import time; time.sleep(60)"]
        process = subprocess.Popen(lasting, stdout=subprocess.PIPE, text=True)
        signal.signal(signal.SIGTERM, dashboard._interrupt)
        def elsewhere():
            time.sleep(0.5)
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        threading.Thread(target=elsewhere).start()
        try:
            dashboard._wait(process)
        except KeyboardInterrupt:
            dashboard._end(process)
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_port_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    with dashboard(tmp_path) as one, dashboard(tmp_path) as two:
        assert one != two


def test_who_loses_the_race_for_a_port_takes_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    free = iter([True, False, True])
    monkeypatch.setattr(module, "_is_free", lambda host, port: next(free))
    lines = iter([ENDS, "print('URL: http://127.0.0.1:2')"])
    monkeypatch.setattr(module, "command", lambda *_, **__: [sys.executable, "-c", next(lines)])
    process, port = module._started(tmp_path, tmp_path, "127.0.0.1", range(1, 3))
    assert port == 2
    process.communicate()


ENDS = "raise SystemExit(3)"


def test_a_program_that_ends_at_once_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "command", lambda *_, **__: [sys.executable, "-c", ENDS])
    with pytest.raises(GradtraceError, match="the dashboard ended at once with status 3"):
        module._started(tmp_path, tmp_path, "127.0.0.1", module.PORTS)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "step.gradtrace"
    file.write_bytes(b"")
    assert "is a file, not a folder of runs; a saved graph is dropped onto" in refused(str(file))
    assert "cannot listen on 192.0.2.1:8501: " in refused("--host", "192.0.2.1")
    assert "65535" in refused("--port", "99999")


@pytest.mark.parametrize("missing", ["streamlit", "gradtrace_dashboard"])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    find: Callable[[str], object] = module.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == missing else find(name))
    result = CliRunner().invoke(app, ["dashboard"])
    assert result.exit_code == 2
    assert f"the dashboard needs {missing}; pip install 'gradtrace[dashboard]'" in result.output


@pytest.mark.slow
def test_the_demo_trains_while_it_is_watched(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the demo trains with torch")
    pytest.importorskip("sklearn", reason="the demo takes its digits from scikit-learn")
    command = [sys.executable, "-c", MAIN, "demo", "--dashboard", "--headless", "-o", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert " is at http://127.0.0.1:" in process.stdout.readline()
        folder = tmp_path / "gradtrace-demo"
        assert wait_for(lambda: states(folder) == {"relu": True, "sigmoid": True}, seconds=60)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert wait_for(lambda: {each.state for each in runs(folder)} == {"stopped"})


def states(folder: Path) -> dict[str, bool]:
    """Return of each run whether it trains and has steps."""
    return {each.name: each.state == "training" and each.steps > 0 for each in runs(folder)}
