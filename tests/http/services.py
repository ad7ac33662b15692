"""The whole service in one process, and clients that speak to it as the outside world does."""

import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx2
import msgspec
from dishka import AsyncContainer, Provider
from joserfc import jwt
from joserfc.jwk import OctKey
from standardwebhooks.webhooks import Webhook

from tallystick.adapters.webhooks.signatures import WebhookSecrets
from tallystick.application.ports import Clock
from tallystick.application.transactions import Transactions
from tallystick.domain.sessions import LIFETIME, Session, SessionId
from tallystick.domain.users import UserId
from tallystick.entrypoints.group_commits import GroupCommits
from tallystick.entrypoints.providers.http import App
from tallystick.entrypoints.settings import Settings, Store, load
from tallystick.entrypoints.wiring import build

JWT_SECRET = "a shared secret for tests, long enough"
WEBHOOK_SECRET = f"whsec_{base64.b64encode(b'a webhook secret for the tests..').decode()}"
METRICS_TOKEN = "a-token-for-those-who-measure"
SESSION_ID = "0123456789abcdef" * 2
BASE_URL = "https://go.example.org"
APP_URL = "https://app.example.org/welcome?from=link"


def settings(**changes: object) -> Settings:
    """Return settings for tests: secrets set, no limits. Texts are read as those of the environment are."""
    given: dict[str, object] = {
        "jwt_secret": JWT_SECRET,
        "webhook_secrets": WEBHOOK_SECRET,
        "public_base_url": BASE_URL,
        "app_url": APP_URL,
        "rate_limits": "off",
        "metrics_token": METRICS_TOKEN,
    }
    given |= changes
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    prefixed = {name: name if name.startswith("database") else f"tallystick_{name}" for name in texts}
    values = {name: value for name, value in given.items() if value is not None and name not in texts}
    return msgspec.structs.replace(load({prefixed[name].upper(): text for name, text in texts.items()}), **values)


def bearer(subject: str, *permissions: str, lifetime_seconds: int = 600, **claims: Any) -> str:
    """Return an Authorization header's value for a user."""
    now = int(time.time())
    body = {"sub": subject, "exp": now + lifetime_seconds, "permissions": list(permissions), **claims}
    return f"Bearer {jwt.encode({'alg': 'HS256'}, body, OctKey.import_key(JWT_SECRET))}"


class Serve(Protocol):
    """Starts the service with some settings and returns a nameless caller."""

    async def __call__(self, **changes: Any) -> "Caller": ...


class Caller:
    """Somebody who calls the service, under their own name or none."""

    def __init__(self, http: httpx2.AsyncClient, authorization: str | None = None) -> None:
        self.http = http
        self._authorization = authorization

    def named(self, subject: str, *permissions: str, **claims: Any) -> "Caller":
        """Return the same caller with a token for a user."""
        return Caller(self.http, bearer(subject, *permissions, **claims))

    def nameless(self) -> "Caller":
        """Return the same caller without a token."""
        return Caller(self.http)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Send a request; `body` goes out as JSON, `raw` as it is."""
        sent = dict(headers or {})
        if path.partition("?")[0] == "/metrics":
            sent.setdefault("authorization", f"Bearer {METRICS_TOKEN}")
        if self._authorization is not None:
            sent.setdefault("authorization", self._authorization)
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("content-type", "application/json")
        self.http.cookies.clear()  # a cookie is sent where a test says so
        return await self.http.request(method, path, content=raw, headers=sent)

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        return await self.call("GET", path, headers=headers)

    async def post(
        self, path: str, body: Any = None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        sent = {**(headers or {}), **({"idempotency-key": key} if key is not None else {})}
        return await self.call("POST", path, body=body, headers=sent)

    async def deliver(
        self,
        body: Any,
        *,
        message_id: str = "msg_1",
        sent_at: float | None = None,
        secret: str = WEBHOOK_SECRET,
        prefix: str = "webhook",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Deliver a signed webhook; a body of bytes goes out as it is."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = signature_headers(raw, message_id=message_id, sent_at=sent_at, secret=secret, prefix=prefix)
        return await self.nameless().call("POST", "/api/webhooks/auth", raw=raw, headers={**signed, **(headers or {})})


def signature_headers(
    raw: bytes,
    *,
    message_id: str = "msg_1",
    sent_at: float | None = None,
    secret: str = WEBHOOK_SECRET,
    prefix: str = "webhook",
) -> dict[str, str]:
    """Return the headers of a signed delivery, signed by the specification's own library where the body is text."""
    at = datetime.fromtimestamp(int(sent_at if sent_at is not None else time.time()), UTC)
    try:
        signature = Webhook(secret.removeprefix("v1,")).sign(message_id, at, raw.decode())
    except UnicodeDecodeError:
        signature = WebhookSecrets.parse(secret).sign(message_id, at, raw)
    return {
        f"{prefix}-id": message_id,
        f"{prefix}-timestamp": str(int(at.timestamp())),
        f"{prefix}-signature": signature,
    }


async def signed_in(container: AsyncContainer, user: str = "ada", *, session_id: str = SESSION_ID) -> Session:
    """Start a session for a user, as sign-in does."""
    now = (await container.get(Clock)).now()
    session = Session(UserId(user), SessionId(session_id), now, now + LIFETIME)
    async with (await container.get(Transactions)).begin() as stores:
        await stores.sessions.start([session])
    return session


@asynccontextmanager
async def running(
    given: Settings, store: Store, *replacements: Provider
) -> AsyncIterator[tuple[Caller, AsyncContainer]]:
    """Run the service in this process and return a nameless caller and the graph."""
    container = build(given, store, *replacements)
    try:
        app = await container.get(App)
        transport = httpx2.ASGITransport(app, client=("203.0.113.7", 50000))
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as http:
            yield Caller(http), container
        await (await container.get(GroupCommits)).close(grace_seconds=1)
    finally:
        await container.close()
