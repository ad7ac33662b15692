"""Signatures of shared secrets, checked without the library where it has taken a token with the same header."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence

import msgspec
from joserfc.util import urlsafe_b64decode

_MOST_HEADERS = 64
_PLAIN = {"alg", "typ", "kid"}
_OBJECTS = msgspec.json.Decoder(dict[str, object])


class SharedSecretSignatures:
    """HS256 under headers that held before: the library takes ten times as long, most of it for the header.

    It only ever says yes: what it does not know or does not like, the library decides.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = tuple(secrets)
        self._headers: dict[str, str | None] = {}

    def remember(self, token: str, kid: str | None) -> None:
        """Remember the header of an HS256 token that the library took."""
        header = token.partition(".")[0]
        members = _object(header)
        # `crit` and `b64` change what a signature means: the library looks at each token that has them.
        if members is not None and members.keys() <= _PLAIN and len(self._headers) < _MOST_HEADERS:
            self._headers[header] = kid

    def claims(self, token: str) -> tuple[str | None, dict[str, object]] | None:
        """Return the key id and the claims of a token whose signature holds; None where the library has to look."""
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        if header not in self._headers:
            return None
        text, given = signed.encode(), signature.encode()
        if not any(hmac.compare_digest(_signature(secret, text), given) for secret in self._secrets):
            return None
        claims = _object(payload)
        return (self._headers[header], claims) if claims is not None else None


def _signature(secret: bytes, text: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(secret, text, hashlib.sha256)).rstrip(b"=")


def _object(part: str) -> dict[str, object] | None:
    """Return the JSON object of a part of a token; None where it is none, or not in the one form of base 64."""
    try:
        return _OBJECTS.decode(urlsafe_b64decode(part.encode()))
    except (ValueError, msgspec.DecodeError):
        return None
