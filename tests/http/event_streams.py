"""Streams over ASGI, as a server would send them: the client of the other tests waits for the end of a reply."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

import httpx2

from tests.http.services import Caller

PATIENCE_SECONDS = 60.0
"""A test waits no longer for what it names, and fails with the last events before it."""


class Sent(NamedTuple):
    """One event of a stream."""

    name: str
    position: str | None
    data: dict[str, Any]


class OpenStream:
    """A stream that a client has open."""

    def __init__(self, messages: "asyncio.Queue[dict[str, Any]]") -> None:
        self._messages = messages
        self._events: list[Sent] = []
        self._latest: deque[Sent] = deque(maxlen=5)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.retry_ms = 0
        self.last_id: str | None = None

    async def begin(self) -> None:
        async with self._patience("beginning"):
            start = await self._messages.get()
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}

    async def next(self) -> Sent:
        """Return the next event; `closed` behind the last one. AssertionError where none comes."""
        async with self._patience("event"):
            return await self._next()

    async def until(self, name: str) -> list[Sent]:
        """Return the events up to the first of a name, itself included. AssertionError where it does not come."""
        return await self._until(lambda event: event.name == name, name)

    async def up_to(self, seq: int) -> list[Sent]:
        """Return the events up to the one of a number. AssertionError where it does not come."""
        return await self._until(lambda event: event.data.get("seq") == seq, f"event {seq}")

    async def _until(self, is_last: Callable[[Sent], bool], wanted: str) -> list[Sent]:
        async with self._patience(wanted):
            received = [await self._next()]
            while not is_last(received[-1]):
                received.append(await self._next())
        return received

    async def _next(self) -> Sent:
        while not self._events:
            message = await self._messages.get()
            for block in message["body"].decode().split("\n\n")[:-1]:
                fields = dict(line.split(": ", 1) for line in block.split("\n"))
                if "retry" in fields:
                    self.retry_ms = int(fields["retry"])
                else:
                    self._events.append(Sent(fields["event"], fields.get("id"), json.loads(fields["data"])))
            if not message.get("more_body"):
                self._events.append(Sent("closed", None, {}))
        event = self._events.pop(0)
        self._latest.append(event)
        self.last_id = event.position or self.last_id
        return event

    @asynccontextmanager
    async def _patience(self, wanted: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                yield
        except TimeoutError:
            raise AssertionError(f"no {wanted} came behind {list(self._latest)}") from None


@asynccontextmanager
async def streaming(
    caller: Caller, target: str, headers: Mapping[str, str] | None = None, *, method: str = "GET"
) -> AsyncIterator[OpenStream]:
    """Open a stream, and close the connection at the end of the block."""
    sent = {"host": "go.example.org", **(headers or {})}
    if caller._authorization is not None:
        sent.setdefault("authorization", caller._authorization)
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("203.0.113.7", 50000),
        "server": ("go.example.org", 443),
        "state": {},
    }
    app: Any = cast("httpx2.ASGITransport", caller.http._transport).app
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    is_gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await is_gone.wait()
        return {"type": "http.disconnect"}

    task = asyncio.create_task(app(scope, receive, messages.put))
    try:
        stream = OpenStream(messages)
        await stream.begin()
        yield stream
    finally:
        is_gone.set()
        await task
