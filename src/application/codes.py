"""Minting: each living user has one canonical code, and every older one keeps resolving."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from application.idempotency import AnswerOnce, Keyed, Replayed
from application.legacy_metadata import NoteCodes
from application.ports import Clock, Metrics
from application.transactions import Stores, Transactions
from application.users import enter
from domain.codes import MAX_CANDIDATES, Code, CodeEntry, CodesExhausted
from domain.refusals import Refusal
from domain.users import UserDeleted, UserId


class DrawCandidates(Protocol):
    """Draws the candidates for one mint."""

    def __call__(self) -> tuple[Code, ...]: ...


class Mint(msgspec.Struct, frozen=True):
    """Give this user a code, unless there is one."""

    user_id: UserId
    candidates: tuple[Code, ...]
    since: datetime
    """When somebody first asked for it."""


class Minted(msgspec.Struct, frozen=True):
    """A user's canonical code after a mint."""

    code: Code
    created: bool
    """False where the user had it already."""
    collisions: int = 0
    """How many candidates were somebody else's."""


class Remint(msgspec.Struct, frozen=True):
    """Replace this user's code; the same candidates again are the same remint."""

    user_id: UserId
    candidates: tuple[Code, ...]


class Reminted(msgspec.Struct, frozen=True):
    """The new canonical code, and the alias that it left behind; None where it was the user's first."""

    code: Code
    alias: Code | None
    otp_verified: bool


class MintCodes:
    """Give users their first code; whoever has one keeps it."""

    def __init__(self, transactions: Transactions, clock: Clock, metrics: Metrics, note: NoteCodes) -> None:
        self._transactions, self._clock, self._metrics, self._note = transactions, clock, metrics, note

    async def __call__(self, mints: Sequence[Mint]) -> list[Minted | Refusal]:
        now = self._clock.now()
        async with self._transactions.begin() as stores:
            users = await enter(stores, {command.user_id for command in mints}, now)
            living = {c.user_id: c.candidates for c in mints if users[c.user_id].deleted_at is None}
            minted = await mint(stores, living, now)
        # Those who had a code, too: a mint that is run again after a lost answer finds its own.
        self._note(living)
        count_mints(
            self._metrics,
            [(c.user_id, c.since, minted[c.user_id]) for c in mints if c.user_id in minted],
            self._clock.now(),
        )
        return [minted.get(command.user_id, UserDeleted()) for command in mints]


class RemintCodes:
    """Replace canonical codes; the old one becomes an alias in the same transaction."""

    def __init__(
        self, transactions: Transactions, clock: Clock, metrics: Metrics, once: AnswerOnce, note: NoteCodes
    ) -> None:
        self._transactions, self._clock, self._metrics, self._once = transactions, clock, metrics, once
        self._note = note

    async def __call__(self, remints: Sequence[Keyed[Remint]]) -> list[Reminted | Refusal | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, remints, lambda fresh: self._remint(stores, fresh))
        self._note({keyed.command.user_id for keyed in remints})
        return outcomes

    async def _remint(self, stores: Stores, remints: Sequence[Remint]) -> list[Reminted | Refusal]:
        now = self._clock.now()
        users = await enter(stores, {command.user_id for command in remints}, now)
        # One after the other, for one user may ask twice in a batch; nobody remints by the thousand.
        return [
            UserDeleted()
            if users[command.user_id].deleted_at
            # Each at an instant of its own: which alias is the newest can be told.
            else await self._remint_one(stores, command, now + timedelta(microseconds=number))
            for number, command in enumerate(remints)
        ]

    async def _remint_one(self, stores: Stores, command: Remint, now: datetime) -> Reminted | Refusal:
        user_id = command.user_id
        verified = user_id in await stores.verifications.verified([user_id])
        held = (await stores.codes.canonical([user_id])).get(user_id)
        entries = (await stores.codes.resolve(command.candidates)).values()
        own = next((entry.code for entry in entries if entry.user_id == user_id), None)
        if own is not None and held is not None:  # committed by an earlier try whose answer was lost
            alias = own if own != held else (await stores.codes.newest_aliases([user_id])).get(user_id)
            return Reminted(held, alias, verified)
        await stores.codes.demote([user_id], now)
        minted = (await mint(stores, {user_id: command.candidates}, now))[user_id]
        if isinstance(minted, Refusal):
            raise minted  # the old code must stay canonical: nothing of this batch is stored
        self._metrics.count("collision_retry_count", minted.collisions)
        return Reminted(minted.code, held, verified)


async def mint(
    stores: Stores, candidates: Mapping[UserId, Sequence[Code]], at: datetime
) -> dict[UserId, Minted | Refusal]:
    """Give each of these locked, living users a canonical code; whoever has one keeps it."""
    held = await stores.codes.canonical(candidates)
    minted: dict[UserId, Minted | Refusal] = {u: Minted(code, created=False) for u, code in held.items()}
    wanting = [user_id for user_id in candidates if user_id not in held]
    for attempt in range(MAX_CANDIDATES):
        if not wanting:
            return minted
        entries = [CodeEntry(candidates[u][attempt], u, is_canonical=True, created_at=at) for u in wanting]
        assigned = await stores.codes.assign(entries)
        for entry in entries:
            if entry.user_id in assigned:
                minted[entry.user_id] = Minted(entry.code, created=True, collisions=attempt)
        wanting = [user_id for user_id in wanting if user_id not in assigned]
        if wanting:
            # A conflict on the user means that a rival minted for them: theirs is the code. Else it was the code's.
            for user_id, code in (await stores.codes.canonical(wanting)).items():
                minted[user_id] = Minted(code, created=False, collisions=attempt)
            wanting = [user_id for user_id in wanting if user_id not in minted]
    return minted | {user_id: CodesExhausted() for user_id in wanting}


def count_mints(metrics: Metrics, mints: Iterable[tuple[UserId, datetime, Minted | Refusal]], now: datetime) -> None:
    """Measure what a committed batch of mints did; each with its user and the time when it was first asked for."""
    measured: set[UserId] = set()
    for user_id, since, minted in mints:
        is_first = user_id not in measured
        measured.add(user_id)
        if isinstance(minted, Refusal):
            metrics.count("collision_retry_count", MAX_CANDIDATES if is_first else 0)
        elif minted.created and is_first:
            metrics.count("collision_retry_count", minted.collisions)
            metrics.observe("time_to_code_ms", milliseconds_between(since, now))
        else:
            metrics.count("double_mint_attempts")


def milliseconds_between(earlier: datetime, later: datetime) -> float:
    """Return how long it took, never less than nothing: the earlier time may be from another clock."""
    return max(0.0, (later - earlier).total_seconds() * 1000)
