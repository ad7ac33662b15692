"""A wire between the service and the database that a test can cut, at the very moment that matters."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import parse_qs, urlsplit, urlunsplit

Fault = Literal["none", "cut before the commit", "cut after the commit", "held before the commit", "silent"]

_COMMIT = b"COMMIT\x00"
"""The end of the message that asks for it, and of the one that confirms it."""
_BEGIN = b"BEGIN\x00"
_EXECUTE = b"E\x00\x00\x00\x09\x00"
"""The message that runs a statement; BEGIN and COMMIT are sent as mere text, which begins with Q."""


class Wire:
    """Passes on what both sides say, until its fault comes to bear."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.fault: Fault = "none"
        self.cuts = 0
        """How many commits it cut."""
        self.callers = 0
        """How many have called."""
        self.is_holding = asyncio.Event()
        """Set while it holds back a commit."""
        self._is_to_heal = False
        self._may_commit = asyncio.Event()
        self._may_pass = asyncio.Event()
        self._may_pass.set()
        self._server = urlsplit(dsn)
        self._folder = folder
        self._closed = False
        self._callers: dict[asyncio.Task[None], set[asyncio.StreamWriter]] = {}

    @property
    def dsn(self) -> str:
        """How to reach the server by this wire."""
        login = self._server.netloc.rpartition("@")[0]
        return urlunsplit(self._server._replace(netloc=f"{login}@", query=f"host={self._folder}"))

    @property
    def socket(self) -> Path:
        return self._folder / ".s.PGSQL.5432"

    def cut_once(self, fault: Fault) -> None:
        """Cut the next commit, and no other after it."""
        self.fault, self._is_to_heal = fault, True

    def hold(self) -> None:
        """Hold back the next commit, and no other after it."""
        self.fault = "held before the commit"

    def hold_all(self) -> None:
        """Hold back everything that both sides say from now on."""
        self._may_pass.clear()

    def heal(self) -> None:
        """Pass everything on again, with what was held back."""
        self.fault, self._is_to_heal = "none", False
        self._may_commit.set()
        self._may_pass.set()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a caller to the server for as long as both are there."""
        self.callers += 1
        task = asyncio.current_task()
        assert task is not None
        ends = self._callers[task] = {writer}
        try:
            there, back = await self._dial()
            ends.add(back)
            if self._closed:
                return
            await asyncio.gather(
                self._pass(reader, back, ends, "cut before the commit"),
                self._pass(there, writer, ends, "cut after the commit"),
            )
        finally:
            cut(ends)
            del self._callers[task]

    async def close(self) -> None:
        """Cut every connection, and wait until its ends have noticed."""
        self._closed = True
        callers = dict(self._callers)
        for ends in callers.values():
            cut(ends)
        await asyncio.gather(*callers)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: set[asyncio.StreamWriter], fault: Fault
    ) -> None:
        while data := await _read(reader):
            await self._may_pass.wait()
            if self._is_to_cut(data, fault, connection=id(ends)):
                self.cuts += 1
                if self._is_to_heal:
                    self.heal()
                break
            if self.fault == "held before the commit" and fault == "cut before the commit" and _COMMIT in data:
                self.fault = "none"
                self.is_holding.set()
                await self._may_commit.wait()
            if self.fault != "silent":
                writer.write(data)
        if self.fault != "silent":  # then neither side learns of the other's end
            cut(ends)

    def _is_to_cut(self, data: bytes, fault: Fault, *, connection: int) -> bool:
        return self.fault == fault and _COMMIT in data

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        folder = parse_qs(self._server.query).get("host")
        if folder is not None:
            return await asyncio.open_unix_connection(f"{folder[0]}/.s.PGSQL.5432")
        return await asyncio.open_connection(self._server.hostname, self._server.port or 5432)


class StepWire(Wire):
    """Cuts connections at a step of a transaction: a statement that is about to run, BEGIN and COMMIT among them."""

    def __init__(self, dsn: str, folder: Path) -> None:
        super().__init__(dsn, folder)
        self._step: int | None = None
        self._is_last = False
        self._steps: dict[int, int] = {}

    def cut_at(self, step: int, *, once: bool) -> None:
        """Cut transactions at a step, counted from 0: the next one, or all of them until it heals."""
        self._step, self._is_to_heal, self.cuts = step, once, 0

    def heal(self) -> None:
        super().heal()
        self._step = None

    def _is_to_cut(self, data: bytes, fault: Fault, *, connection: int) -> bool:
        if fault == "cut before the commit" and self._is_due(data, connection):
            return True
        return super()._is_to_cut(data, fault, connection=connection)

    def _is_due(self, data: bytes, connection: int) -> bool:
        is_text = data.startswith(b"Q")
        if is_text and _BEGIN in data:
            self._steps[connection] = 0
        elif connection in self._steps and (is_text or _EXECUTE in data):
            self._steps[connection] += 1
        else:
            return False
        step = self._steps[connection]
        if is_text and _BEGIN not in data:  # the end of the transaction
            del self._steps[connection]
        return step == self._step


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except ConnectionError:
        return b""


def cut(ends: set[asyncio.StreamWriter]) -> None:
    for end in ends:
        end.transport.abort()


W = TypeVar("W", bound=Wire)


@asynccontextmanager
async def laid(kind: type[W], dsn: str) -> AsyncIterator[W]:
    """Lay a wire of a kind to the server of a DSN."""
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:  # short enough for a socket's path
        wire = kind(dsn, Path(folder))
        async with await asyncio.start_unix_server(wire.connect, wire.socket):
            try:
                yield wire
            finally:
                await wire.close()


def wired(dsn: str) -> AbstractAsyncContextManager[Wire]:
    """Lay a wire to the server of a DSN."""
    return laid(Wire, dsn)
