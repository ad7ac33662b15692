"""The key ring: a key for each purpose, derived from secrets that belong to this service."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

Purpose = Literal[
    "sessions", "bearers", "streams", "accounts", "cursors", "pseudonyms", "globe", "fingerprints", "attempts"
]


class KeyRing:
    """Derives the keys of each purpose from the session secrets or, where there are none, from the JWT secrets.

    The first secret makes keys that sign and seal. Keys of the others only verify and open, while secrets rotate.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ValueError("a key ring needs at least one secret")
        self._secrets = tuple(secrets)

    def key(self, purpose: Purpose) -> bytes:
        """Return the key that signs and seals."""
        return derive(self._secrets[0], purpose)

    def keys(self, purpose: Purpose) -> tuple[bytes, ...]:
        """Return every key that verifies and opens, the one that signs first."""
        return tuple(derive(secret, purpose) for secret in self._secrets)


def derive(secret: str, purpose: Purpose) -> bytes:
    """Return a 32-byte key that reveals neither the secret nor the keys of other purposes."""
    return hmac.digest(secret.encode(), f"tallystick {purpose} v1".encode(), hashlib.sha256)
