"""Keys derived from one configured secret, each for one purpose."""

import hashlib
import hmac
from typing import Literal

Purpose = Literal["session", "pseudonyms", "cursors", "globe", "fingerprints"]


def derive(secret: str, purpose: Purpose) -> bytes:
    """Return a 32-byte key that tells nothing about the secret or about the keys for other purposes."""
    return hmac.digest(secret.encode(), f"tallystick {purpose} v1".encode(), hashlib.sha256)
