"""Share links: read by their owner, minted where they are missing, resolved by anyone."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from tallystick.application.codes import Mint
from tallystick.application.group_commit import Single
from tallystick.application.minting import DrawCandidates, Minted
from tallystick.application.missing_codes import MissingCodes
from tallystick.application.ports import Clock, Metrics
from tallystick.application.transactions import Transactions
from tallystick.domain.codes import Code, CodeEntry
from tallystick.domain.flags import Flag, Flags
from tallystick.domain.legacy_metadata import Claim
from tallystick.domain.user_summaries import UserSummary
from tallystick.domain.users import UserDeleted, UserId

Resolution = Literal["canonical", "alias", "legacy", "unknown"]
"""A `legacy` code is only in the legacy metadata so far; callers learn that it is valid, and no more."""


class LinkState(msgspec.Struct, frozen=True):
    """A user's code, None while it is pending."""

    code: Code | None
    otp_verified: bool


class ReadReferralLink:
    """Return a user's code; a missing one is minted where minting on read is switched on."""

    def __init__(
        self,
        read_summary: Single[UserId, UserSummary | None],
        mint: Single[Mint, Minted],
        flags: Flags,
        clock: Clock,
        draw_candidates: DrawCandidates,
        missing: MissingCodes,
    ) -> None:
        self._read_summary, self._mint, self._flags, self._clock = read_summary, mint, flags, clock
        self._draw_candidates, self._missing = draw_candidates, missing

    async def __call__(self, user_id: UserId) -> LinkState:
        since = self._clock.now()
        state = link_state(await self._read_summary(user_id))
        if state.code is not None or not self._flags.enabled(Flag.ENSURE_ON_READ_ENABLED):
            return state
        self._missing.asked(user_id)
        minted = await self._mint(Mint(user_id, self._draw_candidates(), since))
        self._missing.answered([user_id])
        return LinkState(minted.code, state.otp_verified)


class PeekReferralLink:
    """Return a user's code without a write; a missing one is counted in a metric and stays missing."""

    def __init__(self, read_summary: Single[UserId, UserSummary | None], metrics: Metrics) -> None:
        self._read_summary, self._metrics = read_summary, metrics

    async def __call__(self, user_id: UserId) -> LinkState:
        state = link_state(await self._read_summary(user_id))
        if state.code is None:
            self._metrics.count("referral_api_mint_attempts")
        return state


class ResolveCodes:
    """Resolve codes: the same statements for all concurrent callers, and for every kind of answer."""

    def __init__(self, transactions: Transactions, flags: Flags, metrics: Metrics) -> None:
        self._transactions, self._flags, self._metrics = transactions, flags, metrics

    async def __call__(self, codes: Sequence[str]) -> list[Resolution]:
        async with self._transactions.reading() as stores:
            # The legacy metadata first: a code that is adopted between the two reads is found by the second one.
            claims = await stores.legacy.resolve(codes) if self._falls_back() else {}
            entries = await stores.codes.resolve(codes)
        resolutions = [_resolution(entries.get(code), claims.get(code)) for code in codes]
        self._metrics.count("alias_hits", resolutions.count("alias"))
        self._metrics.count("legacy_drift_found", resolutions.count("legacy"), label="resolver")
        return resolutions

    def _falls_back(self) -> bool:
        return self._flags.enabled(Flag.LEGACY_FALLBACK_ENABLED)


def _resolution(entry: CodeEntry | None, claim: Claim | None) -> Resolution:
    if entry is not None:
        return "canonical" if entry.is_canonical else "alias"
    return "legacy" if claim is not None else "unknown"


def link_state(summary: UserSummary | None) -> LinkState:
    """Return the link of a user; UserDeleted for deleted users."""
    if summary is None:
        return LinkState(None, otp_verified=False)
    if summary.user.deleted_at is not None:
        raise UserDeleted
    return LinkState(summary.code, summary.otp_verified)
