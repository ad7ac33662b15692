"""The key ring: a key for each purpose, derived from secrets that belong to this service."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Literal

Purpose = Literal["sessions", "bearers", "accounts", "cursors", "pseudonyms", "globe", "fingerprints", "attempts"]

MAX_SECRETS = 10
SHORTEST_SECRET = 16
"""In characters."""
_WORD = re.compile(r'"([^"]*)"|(\S+)')


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


def read_secrets(text: str) -> tuple[str, ...]:
    """Return the secrets of a setting, separated by white space; ValueError says what is wrong, without a secret.

    A secret that holds white space stands in double quotes. A text none of whose parts is long enough for a secret is
    one secret, a passphrase.
    """
    words = tuple(quoted or plain for quoted, plain in _WORD.findall(text))
    are_long = [len(word) >= SHORTEST_SECRET for word in words]
    if not any(are_long) and len(text) >= SHORTEST_SECRET:
        return (text,)
    if not all(are_long):
        raise ValueError(
            f"a secret needs at least {SHORTEST_SECRET} characters. White space separates several secrets; put one "
            "that holds white space in double quotes"
            if len(words) > 1
            else f"a secret needs at least {SHORTEST_SECRET} characters"
        )
    if len(words) > MAX_SECRETS:
        raise ValueError(f"at most {MAX_SECRETS} secrets are taken")
    return words
