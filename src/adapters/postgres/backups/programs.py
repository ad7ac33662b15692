"""PostgreSQL's client programs: the installed one that fits a server, and how it is run."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from tallystick.adapters.addresses import split_password

Name = Literal["pg_dump", "pg_restore"]

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_ERROR = re.compile(r"^\w+: error: (.*)$")
_LONGEST = 300
_SETTINGS = {"LC_ALL": "C", "TZ": "UTC", "PGCONNECT_TIMEOUT": "10"}


class BackupError(Exception):
    """A backup or a restore was refused or failed; the message says why, and what to do."""


class Program(msgspec.Struct, frozen=True):
    """One installed program."""

    name: Name
    path: Path
    major: int
    """The major version of PostgreSQL that it belongs to."""

    def run(
        self,
        arguments: Sequence[str],
        *,
        dsn: str,
        passed: BinaryIO | None = None,
        report: Callable[[str], None],
    ) -> None:
        """Run the program on a database to its end, and report each line of its messages that is no error.

        The program has the passed file open under the same number. It ends with this call, also where an exception ends
        the call. BackupError has the first error, without the lines that may hold rows.
        """
        address, password = split_password(dsn)
        # Arguments can be read by every user of the machine: the password goes by the environment.
        secrets = {} if password is None else {"PGPASSWORD": password}
        process = subprocess.Popen(  # noqa: S603  a program that the operator installed
            [str(self.path), f"--dbname={address}", "--no-password", "--verbose", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=() if passed is None else (passed.fileno(),),
            stderr=subprocess.PIPE,
            env={**os.environ, **_SETTINGS, **secrets, "PGAPPNAME": f"tallystick {self.name}"},
            text=True,
            errors="replace",
        )
        errors = []
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := _ERROR.match(line):
                    errors.append(found[1][:_LONGEST])
                else:
                    report(line)
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
            process.stderr.close()
        if status != 0:
            raise BackupError(f"{self.name} failed: {errors[0] if errors else f'it ended with {status}'}")

    def output_of(self, *arguments: str) -> str:
        """Return what the program prints about a file; BackupError with its first error."""
        ran = _ran(self.path, *arguments)
        if ran.returncode != 0:
            first = next((found[1] for line in ran.stderr.splitlines() if (found := _ERROR.match(line))), "no reason")
            raise BackupError(f"{self.name} cannot read the file: {first[:_LONGEST]}")
        return ran.stdout


def find_program(name: Name, server_major: int, folders: Sequence[Path]) -> Program:
    """Return the first program of the server's major version; BackupError names those that were found.

    Another version is not used, although a newer pg_dump reads an older server: the pg_restore of that server might
    not read the file.
    """
    found = list(_installed(name, folders))
    for program in found:
        if program.major == server_major:
            return program
    others = ", ".join(f"{program.path} is of {program.major}" for program in found) or "none was found"
    raise BackupError(
        f"the server is PostgreSQL {server_major} and needs {name} of that version ({others}): install it, such as "
        f"Debian's package postgresql-client-{server_major}, and put its folder in front of the PATH"
    )


def _installed(name: Name, folders: Sequence[Path]) -> Iterator[Program]:
    for path in dict.fromkeys(folder / name for folder in folders):
        if not os.access(path, os.X_OK):
            continue
        version = _VERSION.search(_ran(path, "--version").stdout)
        if version is not None:
            yield Program(name, path, int(version[1]))


def _ran(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment: Mapping[str, str] = {**os.environ, **_SETTINGS}
    return subprocess.run(  # noqa: S603  a program that the operator installed
        [str(path), *arguments], env=environment, capture_output=True, text=True, errors="replace", check=False
    )
