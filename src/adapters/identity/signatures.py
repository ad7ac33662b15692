"""Signatures of a shared secret, checked without the library where it has taken a token with the same header."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

_MOST_HEADERS = 64
_PADDING = "=="
_OBJECTS = msgspec.json.Decoder(dict[str, object])


class SharedSecretSignatures:
    """HS256 under headers that held before: the library takes ten times as long, most of it for the header.

    It only ever says yes: what it does not know or does not like, the library decides.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._headers: dict[str, str | None] = {}

    def remember(self, token: str, kid: str | None) -> None:
        """Remember the header of an HS256 token that the library took."""
        header = token.partition(".")[0]
        # `crit` and `b64` change what a signature means: the library looks at each token that has them.
        if _members(header) <= {"alg", "typ", "kid"} and len(self._headers) < _MOST_HEADERS:
            self._headers[header] = kid

    def claims(self, token: str) -> tuple[str | None, dict[str, object]] | None:
        """Return the key id and the claims of a token whose signature holds; None where the library has to look."""
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        if header not in self._headers:
            return None
        right = urlsafe_b64encode(hmac.digest(self._secret, signed.encode(), hashlib.sha256)).rstrip(b"=")
        if not hmac.compare_digest(right, signature.encode()):
            return None
        try:
            return self._headers[header], _OBJECTS.decode(urlsafe_b64decode(payload + _PADDING))
        except (ValueError, msgspec.DecodeError):  # no base 64, or no JSON object
            return None


def _members(header: str) -> set[str]:
    return set(_OBJECTS.decode(urlsafe_b64decode(header + _PADDING)))
