"""Folders for the databases of tests: in memory where there is room."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 4 * 1024**3


@contextmanager
def database_folder() -> Iterator[Path]:
    """Make an empty folder for a cluster, with a short path so that its socket fits beside the data; remove it after.

    A cluster in memory flushes as the product tells it to, and waits for no disk.
    """
    is_in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    folder = Path(tempfile.mkdtemp(prefix="tallystick-test-", dir=_MEMORY if is_in_memory else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
