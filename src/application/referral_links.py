"""Share links: read by their owner, minted when they are missing, resolved by anyone."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from application.codes import DrawCandidates, Mint, Minted
from application.group_commit import Single
from application.ports import Clock, Metrics
from application.transactions import Transactions
from domain.codes import Code
from domain.flags import Flag, Flags
from domain.standings import Standing
from domain.users import UserDeleted, UserId

Resolution = Literal["canonical", "alias", "unknown"]


class LinkState(msgspec.Struct, frozen=True):
    """A user's code, None while it is pending."""

    code: Code | None
    otp_verified: bool


class ReadReferralLink:
    """Return a user's code, minting it where it is missing and minting on read is switched on."""

    def __init__(
        self,
        read_standing: Single[UserId, Standing | None],
        mint: Single[Mint, Minted],
        flags: Flags,
        clock: Clock,
        draw_candidates: DrawCandidates,
    ) -> None:
        self._read_standing, self._mint, self._flags, self._clock = read_standing, mint, flags, clock
        self._draw_candidates = draw_candidates

    async def __call__(self, user_id: UserId) -> LinkState:
        since = self._clock.now()
        state = link_state(await self._read_standing(user_id))
        if state.code is not None or not self._flags.enabled(Flag.ENSURE_ON_READ_ENABLED):
            return state
        minted = await self._mint(Mint(user_id, self._draw_candidates(), since))
        return LinkState(minted.code, state.otp_verified)


class PeekReferralLink:
    """Return a user's code without ever writing; a missing one is counted and stays missing."""

    def __init__(self, read_standing: Single[UserId, Standing | None], metrics: Metrics) -> None:
        self._read_standing, self._metrics = read_standing, metrics

    async def __call__(self, user_id: UserId) -> LinkState:
        state = link_state(await self._read_standing(user_id))
        if state.code is None:
            self._metrics.count("referral_api_mint_attempts")
        return state


class ResolveCodes:
    """Tell what codes stand for: one statement for all who ask at once, the same for every kind of answer."""

    def __init__(self, transactions: Transactions, metrics: Metrics) -> None:
        self._transactions, self._metrics = transactions, metrics

    async def __call__(self, codes: Sequence[str]) -> list[Resolution]:
        async with self._transactions.reading() as stores:
            entries = await stores.codes.resolve(codes)
        resolutions: list[Resolution] = []
        for code in codes:
            entry = entries.get(code)
            resolutions.append("unknown" if entry is None else "canonical" if entry.is_canonical else "alias")
        self._metrics.count("alias_hit_count", resolutions.count("alias"))
        return resolutions


def link_state(standing: Standing | None) -> LinkState:
    """Return what a standing says about the link; UserDeleted for those who are gone."""
    if standing is None:
        return LinkState(None, otp_verified=False)
    if standing.user.deleted_at is not None:
        raise UserDeleted
    return LinkState(standing.code, standing.otp_verified)
