"""Keyset pagination with encrypted cursors: clients can neither read nor forge them."""

import base64
import binascii
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Generic, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from litestar.params import QueryParameter

from tallystick.entrypoints.http.refusals import InvalidRequest

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

Limit = Annotated[int, QueryParameter(description="How many items at most; clamped to 1 to 200.")]
Cursor = Annotated[str, QueryParameter(description="Where the page begins; without it, at the beginning.")]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some items, and the cursor of the next page; None on the last page."""

    items: list[T]
    next_cursor: str | None


class Cursors:
    """Encrypts positions in a listing, deterministically, so that every instance makes and reads the same cursor."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """The first key encrypts; the others decrypt cursors from before the secrets were rotated."""
        self._ciphers = [*map(AESSIV, keys)]

    def seal(self, listing: str, position: object) -> str:
        """Return the cursor of a position in a listing."""
        sealed = self._ciphers[0].encrypt(msgspec.msgpack.encode(position), [listing.encode()])
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, listing: str, cursor: str, expected: type[T]) -> T:
        """Return the position of a cursor; InvalidRequest for a cursor that is not of this listing."""
        try:
            sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            return msgspec.msgpack.decode(self._opened(sealed, listing.encode()), type=expected)
        except (InvalidTag, binascii.Error, ValueError, msgspec.DecodeError):
            raise InvalidRequest.query("cursor", "a next_cursor of this listing is needed") from None

    def _opened(self, sealed: bytes, listing: bytes) -> bytes:
        for cipher in self._ciphers[:-1]:
            with suppress(InvalidTag):
                return cipher.decrypt(sealed, [listing])
        return self._ciphers[-1].decrypt(sealed, [listing])


def clamp(limit: int) -> int:
    """Return the page size for a requested limit: at least 1, at most `MAX_LIMIT`."""
    return max(1, min(limit, MAX_LIMIT))
