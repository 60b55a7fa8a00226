"""The command that starts the dashboard, which is a program of its own."""

from __future__ import annotations

import errno
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from gradtrace.cli.app import app
from gradtrace.errors import GradtraceError, OptionError, RecordingError

__all__ = ["command", "dashboard", "serve"]

LOOPBACK = "127.0.0.1"

OPTIONS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "viewer",
    "runner.magicEnabled": "false",
    "logger.level": "error",
    "theme.light.primaryColor": "#0072B2",
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.dark.primaryColor": "#56B4E9",
    "theme.dark.backgroundColor": "#0E1117",
    "theme.dark.secondaryBackgroundColor": "#1A1F27",
}
"""What Streamlit is told: to look at no source files, and to send nothing to anybody."""

PORTS = range(8501, 8601)


@app.command()
def dashboard(
    directory: Annotated[
        Path, typer.Argument(help="A folder with runs in it, or a run.", metavar="DIR")
    ] = Path("runs"),
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = LOOPBACK,
    port: Annotated[
        int | None,
        typer.Option(help="Port; a free one unless told.", show_default=False, min=1, max=65535),
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
) -> None:
    """Watch the gradient flow of recorded runs in the browser, also while they train.

    [dim]Example:[/] gradtrace dashboard runs
    """
    serve(directory, host=host, port=port, headless=headless)


def serve(
    directory: Path, *, host: str = LOOPBACK, port: int | None = None, headless: bool = False
) -> None:
    """Start the dashboard, print its address, and stay until it ends or is interrupted."""
    program = _program()
    if directory.is_file():
        raise OptionError(
            f"{directory} is a file, not a folder of runs; a saved graph is dropped onto the page "
            "'Open a file'"
        )
    signal.signal(signal.SIGTERM, _interrupt)
    ports = PORTS if port is None else range(port, port + 1)
    process, chosen = _started(program, directory, host, ports)
    try:
        address = f"http://{LOOPBACK if host == '0.0.0.0' else host}:{chosen}"
        typer.echo(f"the dashboard of {directory} is at {address}\nCtrl-C ends it")
        if not headless:
            import webbrowser

            webbrowser.open(address)
        _wait(process)
    except KeyboardInterrupt:
        typer.echo("")
    finally:
        _end(process)


def command(program: Path, directory: Path, *, host: str, port: int) -> list[str]:
    """Return the command line of the dashboard.

    >>> found = command(Path("app.py"), Path("runs"), host="127.0.0.1", port=8501)
    >>> "--server.address=127.0.0.1" in found, found[-2:]
    (True, ['--', 'runs'])
    """
    options = {"server.address": host, "server.port": str(port), **OPTIONS}
    given = [f"--{name}={value}" for name, value in options.items()]
    if host == LOOPBACK:
        given += [f"--server.allowedHosts={each}" for each in ("localhost", LOOPBACK)]
    return [
        *(sys.executable, "-m", "streamlit", "run", str(program)),
        *given,
        "--",
        str(directory),
    ]


def _program() -> Path:
    """Return the application; raise `RecordingError` where something of it is not installed."""
    for module in ("streamlit", "gradtrace_dashboard"):
        if find_spec(module) is None:
            raise RecordingError(
                f"the dashboard needs {module}; pip install 'gradtrace[dashboard]'"
            )
    found = find_spec("gradtrace_dashboard")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("app.py")


def _started(
    program: Path, directory: Path, host: str, ports: range
) -> tuple[subprocess.Popen[str], int]:
    """Start the program on the first port that is free; return it once it listens there."""
    for port in ports:
        if not _is_free(host, port):
            continue
        line = command(program, directory, host=host, port=port)
        process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        if _listens(process, port):
            return process, port
        if _is_free(host, port):  # else another program was faster
            raise GradtraceError(
                f"the dashboard ended at once with status {process.returncode}; what it said is "
                "above"
            )
    tried = f"port {ports[0]}" if len(ports) == 1 else f"every port from {ports[0]} to {ports[-1]}"
    raise OptionError(f"{tried} is taken on {host}; pass another as --port")


def _is_free(host: str, port: int) -> bool:
    """Tell whether nobody listens on a port; raise `OptionError` where nobody can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise OptionError(
                f"cannot listen on {host}:{port}: {error.strerror}; use --host 127.0.0.1, or "
                "0.0.0.0 to let other machines in, and a --port above 1023"
            ) from error
    return True


def _listens(process: subprocess.Popen[str], port: int) -> bool:
    """Wait until the program says its address, which it does once it listens, or ends."""
    try:
        if any(f":{port}" in line for line in process.stdout or ()):
            return True
    except KeyboardInterrupt:
        _end(process)
        raise
    process.communicate()
    return False


def _wait(process: subprocess.Popen[str]) -> None:
    """Wait until the program ends, and look up each second.

    A signal that comes just before a wait begins, or to another thread, does not end the wait.
    """
    while process.returncode is None:
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)


def _interrupt(*_: object) -> None:
    """Take being ended as Ctrl-C, so that the program ends with us."""
    raise KeyboardInterrupt


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
