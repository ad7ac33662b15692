"""The clients of a drill: they ask for changes until they are stopped, and write down every answer."""

import asyncio
import itertools
import json
import ssl
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2

from drills.journal import Journal, Operation, Reply
from tests.http.services import signature_headers
from tests.http.tokens import good_token

WORKERS = 12
MOST_CONNECTIONS = 64
LONGEST_ANSWER_SECONDS = 40.0
"""A client gives up after this time: longer than the service waits for any of its parts."""
NOBODY_LISTENS = Reply(503, {"code": "NOBODY_LISTENS"})
"""The note of a client that found no server: no request left, so that nothing was done."""
PAUSE_SECONDS = 0.05
"""The pause of a client whose request was refused or lost: as a client waits before it asks again."""


class Request:
    """The request for an operation, each time the same."""

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
        is_safe: bool = True,
        read: Callable[[Reply], Reply] = lambda reply: reply,
    ) -> None:
        """Name the sender by `sub` and `permissions`, or a signed webhook by its id, `delivery`.

        A request that is not safe to repeat is not sent again while its outcome is unknown. `read` returns the part of
        a success that has to be the same for each request of an operation.
        """
        self.method, self.path, self.is_safe, self.read = method, path, is_safe, read
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
        self._requests: dict[Operation, Request] = {}
        self._stopped = False
        self._progress = asyncio.Condition()
        self._successes = 0
        limits = httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS)
        self._http = httpx2.AsyncClient(
            trust_env=False, timeout=LONGEST_ANSWER_SECONDS, limits=limits, verify=trust or True
        )

    async def do(self, operation: Operation, request: Request) -> Reply | None:
        """Send the request of an operation once, and return its answer; None where it was lost."""
        self._requests.setdefault(operation, request)
        return await self._send(operation, request)

    async def resend_unresolved(self, within_seconds: float = 30.0) -> None:
        """Ask again for every operation without an answer that stands, until each has an answer that stands.

        If none of them gets one in this time, the rest is noted as a surprise.
        """
        deadline, fewest = 0.0, sys.maxsize
        while left := [operation for operation in self.journal.unresolved() if self._may_repeat(operation)]:
            if len(left) < fewest:
                deadline, fewest = time.monotonic() + within_seconds, len(left)
            if time.monotonic() > deadline:
                self.journal.surprise(f"{len(left)} requests get no answer that stands, {left[0]} among them")
                return
            await asyncio.gather(*(self._send(operation, self._requests[operation]) for operation in left[:WORKERS]))

    async def until_successes(self, number: int, within_seconds: float = 60.0) -> None:
        """Wait until so many more requests succeeded, or until a client saw an answer that none should see."""
        goal = self._successes + number
        async with asyncio.timeout(within_seconds), self._progress:
            await self._progress.wait_for(lambda: self._successes >= goal or bool(self.journal.surprises))

    def stop(self) -> None:
        """Let every client end after its script."""
        self._stopped = True

    @property
    def has_stopped(self) -> bool:
        return self._stopped

    async def close(self) -> None:
        await self._http.aclose()

    def _may_repeat(self, operation: Operation) -> bool:
        return self._requests[operation].is_safe or self.journal.knowledge(operation) == "refused"

    async def _send(self, operation: Operation, request: Request) -> Reply | None:
        addresses = self._addresses()
        address = addresses[next(self._turn) % len(addresses)]
        began = time.monotonic()
        self.journal.sent(operation)
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
        self.journal.answered(operation, reply, began)
        is_served = reply is not None and reply.status < 500
        async with self._progress:
            self._successes += is_served
            self._progress.notify_all()
        if not is_served:
            await asyncio.sleep(PAUSE_SECONDS)
        return reply


def _decoded(answer: httpx2.Response) -> dict[str, Any]:
    """Return the body of an answer; an answer without JSON, as a balancer sends it, has none."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
