"""Requests as bytes, signed before the measurement begins."""

import hmac
import json
import secrets
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import count

from joserfc import jwt
from joserfc.jwk import OctKey

from tallystick.adapters.webhooks.signatures import WebhookSecrets

_STAFF = 16
_TOKEN_SECONDS = 900
_TOKEN_HEAD = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")


def get(path: str, authorization: str | None = None) -> bytes:
    """Return a GET as bytes."""
    signed = f"authorization: {authorization}\r\n" if authorization is not None else ""
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\n{signed}\r\n".encode()


def post(path: str, authorization: str, body: object = None) -> bytes:
    """Return a POST as bytes, with a JSON body where there is one."""
    content = json.dumps(body, separators=(",", ":")).encode() if body is not None else b""
    kind = "content-type: application/json\r\n" if content else ""
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: {authorization}\r\n{kind}"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


class Signer:
    """The identity provider: it signs tokens and deliveries for new users."""

    def __init__(self) -> None:
        self.jwt_secret = secrets.token_urlsafe(32)
        self.webhook_secret = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
        self._jwt_key = OctKey.import_key(self.jwt_secret)
        self._webhook_key = WebhookSecrets.parse(self.webhook_secret)
        self._numbers = count(1)

    def new_users(self, number: int) -> list[str]:
        """Return ids of users that no earlier request has named."""
        return [f"user_{next(self._numbers)}" for _ in range(number)]

    def bearer(self, user_id: str) -> str:
        """Return a user's Authorization header."""
        claims = {"sub": user_id, "exp": int(time.time()) + _TOKEN_SECONDS}
        return f"Bearer {jwt.encode({'alg': 'HS256'}, claims, self._jwt_key)}"

    def bearers(self, user_ids: Iterable[str], permissions: Sequence[str] = ()) -> list[str]:
        """Return the headers of many users; signed without a library, because thousands are needed at once."""
        expires, key = int(time.time()) + _TOKEN_SECONDS, self.jwt_secret.encode()
        signed = []
        for user_id in user_ids:
            claims = {"sub": user_id, "exp": expires, "permissions": permissions}
            message = _TOKEN_HEAD + b"." + urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
            signature = urlsafe_b64encode(hmac.digest(key, message, "sha256")).rstrip(b"=")
            signed.append(f"Bearer {message.decode()}.{signature.decode()}")
        return signed

    def purchases(self, pairs: Iterable[tuple[str, str]]) -> list[bytes]:
        """Return requests of users who buy rewards."""
        pairs = list(pairs)
        bearers = self.bearers(user_id for user_id, _ in pairs)
        return [
            post(f"/api/rewards/{reward_id}/purchase", bearer)
            for (_, reward_id), bearer in zip(pairs, bearers, strict=True)
        ]

    def redemptions(self, user_ids: Iterable[str], code: str) -> list[bytes]:
        """Return requests of users who take a seat."""
        return [post("/api/invites/redeem", bearer, {"code": code}) for bearer in self.bearers(user_ids)]

    def batch(self, pairs: Iterable[tuple[str, str]]) -> bytes:
        """Return the request of a back office that buys for many users at once."""
        [bearer] = self.bearers(["back_office"], ["purchases:batch"])
        orders = [{"user_id": user_id, "reward_id": reward_id} for user_id, reward_id in pairs]
        return post("/api/rewards/purchases", bearer, {"orders": orders})

    def awards(self, player_ids: Iterable[str]) -> list[bytes]:
        """Return requests of staff who award points, one for each award."""
        bearers = self.bearers([f"staff_{number}" for number in range(_STAFF)], ["loyalty:award"])
        award = {"points": 7, "reason": "bench"}
        return [
            post(
                "/api/loyalty/manual-rewards",
                bearers[number % _STAFF],
                {**award, "player_id": player_id, "reward_id": secrets.token_hex(16)},
            )
            for number, player_id in enumerate(player_ids)
        ]

    def accruals(self, player_ids: Iterable[str]) -> bytes:
        """Return the request of a game server that reports many events at once."""
        [bearer] = self.bearers(["game_server"], ["loyalty:batch"])
        events = [
            {"player_id": player_id, "points": 7, "event_type": "play", "event_key": secrets.token_hex(16)}
            for player_id in player_ids
        ]
        return post("/api/loyalty/accruals", bearer, {"events": events})

    def sends(self, pairs: Iterable[tuple[str, str]]) -> list[bytes]:
        """Return requests of members who send messages to channels; each text ends with the number of its request."""
        pairs = list(pairs)
        bearers = self.bearers(user_id for user_id, _ in pairs)
        return [
            post("/api/messages/send", bearer, {"channel_id": channel_id, "body": f"A message with number {number}"})
            for number, ((_, channel_id), bearer) in enumerate(zip(pairs, bearers, strict=True))
        ]

    def streams(self, pairs: Iterable[tuple[str, str]]) -> list[bytes]:
        """Return requests of members who read the streams of channels."""
        pairs = list(pairs)
        bearers = self.bearers(user_id for user_id, _ in pairs)
        return [
            get(f"/api/channels/{channel_id}/stream", bearer)
            for (_, channel_id), bearer in zip(pairs, bearers, strict=True)
        ]

    def page(self, user_id: str, channel_id: str) -> bytes:
        """Return a member's request for the newest page of a channel."""
        return get(f"/api/messages/list?channel_id={channel_id}", self.bearer(user_id))

    def entries(self, player_id: str) -> bytes:
        """Return a player's request for the newest page of their entries."""
        return get(f"/api/loyalty/{player_id}/entries", self.bearer(player_id))

    def link_request(self, user_id: str) -> bytes:
        """Return a user's request for their link, which mints a code for a user without one."""
        return get("/api/my-referral-link", self.bearer(user_id))

    def delivery(self, user_id: str) -> bytes:
        """Return the provider's signed delivery that a user was created."""
        at, delivery_id = datetime.now(UTC), f"msg_{user_id}"
        about = {"id": user_id, "email": f"{user_id}@example.org", "username": user_id, "created_at": at.isoformat()}
        body = json.dumps({"type": "user.created", "data": about}).encode()
        head = (
            f"POST /api/webhooks/auth HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nwebhook-id: {delivery_id}\r\nwebhook-timestamp: {int(at.timestamp())}\r\n"
            f"webhook-signature: {self._webhook_key.sign(delivery_id, at, body)}\r\n\r\n"
        )
        return head.encode() + body
