"""Minting: each living user has one canonical code, and older codes keep resolving."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from tallystick.application.bounds import Capacity
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.legacy_metadata import AdoptLegacyUsers, NoteCodes
from tallystick.application.minting import Minted, count_mints, mint
from tallystick.application.ports import Clock, Metrics
from tallystick.application.transactions import Stores, Transactions
from tallystick.application.users import lock_or_create
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.codes import Code
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserDeleted, UserId


class Mint(msgspec.Struct, frozen=True):
    """Give this user a code, unless the user has one."""

    user_id: UserId
    candidates: tuple[Code, ...]
    since: datetime
    """The time of the first request for it."""


class Remint(msgspec.Struct, frozen=True):
    """Replace this user's code; the same candidates again are the same remint."""

    user_id: UserId
    candidates: tuple[Code, ...]


class Reminted(msgspec.Struct, frozen=True):
    """The new canonical code and the old one, which is an alias now; None where the user had none."""

    code: Code
    alias: Code | None
    otp_verified: bool


class MintCodes:
    """Give users their first code; users who have one keep it."""

    def __init__(
        self,
        transactions: Transactions,
        clock: Clock,
        metrics: Metrics,
        adopt_users: AdoptLegacyUsers,
        mirror: NoteCodes,
    ) -> None:
        self._transactions, self._clock, self._metrics = transactions, clock, metrics
        self._adopt_users, self._mirror = adopt_users, mirror

    async def __call__(self, mints: Sequence[Mint]) -> list[Minted | Failure]:
        now = self._clock.now()
        async with self._transactions.begin() as stores:
            user_ids = {command.user_id for command in mints}
            await self._adopt_users(stores, user_ids, now)
            users = await lock_or_create(stores, user_ids, now)
            living = {c.user_id: c.candidates for c in mints if users[c.user_id].deleted_at is None}
            minted = await mint(stores, living, now)
        # Also users who had a code: a retry after a lost commit finds the code that it stored.
        self._mirror(living)
        count_mints(
            self._metrics,
            [(c.user_id, c.since, minted[c.user_id]) for c in mints if c.user_id in minted],
            self._clock.now(),
        )
        return [minted.get(command.user_id, UserDeleted()) for command in mints]


class RemintCodes:
    """Replace canonical codes; the old one becomes an alias in the same transaction."""

    def __init__(
        self,
        transactions: Transactions,
        clock: Clock,
        metrics: Metrics,
        once: AnswerOnce,
        adopt_users: AdoptLegacyUsers,
        mirror: NoteCodes,
        bounds: UserBounds = DEFAULT_BOUNDS,
    ) -> None:
        self._transactions, self._clock, self._metrics, self._once = transactions, clock, metrics, once
        self._adopt_users, self._mirror, self._bounds = adopt_users, mirror, bounds

    async def __call__(self, remints: Sequence[Keyed[Remint]]) -> list[Reminted | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, remints, lambda fresh: self._remint(stores, fresh))
        self._mirror({keyed.command.user_id for keyed in remints})
        return outcomes

    async def _remint(self, stores: Stores, remints: Sequence[Remint]) -> list[Reminted | Failure]:
        now = self._clock.now()
        user_ids = {command.user_id for command in remints}
        await self._adopt_users(stores, user_ids, now)
        users = await lock_or_create(stores, user_ids, now)
        # The users are locked: no other transaction adds aliases of theirs.
        capacity = await Capacity.open(stores, "aliases", user_ids, self._bounds, locked=True)
        # One after the other, because one user may be in a batch twice; remints are rare.
        return [
            UserDeleted()
            if users[command.user_id].deleted_at
            # Each has its own time, so that the newest alias is defined.
            else await self._remint_one(stores, command, now + timedelta(microseconds=number), capacity)
            for number, command in enumerate(remints)
        ]

    async def _remint_one(
        self, stores: Stores, command: Remint, now: datetime, capacity: Capacity
    ) -> Reminted | Failure:
        user_id = command.user_id
        verified = user_id in await stores.verifications.verified([user_id])
        held = (await stores.codes.canonical([user_id])).get(user_id)
        entries = (await stores.codes.resolve(command.candidates)).values()
        own = next((entry.code for entry in entries if entry.user_id == user_id), None)
        if own is not None and held is not None:  # an earlier attempt committed it, and its answer was lost
            alias = own if own != held else (await stores.codes.newest_aliases([user_id])).get(user_id)
            return Reminted(held, alias, verified)
        if held is not None and not capacity.take(user_id):
            return capacity.refusal
        await stores.codes.demote([user_id], now)
        minted = (await mint(stores, {user_id: command.candidates}, now))[user_id]
        if isinstance(minted, Failure):
            raise minted  # the old code must stay canonical: nothing of this batch is stored
        self._metrics.count("collision_retries", minted.collisions)
        self._metrics.observe("mint_retries", minted.collisions)
        return Reminted(minted.code, held, verified)
