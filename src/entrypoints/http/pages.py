"""Pages: by key, with a cursor that says nothing and cannot be made up."""

import base64
import binascii
from typing import Annotated, Generic, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from litestar.params import QueryParameter

from entrypoints.http.refusals import InvalidRequest

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

Limit = Annotated[int, QueryParameter(description="How many items at most; clamped to 1 to 200.")]
Cursor = Annotated[str, QueryParameter(description="The next_cursor of the page before.")]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some items, and where the next ones are; no cursor at the end."""

    items: list[T]
    next_cursor: str | None


class Cursors:
    """Seals places in a list: the same place is the same text on every instance, and nobody else can read it."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(key)

    def seal(self, listing: str, place: object) -> str:
        """Return the cursor for a place in a listing."""
        sealed = self._cipher.encrypt(msgspec.msgpack.encode(place), [listing.encode()])
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, listing: str, cursor: str, expected: type[T]) -> T:
        """Return the place; InvalidRequest where the cursor is not one of this listing."""
        try:
            sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            return msgspec.msgpack.decode(self._cipher.decrypt(sealed, [listing.encode()]), type=expected)
        except (InvalidTag, binascii.Error, ValueError, msgspec.DecodeError):
            raise InvalidRequest.at("#cursor", "it is not a next_cursor of this listing") from None


def clamp(limit: int) -> int:
    """Return how many items a page has for what was asked."""
    return max(1, min(limit, MAX_LIMIT))
