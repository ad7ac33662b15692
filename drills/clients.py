"""The clients of a drill: they ask for changes until they are stopped, and write down every answer."""

import asyncio
import itertools
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2

from drills.journal import Deed, Journal, Reply
from tests.http.services import signature_headers
from tests.http.tokens import good_token

WORKERS = 12
MOST_CONNECTIONS = 64
LONGEST_ANSWER_SECONDS = 40.0
"""A client gives up after this time: longer than the service waits for any of its parts."""
NOBODY_LISTENS = Reply(503, {"code": "NOBODY_LISTENS"})
"""What a client notes that found no server: no request left, so that nothing was done."""
PAUSE_SECONDS = 0.05
"""The pause of a client whose request was refused or lost: as a client waits before it asks again."""


class Request:
    """What a client sends for a deed, each time the same."""

    def __init__(
        self,
        path: str,
        body: object = None,
        *,
        sub: str,
        permissions: Sequence[str] = (),
        key: str | None = None,
        method: str = "POST",
        delivery: str | None = None,
        read: Callable[[Reply], Reply] = lambda reply: reply,
    ) -> None:
        """Name the sender by `sub` and `permissions`, or a signed webhook by its id, `delivery`.

        `read` returns the part of a success that has to be the same for each request of a deed.
        """
        self.method, self.path, self.read = method, path, read
        self.raw = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"} if self.raw else {}
        if delivery is None:
            headers["authorization"] = f"Bearer {good_token(sub=sub, permissions=list(permissions))}"
        else:
            headers |= signature_headers(self.raw, message_id=delivery)
        if key is not None:
            headers["idempotency-key"] = key
        self.headers: Mapping[str, str] = headers


class Clients:
    """A fixed number of clients; each runs one script after the other, on any of the addresses."""

    def __init__(
        self, addresses: Callable[[], Sequence[str]], journal: Journal, trust: ssl.SSLContext | None = None
    ) -> None:
        """`addresses` is asked for each request: servers come and go. `trust` verifies a balancer's certificate."""
        self.journal = journal
        self._addresses = addresses
        self._turn = itertools.count()
        self._requests: dict[Deed, Request] = {}
        self._stopped = False
        self._progress = asyncio.Condition()
        self._successes = 0
        limits = httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS)
        self._http = httpx2.AsyncClient(
            trust_env=False, timeout=LONGEST_ANSWER_SECONDS, limits=limits, verify=trust or True
        )

    async def do(self, deed: Deed, request: Request) -> Reply | None:
        """Send the request of a deed once, and return its answer; None where it was lost."""
        self._requests.setdefault(deed, request)
        return await self._send(deed, request)

    async def settle(self, within_seconds: float = 60.0) -> None:
        """Ask again for every deed that is not settled, until each has an answer that stands."""
        async with asyncio.timeout(within_seconds):
            while left := self.journal.unsettled():
                some = left[:WORKERS]
                await asyncio.gather(*(self._send(deed, self._requests[deed]) for deed in some))

    async def until_successes(self, number: int, within_seconds: float = 60.0) -> None:
        """Wait until so many more requests succeeded."""
        goal = self._successes + number
        async with asyncio.timeout(within_seconds), self._progress:
            await self._progress.wait_for(lambda: self._successes >= goal)

    def stop(self) -> None:
        """Let every client end after its script."""
        self._stopped = True

    @property
    def has_stopped(self) -> bool:
        return self._stopped

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, deed: Deed, request: Request) -> Reply | None:
        addresses = self._addresses()
        address = addresses[next(self._turn) % len(addresses)]
        began = time.monotonic()
        self.journal.sent(deed)
        reply: Reply | None = None
        try:
            answer = await self._http.request(
                request.method, f"{address}{request.path}", content=request.raw, headers=dict(request.headers)
            )
            reply = Reply(answer.status_code, _decoded(answer))
            reply = request.read(reply) if answer.is_success else reply
        except httpx2.ConnectError:
            reply = NOBODY_LISTENS
        except httpx2.HTTPError:
            pass
        self.journal.answered(deed, reply, began)
        if reply is None or reply.status >= 500:
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            async with self._progress:
                self._successes += 1
                self._progress.notify_all()
        return reply


def _decoded(answer: httpx2.Response) -> dict[str, Any]:
    """Return the body of an answer; an answer without JSON, as a balancer sends it, has none."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
