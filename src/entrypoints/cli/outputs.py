"""The output of a command: standard output, or a file that appears when it is complete."""

import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from tallystick.adapters.system import SystemRandomness
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.terminal import refuse


def target_of(output: Path | None, *, is_to_replace: bool, instead: str = "name a file") -> Path | None:
    """Return the file that a path means, behind every link; None is standard output.

    Ends the program if the file cannot be created, or exists and must not be replaced; where the path is no file, it
    says what to do `instead`.
    """
    if output is None or str(output) == "-":
        return None
    # Checked before links are followed: a link to a pipe or a terminal does not resolve to a path.
    if output.exists() and not output.is_file():
        refuse(f"{output} is not a regular file; {instead}", ExitStatus.WRONG)
    try:
        target = output.resolve()
    except RuntimeError:
        refuse(f"{output} is a link that leads to itself", ExitStatus.WRONG)
    if not target.parent.is_dir():
        refuse(f"there is no folder {target.parent if output.is_symlink() else output.parent}", ExitStatus.WRONG)
    if target.exists() and not is_to_replace:
        refuse(f"{output} exists already; give --force to replace it", ExitStatus.WRONG)
    return target


@contextmanager
def opened(target: Path | None, *, is_to_replace: bool, is_secret: bool = False) -> Iterator[BinaryIO]:
    """Open standard output, or a draft that becomes the file; FileExistsError if the file was created meanwhile.

    A new file that is secret can be read by its owner only.
    """
    if target is None:
        yield cast("BinaryIO", sys.stdout.buffer)
        return
    draft = target.with_name(f".tallystick-{SystemRandomness().bytes(8).hex()}")
    mode = 0o600 if is_secret else 0o666
    with ending_at_sigterm():
        try:
            with os.fdopen(_created(draft, target if is_to_replace else None, mode), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if is_to_replace:
                draft.replace(target)
            else:
                _put(draft, target)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def ending_at_sigterm() -> Iterator[None]:
    """End the program at SIGTERM by an exception, so that it ends the programs that it started and leaves no draft."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _created(draft: Path, replaced: Path | None, mode: int) -> int:
    """Create a file with the mode of the file that it replaces, or with this mode and the umask."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    if replaced is None or not replaced.exists():
        return os.open(draft, flags, mode)
    handle = os.open(draft, flags, 0o600)
    os.fchmod(handle, stat.S_IMODE(replaced.stat().st_mode))
    return handle


def _put(draft: Path, target: Path) -> None:
    """Give the file its name, unless another file has it by now."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # without hard links, an empty file reserves the name, and the draft replaces it
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        draft.replace(target)


def _end(*_: object) -> NoReturn:
    sys.exit(ExitStatus.TERMINATED)
