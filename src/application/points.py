"""Points: credited to locked accounts, once for each event, for every use case that credits points."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import msgspec

from tallystick.application.idempotency import IdempotencyMismatch
from tallystick.application.ports import Metrics
from tallystick.application.referral_points import ReferralConditions
from tallystick.application.transactions import Stores
from tallystick.domain.flags import Flag, Flags
from tallystick.domain.ledger import Account, AccountKey, Entry, EventKey
from tallystick.domain.loyalty import Accrual, Earning, Player, PointsDisabled, Tiers, earn, is_same_award, receipt
from tallystick.domain.referral_points import ReferralPoints
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserDeleted, UserId, UserNotFound


class Accrued(msgspec.Struct, frozen=True):
    """Credited points; `is_repeated` where an earlier request credited them."""

    accrual: Accrual
    is_repeated: bool


class Points:
    """The settings of points: tiers, rules of referral points, and the flag that switches points."""

    def __init__(self, tiers: Tiers, flags: Flags, referrals: ReferralPoints) -> None:
        self.tiers, self._flags, self.referrals = tiers, flags, referrals

    @property
    def are_on(self) -> bool:
        """Return whether points are credited now."""
        return self._flags.enabled(Flag.POINTS_ENABLED)

    async def batch(
        self, stores: Stores, player_ids: Collection[UserId], *, are_on: bool | None = None
    ) -> "PointsBatch":
        """Lock the accounts of these players; PointsBatch.lock says how."""
        are_on = self.are_on if are_on is None else are_on
        return await PointsBatch.lock(stores, player_ids, self.tiers, self.referrals, are_on=are_on)


class PointsBatch:
    """The locked accounts of a batch and the entries of its events, kept current while the batch is decided."""

    def __init__(
        self,
        tiers: Tiers,
        referrals: ReferralPoints,
        players: dict[UserId, Player],
        accounts: dict[AccountKey, Account],
        *,
        are_on: bool,
    ) -> None:
        self._tiers, self._players, self._accounts, self._are_on = tiers, players, accounts, are_on
        self._referrals = referrals
        self._conditions: ReferralConditions | None = None
        self._made: dict[EventKey, Entry] = {}
        self._new: dict[EventKey, Entry] = {}

    @classmethod
    async def lock(
        cls, stores: Stores, player_ids: Collection[UserId], tiers: Tiers, referrals: ReferralPoints, *, are_on: bool
    ) -> "PointsBatch":
        """Lock the accounts of these players in key order; living players without an account get one."""
        players = await stores.players.lock(player_ids) if player_ids else {}
        accounts = {AccountKey(each.user_id, "points"): each.account for each in players.values() if each.account}
        bare = [
            AccountKey(each.user_id, "points") for each in players.values() if not (each.account or each.is_deleted)
        ]
        if bare:
            # After all other locks, once for each player: a transaction that opens accounts waits for no later lock.
            await stores.ledger.open(bare)
            accounts |= await stores.ledger.lock(bare)
        return cls(tiers, referrals, players, accounts, are_on=are_on)

    async def load_entries(self, stores: Stores, events: Collection[EventKey]) -> None:
        """Load the entries of these events. After the locks, so that entries of other transactions are seen."""
        if events:
            self._made |= await stores.ledger.made_by(events)

    async def prepare_referrals(self, stores: Stores, events: Collection[tuple[EventKey, datetime]]) -> None:
        """Load the conditions of referral points, before these events are credited at their times."""
        self._conditions = await ReferralConditions.load(stores, self._referrals, events)

    def entry(self, event: EventKey) -> Entry | None:
        """Return the entry of an event."""
        return self._made.get(event)

    def credit(self, earning: Earning) -> Accrued:
        """Credit points, or return the first accrual of the event.

        The failures, in their order: IdempotencyMismatch, UserNotFound, UserDeleted, PointsDisabled, for referrals
        PhoneNotVerified and ReferralCapReached, AccountFrozen, BalanceLimitExceeded.
        """
        made = self._made.get(earning.key) or self._made_formerly(earning)
        if made is not None:
            return self._repeated(earning, made)
        player = self._players.get(earning.player_id)
        if player is None:
            raise UserNotFound
        if player.is_deleted:
            raise UserDeleted
        if not self._are_on:
            raise PointsDisabled
        conditions = self._conditions_of(earning)
        if conditions is not None:
            conditions.check(earning)
        key = AccountKey(earning.player_id, "points")
        entry = earn(self._accounts[key], earning, self._tiers)
        if conditions is not None:
            conditions.count(earning)
        self._accounts[key] = self._accounts[key].after(entry)
        self._made[entry.event] = self._new[entry.event] = entry
        return Accrued(receipt(entry), is_repeated=False)

    def unchanged(self, player_id: UserId, at: datetime) -> tuple[Accrual, int]:
        """Return a receipt without points, and the version of the account that it shows."""
        key = AccountKey(player_id, "points")
        account = self._accounts.get(key) or Account(*key)
        return self.summary(account, at), account.version

    def summary(self, account: Account, at: datetime) -> Accrual:
        """Return an account as a receipt without points; its time is `at` where the account never changed."""
        tier = self._tiers.of(account.lifetime)
        return Accrual(
            player_id=account.user_id,
            balance_before=account.balance,
            balance_after=account.balance,
            tier_before=tier.name,
            tier_after=tier.name,
            tier_progress=tier.progress,
            lifetime_points=account.lifetime,
            updated_at=account.updated_at or at,
            row_locked=AccountKey(account.user_id, account.unit) in self._accounts,
        )

    async def record(self, stores: Stores) -> None:
        """Store the new entries, in one statement."""
        await stores.ledger.post(list(self._new.values()))

    def _conditions_of(self, earning: Earning) -> ReferralConditions | None:
        if earning.event.type != "referral_signup":
            return None
        if self._conditions is None:
            raise AssertionError("the conditions of a referral have to be loaded before it is credited")
        return self._conditions

    def _made_formerly(self, earning: Earning) -> Entry | None:
        """Return the entry of the same award that an earlier version stored."""
        made = self._made.get(earning.former_key) if earning.former_key is not None else None
        return made if made is not None and is_same_award(earning, made) else None

    def _repeated(self, earning: Earning, made: Entry) -> Accrued:
        # An award is known by its id alone: a repetition with other points is the same award.
        if made.amount != earning.points and earning.event.type != "manual_reward":
            raise IdempotencyMismatch("this event was credited with other points; a new event needs a new key")
        # A retry after a lost commit finds its own entry, which no earlier request stored.
        is_own = (made.created_at, made.correlation_id) == (earning.at, earning.correlation_id)
        return Accrued(receipt(made), is_repeated=made.event in self._new or not is_own)


async def credit_all(
    stores: Stores, points: Points, asked: Sequence[Earning | Failure], *, are_on: bool | None = None
) -> list[Accrued | Failure]:
    """Credit earnings in their order, and store them; a failure affects one earning only."""
    players = {earning.player_id for earning in asked if isinstance(earning, Earning)}
    return await credit_batch(stores, await points.batch(stores, players, are_on=are_on), asked)


async def credit_batch(
    stores: Stores, batch: PointsBatch, asked: Sequence[Earning | Failure]
) -> list[Accrued | Failure]:
    """Credit earnings of players who are locked by the batch, as `credit_all` does."""
    earnings = [earning for earning in asked if isinstance(earning, Earning)]
    await batch.load_entries(
        stores, {key for each in earnings for key in (each.key, each.former_key) if key is not None}
    )
    outcomes = [_credit(batch, earning) if isinstance(earning, Earning) else earning for earning in asked]
    await batch.record(stores)
    return outcomes


def _credit(batch: PointsBatch, earning: Earning) -> Accrued | Failure:
    try:
        return batch.credit(earning)
    except Failure as failure:
        return failure


def count_outcomes(metrics: Metrics, outcomes: Iterable[object]) -> None:
    """Count the outcomes of a committed batch."""
    for outcome in outcomes:
        if isinstance(outcome, Accrued):
            metrics.count("accrual_outcomes", label="repeated" if outcome.is_repeated else "credited")
        elif isinstance(outcome, Failure):
            metrics.count("accrual_outcomes", label="refused")
