"""What is sent: requests as bytes, signed before the clock runs."""

import json
import secrets
import time
from base64 import b64encode
from datetime import UTC, datetime
from itertools import count

from joserfc import jwt
from joserfc.jwk import OctKey

from adapters.webhooks.signatures import WebhookSecrets

_TOKEN_SECONDS = 900


def get(path: str, authorization: str | None = None) -> bytes:
    """Return a GET as bytes."""
    signed = f"authorization: {authorization}\r\n" if authorization is not None else ""
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\n{signed}\r\n".encode()


class Signer:
    """The identity provider: it signs tokens and deliveries, for users nobody has seen yet."""

    def __init__(self) -> None:
        self.jwt_secret = secrets.token_urlsafe(32)
        self.webhook_secret = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
        self._jwt_key = OctKey.import_key(self.jwt_secret)
        self._webhook_key = WebhookSecrets.parse(self.webhook_secret)
        self._numbers = count(1)

    def new_users(self, number: int) -> list[str]:
        """Return the ids of users who were in no request before."""
        return [f"user_{next(self._numbers)}" for _ in range(number)]

    def bearer(self, user_id: str) -> str:
        """Return a user's Authorization header."""
        claims = {"sub": user_id, "exp": int(time.time()) + _TOKEN_SECONDS}
        return f"Bearer {jwt.encode({'alg': 'HS256'}, claims, self._jwt_key)}"

    def link_request(self, user_id: str) -> bytes:
        """Return a user's request for their link, which mints their code where they have none."""
        return get("/api/my-referral-link", self.bearer(user_id))

    def delivery(self, user_id: str) -> bytes:
        """Return the provider's signed word that a user was created."""
        at, delivery_id = datetime.now(UTC), f"msg_{user_id}"
        about = {"id": user_id, "email": f"{user_id}@example.org", "username": user_id, "created_at": at.isoformat()}
        body = json.dumps({"type": "user.created", "data": about}).encode()
        head = (
            f"POST /api/webhooks/auth HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nwebhook-id: {delivery_id}\r\nwebhook-timestamp: {int(at.timestamp())}\r\n"
            f"webhook-signature: {self._webhook_key.sign(delivery_id, at, body)}\r\n\r\n"
        )
        return head.encode() + body
