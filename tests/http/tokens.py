"""Tokens as issuers sign them and as forgers make them up, and the answer to everybody without a valid one."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from functools import cache

from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry

from tests.http.services import JWT_SECRET, Caller

Sign = Callable[[bytes], bytes]
Answer = tuple[int, str | None, str | None, bytes]

HS256 = {"alg": "HS256", "typ": "JWT"}


def _refusal(challenge: str, detail: bytes) -> Answer:
    body = (
        b'{"type":"urn:tallystick:problem:unauthenticated","title":"Unauthenticated","status":401,'
        b'"detail":"%s","code":"UNAUTHENTICATED","error":"%s","correlation_id":"","retryable":false}'
    )
    return 401, "application/problem+json", challenge, body % (detail, detail)


_NEEDED = b"a valid bearer token or session cookie is needed"
INVALID_TOKEN = 'Bearer error="invalid_token"'
TURNED_AWAY = _refusal(INVALID_TOKEN, _NEEDED)
"""The answer to every bad token that has not expired, without its correlation id."""
EXPIRED = _refusal(INVALID_TOKEN, b"the token has expired; sign in again")
"""The answer to a token that was good."""
NO_TOKEN = _refusal("Bearer", _NEEDED)
"""The answer where no token came."""


def encoded(raw: bytes) -> str:
    """Return bytes as the parts of a token carry them."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(header: object, claims: object, sign: Sign) -> str:
    """Return a signed token; a header or claims of bytes go in as they are."""
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims))
    text = ".".join(map(encoded, parts))
    return f"{text}.{encoded(sign(text.encode()))}"


def by_secret(secret: str | bytes = JWT_SECRET, digest: str = "sha256") -> Sign:
    """Return how to sign with a shared secret."""
    key = secret if isinstance(secret, bytes) else secret.encode()
    return lambda text: hmac.digest(key, text, getattr(hashlib, digest))


def seconds_from_now(seconds: float) -> int:
    """Return a time as claims hold it."""
    return int(time.time() + seconds)


def claims(**changes: object) -> dict[str, object]:
    """Return what a good token says, with changes; `...` leaves a claim out."""
    members = {"sub": "ada", "exp": seconds_from_now(600), **changes}
    return {name: value for name, value in members.items() if value is not ...}


def good_token(**changes: object) -> str:
    """Return a good token, signed with the shared secret."""
    return token(HS256, claims(**changes), by_secret())


class Issuer:
    """An identity provider that publishes an RSA and an elliptic curve key, and a secret that it should not."""

    def __init__(self, name: str) -> None:
        self.rsa = RSAKey.generate_key(2048, {"kid": f"{name}'s RSA key"})
        self.ec = ECKey.generate_key("P-256", {"kid": f"{name}'s EC key"})
        self.secret = OctKey.generate_key(256, {"kid": f"{name}'s secret"})

    def document(self) -> bytes:
        """Return what the provider publishes."""
        return json.dumps({"keys": [key.as_dict(private=False) for key in (self.rsa, self.ec, self.secret)]}).encode()

    def signs(self, algorithm: str) -> Sign:
        """Return how to sign with the key that an algorithm needs."""
        key = self.ec if algorithm.startswith("ES") else self.rsa
        return lambda text: JWSRegistry.algorithms[algorithm].sign(text, key)

    def token(self, algorithm: str, header: dict[str, object] | None = None, **changes: object) -> str:
        """Return a token of this provider; `header` adds to its header, and `...` leaves a part out."""
        kid = (self.ec if algorithm.startswith("ES") else self.rsa).kid
        members = {"alg": algorithm, "kid": kid, **(header or {})}
        kept = {name: value for name, value in members.items() if value is not ...}
        return token(kept, claims(**changes), self.signs(algorithm))


@cache
def provider() -> Issuer:
    """Return the identity provider whose keys are published."""
    return Issuer("provider")


@cache
def stranger() -> Issuer:
    """Return somebody whose keys nobody has heard of."""
    return Issuer("stranger")


async def answer_to(anyone: Caller, *authorizations: str | bytes) -> Answer:
    """Return the answer to a read with these Authorization headers, without its correlation id."""
    sent = [
        (b"authorization", value if isinstance(value, bytes) else value.encode("latin-1")) for value in authorizations
    ]
    answer = await anyone.http.get("/api/referral", headers=sent)
    body = answer.content.replace(answer.headers["x-correlation-id"].encode(), b"")
    return answer.status_code, answer.headers.get("content-type"), answer.headers.get("www-authenticate"), body
