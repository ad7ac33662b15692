"""Referral codes: one normal form for every reader and writer, and the code book."""

import re
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NewType, Protocol

import msgspec

from tallystick.domain.refusals import Unavailable
from tallystick.domain.users import UserId

Code = NewType("Code", str)
"""A code in its normal form: 4 to 32 of `0-9 A-Z`."""

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 8
MAX_CODE_LENGTH = 32
MAX_CANDIDATES = 8
"""How many candidates one mint may try before it gives up."""

_ASCII_WHITE_SPACE = " \t\n\r\v\f"
_DROPPED = str.maketrans("", "", _ASCII_WHITE_SPACE + "-")
_NORMAL = re.compile(r"[0-9A-Z]{4,32}\Z")
_BYTE_VALUES = 256


class CodesExhausted(Unavailable):
    """Every candidate was somebody's code already."""

    code = "CODES_EXHAUSTED"
    _failure_cause = "codes"

    def __init__(self) -> None:
        super().__init__(f"{MAX_CANDIDATES} new codes in a row were taken already; ask again")


class CodeEntry(msgspec.Struct, frozen=True):
    """One row of the code book: a code is one user's for ever."""

    code: Code
    user_id: UserId
    is_canonical: bool
    created_at: datetime
    retired_at: datetime | None = None
    """When its user was deleted; from then on it resolves to nobody."""


class ReferralCodes(Protocol):
    """The code book: canonical codes and aliases in one name space."""

    async def canonical(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        """Return the canonical codes of those who have one."""

    async def resolve(self, codes: Collection[str]) -> dict[str, CodeEntry]:
        """Return the entries of these codes, canonical or alias, but for those of deleted users."""

    async def newest_aliases(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        """Return the alias that was canonical last, of those who have one."""

    async def assign(self, entries: Sequence[CodeEntry]) -> set[UserId]:
        """Store canonical codes and return who got theirs.

        Left out are the users whose candidate is somebody's code already and those who have a canonical code.
        """

    async def demote(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Turn canonical codes into aliases."""

    async def retire(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Retire the canonical codes of these users."""

    async def retire_aliases(self, user_id: UserId, at: datetime, *, after: str, limit: int) -> str | None:
        """Retire the first aliases of a user behind `after`; return the last one, None where there are no more."""


def normal_form(text: str) -> Code | None:
    """Return the normal form of what a person typed or a link carries; None where there is none.

    ASCII is asked for first: `upper()` turns letters such as dotless i and the Kelvin sign into ASCII ones.
    """
    if not text.isascii():
        return None
    candidate = text.translate(_DROPPED).upper()
    return Code(candidate) if _NORMAL.match(candidate) else None


def draw_candidates(
    random_bytes: Callable[[int], bytes], *, alphabet: str = CROCKFORD, length: int = CODE_LENGTH
) -> tuple[Code, ...]:
    """Draw the candidates of one mint, every symbol equally likely; `random_bytes(n)` returns n bytes of a CSPRNG.

    They are drawn once a command, not once a try: a mint that is run again recognises what it stored.
    """
    unbiased = _BYTE_VALUES - _BYTE_VALUES % len(alphabet)
    wanted = MAX_CANDIDATES * length
    symbols = ""
    while len(symbols) < wanted:
        drawn = random_bytes(wanted - len(symbols))
        symbols += "".join(alphabet[byte % len(alphabet)] for byte in drawn if byte < unbiased)
    return tuple(Code(symbols[start : start + length]) for start in range(0, wanted, length))
