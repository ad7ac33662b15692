"""Minting inside a transaction: a user without a canonical code gets one of the candidates."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from tallystick.application.ports import Metrics
from tallystick.application.transactions import Stores
from tallystick.domain.codes import MAX_CANDIDATES, Code, CodeEntry, CodesExhausted
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserId


class DrawCandidates(Protocol):
    """Draws the candidates for one mint."""

    def __call__(self) -> tuple[Code, ...]: ...


class Minted(msgspec.Struct, frozen=True):
    """A user's canonical code after a mint."""

    code: Code
    created: bool
    """False where the user had it already."""
    collisions: int = 0
    """How many candidates belonged to other users."""


async def mint(
    stores: Stores, candidates: Mapping[UserId, Sequence[Code]], at: datetime
) -> dict[UserId, Minted | Failure]:
    """Give each of these locked, living users a canonical code; users who have one keep it."""
    held = await stores.codes.canonical(candidates)
    minted: dict[UserId, Minted | Failure] = {u: Minted(code, created=False) for u, code in held.items()}
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
            # A conflict on the user means that another transaction minted for them: they keep that code. Otherwise the
            # candidate is taken.
            for user_id, code in (await stores.codes.canonical(wanting)).items():
                minted[user_id] = Minted(code, created=False, collisions=attempt)
            wanting = [user_id for user_id in wanting if user_id not in minted]
    return minted | {user_id: CodesExhausted() for user_id in wanting}


def count_mints(metrics: Metrics, mints: Iterable[tuple[UserId, datetime, Minted | Failure]], now: datetime) -> None:
    """Measure a committed batch of mints; each comes with its user and the time of the first request for it."""
    measured: set[UserId] = set()
    for user_id, since, minted in mints:
        is_first = user_id not in measured
        measured.add(user_id)
        if isinstance(minted, Failure):
            metrics.count("collision_retries", MAX_CANDIDATES if is_first else 0)
            metrics.observe("mint_retries", MAX_CANDIDATES)
        elif minted.created and is_first:
            metrics.count("collision_retries", minted.collisions)
            metrics.observe("mint_retries", minted.collisions)
            metrics.observe("time_to_code_seconds", seconds_between(since, now))
        else:
            metrics.count("double_mint_attempts")


def seconds_between(earlier: datetime, later: datetime) -> float:
    """Return the time between, at least 0: the earlier time may be from another clock."""
    return max(0.0, (later - earlier).total_seconds())
