"""Keyed hashes of referral codes: support can find an attempt by its code, and the code itself is not stored."""

import hashlib
import hmac
from collections.abc import Sequence

from tallystick.domain.codes import normal_form
from tallystick.domain.referrals import SentCode


class CodeDigests:
    """Turns codes, in any spelling, into keyed hashes of 64 hexadecimal digits."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """The first key makes the hashes; the others find those from before the secrets were rotated."""
        self._keys = tuple(keys)

    def sent(self, text: str) -> SentCode:
        """Return a code that came with a sign-up, beside its hash."""
        return SentCode(normal_form(text), _digest(self._keys[0], text))

    def candidates(self, text: str) -> set[str]:
        """Return every hash under which an attempt with this code may be kept."""
        return {_digest(key, text) for key in self._keys}


def _digest(key: bytes, text: str) -> str:
    """Hash the normal form, so that every spelling of a code has one hash; of other texts, the trimmed text."""
    spelled = normal_form(text) or text.strip()
    return hmac.digest(key, spelled.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()
