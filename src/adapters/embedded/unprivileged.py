"""Runs PostgreSQL, which refuses to run as root, where this process is root.

As a script it changes its user and then becomes the program: `unprivileged.py namespace|UID program ...`.
"""

import ctypes
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_CLONE_NEWUSER = 0x10000000
_NOBODY = 65534
_NAMESPACE = "namespace"


class NoUnprivilegedUser(Exception):
    """PostgreSQL cannot run here without a change of permissions outside the data directory."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"PostgreSQL does not run as root, user namespaces are not allowed here, and {path} can only be reached by "
            "root; start as another user, choose TALLYSTICK_DATA_DIR elsewhere, or set DATABASE_URL"
        )


class Identity(NamedTuple):
    """The user of a child process: this user, `nobody` in a user namespace, or another user."""

    how: str | None = None

    @property
    def uid(self) -> int | None:
        """The other user, who has to own the files; None where the files stay ours."""
        return int(self.how) if self.how is not None and self.how != _NAMESPACE else None

    def run(self, arguments: list[str], cwd: Path, log: int) -> "subprocess.Popen[bytes]":
        """Start a program in a session of its own, so that signals to the terminal do not reach it."""
        prefix = [sys.executable, "-I", "-S", __file__, self.how] if self.how is not None else []
        return subprocess.Popen(  # noqa: S603  our own binaries and arguments
            [*prefix, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def identity_for(data: Path, binaries: Path) -> Identity:
    """Choose the user that runs PostgreSQL; NoUnprivilegedUser where no user can.

    Root keeps its files: in a user namespace of its own the process sees itself as `nobody` while the kernel still
    knows it as the owner. Where namespaces are forbidden it becomes `nobody`, if every folder on the way lets it pass.
    """
    if os.geteuid() != 0:
        return Identity()
    owner = data.stat().st_uid if data.exists() else 0
    if owner == 0 and namespaces_work():
        return Identity(_NAMESPACE)
    for path in (data.parent.resolve(), binaries.resolve()):
        if not all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents)):
            raise NoUnprivilegedUser(path)
    return Identity(str(owner or _nobody()))


def namespaces_work() -> bool:
    """Return whether a process may create a user namespace on this machine."""
    return Identity(_NAMESPACE).run(["/bin/true"], Path("/"), subprocess.DEVNULL).wait() == 0


def change_user_and_run(how: str, arguments: list[str]) -> None:
    """Change the user of this process, and then become the program."""
    if how == _NAMESPACE:
        _enter_namespace()
    else:
        os.setgroups([])
        os.setgid(int(how))
        os.setuid(int(how))
    os.execv(arguments[0], arguments)  # noqa: S606  what this script is for


def _enter_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} 0 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} 0 1", encoding="ascii")


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return _NOBODY


if __name__ == "__main__":
    change_user_and_run(sys.argv[1], sys.argv[2:])
