"""The process that serves a data directory of PostgreSQL.

PostgreSQL names it in the file `postmaster.pid`. That file alone does not answer whether a server runs: PostgreSQL
creates it empty and writes into it afterwards, and a file that was left names a process id that another program may
have by now.
"""

from collections.abc import Iterator
from pathlib import Path

import psutil

FILE = "postmaster.pid"
_PROGRAM = "postgres"
_STATUS_LINE = 7


def find_postmaster(data: Path) -> psutil.Process | None:
    """Return the server of a data directory, from its start on; None where none runs."""
    named, _ = _named(data)
    return named or next((process for process in _working_in(data) if _is_server(process, data)), None)


def is_ready(data: Path) -> bool:
    """Return whether the server of a data directory runs and says that it takes connections."""
    named, status = _named(data)
    return named is not None and status == "ready"


def has_processes(data: Path) -> bool:
    """Return whether a process of PostgreSQL works in a data directory; those of a killed server end a little later."""
    return any(_is_postgres(process) for process in _working_in(data))


def _named(data: Path) -> tuple[psutil.Process | None, str]:
    """Return the server that the file names, None where that is another process, and the status in the file."""
    try:
        lines = (data / FILE).read_text(encoding="utf-8").splitlines()
        process = psutil.Process(int(lines[0]))
    except (OSError, ValueError, IndexError, psutil.Error):
        return None, ""
    if not (_works_in(process, data) and _is_postgres(process)):
        return None, ""
    return process, lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""


def _working_in(data: Path) -> Iterator[psutil.Process]:
    """Yield the processes whose working directory is the data directory, as it is for all processes of a server."""
    return (process for process in psutil.process_iter() if _works_in(process, data))


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == data
    except (OSError, psutil.Error):
        return False


def _is_postgres(process: psutil.Process) -> bool:
    """Return whether a process is one of PostgreSQL, and not a shell that somebody opened in the data directory."""
    try:
        return process.name().startswith(_PROGRAM)
    except psutil.Error:
        return False


def _is_server(process: psutil.Process, data: Path) -> bool:
    """Return whether a process is the server, or becomes it; its children replace their arguments by a title."""
    try:
        arguments = process.cmdline()
    except psutil.Error:
        return False
    return arguments[-2:] == ["-D", str(data)]
