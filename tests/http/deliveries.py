"""Deliveries as providers sign them and as forgers change them, and the service that they are sent to."""

import base64
import hmac
import json
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dishka import AsyncContainer

from tallystick.application.transactions import Transactions
from tallystick.domain.users import UserId
from tests.http.services import WEBHOOK_SECRET, Caller

Headers = list[tuple[bytes, bytes]]
Sent = tuple[Headers, bytes]
KEY = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
REFUSED = (
    401,
    "application/problem+json",
    (
        b'{"type":"urn:tallystick:problem:invalid-signature","title":"Invalid signature","status":401,'
        b'"detail":"the delivery is not signed by a known secret, or not of now","code":"INVALID_SIGNATURE",'
        b'"error":"the delivery is not signed by a known secret, or not of now","correlation_id":"","retryable":false}'
    ),
)


@dataclass(frozen=True)
class Delivery:
    """A genuine delivery; replaced parts are signed too."""

    user: str
    timestamp: bytes
    message_id: bytes = b"msg_1"
    prefix: str = "webhook"

    @property
    def body(self) -> bytes:
        return json.dumps({"type": "user.created", "data": {"id": self.user}}).encode()

    def signature(self, key: bytes = KEY, digest: str = "sha256") -> bytes:
        signed = b".".join([self.message_id, self.timestamp, self.body])
        return b"v1," + base64.b64encode(hmac.digest(key, signed, digest))

    def encoded(self) -> bytes:
        """Return the signature without its version."""
        return self.signature().removeprefix(b"v1,")

    def sent(self, **changes: bytes | None) -> Sent:
        """Return the request, with changes after the signing; None leaves a header out."""
        headers = {"id": self.message_id, "timestamp": self.timestamp, "signature": self.signature(), **changes}
        body = headers.pop("body", self.body) or b""
        return [(f"{self.prefix}-{name}".encode(), text) for name, text in headers.items() if text is not None], body

    def later(self, seconds: int) -> "Delivery":
        return replace(self, timestamp=b"%d" % (int(self.timestamp) + seconds))


def and_also(sent: Sent, *headers: tuple[str, bytes]) -> Sent:
    return [*sent[0], *((name.encode(), text) for name, text in headers)], sent[1]


def genuine_delivery(user: str) -> Delivery:
    return Delivery(user, b"%d" % time.time())


@dataclass
class Target:
    """A service under attack."""

    anyone: Caller
    container: AsyncContainer

    async def answer_to(self, sent: Sent) -> tuple[int, str | None, bytes]:
        headers = [(b"content-type", b"application/json"), *sent[0]]
        answer = await self.anyone.http.post("/api/webhooks/auth", content=sent[1], headers=headers)
        body = answer.content.replace(answer.headers["x-correlation-id"].encode(), b"")
        return answer.status_code, answer.headers.get("content-type"), body

    async def refusals(self) -> float:
        scraped = (await self.anyone.get("/metrics")).text
        found = re.search(r'^tallystick_webhook_refusals_total\{reason="signature"\} (\S+)$', scraped, re.MULTILINE)
        assert found is not None
        return float(found[1])

    async def holds(self, user: str) -> tuple[int, int]:
        """Return how many users of this name and how many deliveries are stored; the latter are dropped."""
        transactions = await self.container.get(Transactions)
        async with transactions.begin() as stores:
            deliveries = await stores.deliveries.forget(before=datetime.max.replace(tzinfo=UTC), limit=10)
            return len(await stores.users.find([UserId(user)])), deliveries
