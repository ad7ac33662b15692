"""Chromium as Debian packages it, without a window: a process group of its own, ended by its id."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--no-proxy-server", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_END_SECONDS = 10.0


@contextmanager
def chromium(url: str) -> Iterator[None]:
    """Show a page, with a profile of its own, while the context is open."""
    program = shutil.which("chromium")
    assert program is not None, "Chromium is missing: apt-get install chromium"
    profile = tempfile.mkdtemp(prefix="chromium-")
    process = subprocess.Popen(
        [program, *_FLAGS, f"--user-data-dir={profile}", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_END_SECONDS)
        shutil.rmtree(profile, ignore_errors=True)
