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
    """Every candidate is the code of another user already."""

    code = "CODES_EXHAUSTED"
    _failure_cause = "codes"

    def __init__(self) -> None:
        super().__init__(f"{MAX_CANDIDATES} new codes in a row were taken already; ask again")


class CodeEntry(msgspec.Struct, frozen=True):
    """One row of the code book: a code belongs to one user for ever."""

    code: Code
    user_id: UserId
    is_canonical: bool
    created_at: datetime
    retired_at: datetime | None = None
    """The time when its user was deleted; from then on the code does not resolve."""


class ReferralCodes(Protocol):
    """The code book: canonical codes and aliases in one namespace."""

    async def canonical(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        """Return the canonical codes of those users who have one."""

    async def resolve(self, codes: Collection[str]) -> dict[str, CodeEntry]:
        """Return the entries of these codes, canonical or alias, except those of deleted users."""

    async def newest_aliases(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        """Return the alias of each user that was canonical most recently; users without an alias are left out."""

    async def assign(self, entries: Sequence[CodeEntry]) -> set[UserId]:
        """Store canonical codes, and return the users whose code was stored.

        Users whose candidate is taken, and users who have a canonical code already, are left out.
        """

    async def demote(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Turn canonical codes into aliases."""

    async def retire(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Retire the canonical codes of these users."""

    async def retire_aliases(self, user_id: UserId, at: datetime, *, after: str, limit: int) -> str | None:
        """Retire the first aliases of a user after `after`; return the last one, None where there are no more."""


def normal_form(text: str) -> Code | None:
    """Return the normal form of a code that was typed or sent in a link; None for a text that is not a code.

    The text has to be ASCII before `upper()`, which turns dotless i and the Kelvin sign into ASCII letters.
    """
    if not text.isascii():
        return None
    candidate = text.translate(_DROPPED).upper()
    return Code(candidate) if _NORMAL.match(candidate) else None


def draw_candidates(
    random_bytes: Callable[[int], bytes], *, alphabet: str = CROCKFORD, length: int = CODE_LENGTH
) -> tuple[Code, ...]:
    """Draw the candidates of one mint, every symbol equally likely; `random_bytes(n)` returns n bytes of a CSPRNG.

    They are drawn once for each command, not for each attempt: a retry recognises the code that it stored.
    """
    unbiased = _BYTE_VALUES - _BYTE_VALUES % len(alphabet)
    wanted = MAX_CANDIDATES * length
    symbols = ""
    while len(symbols) < wanted:
        drawn = random_bytes(wanted - len(symbols))
        symbols += "".join(alphabet[byte % len(alphabet)] for byte in drawn if byte < unbiased)
    return tuple(Code(symbols[start : start + length]) for start in range(0, wanted, length))
