"""Rating slips: opened, completed together with their points, and recovered where the points are pending."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from tallystick.application.bounds import Capacity
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.pending_accruals import PendingBatch, count_recoveries
from tallystick.application.points import Accrued, Points, PointsBatch
from tallystick.application.ports import Metrics
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.ledger import Account, AccountKey
from tallystick.domain.loyalty import Accrual, receipt
from tallystick.domain.pending_accruals import AccrualPending
from tallystick.domain.rating_slips import (
    Games,
    PartialCompletion,
    Slip,
    SlipId,
    SlipNotFound,
    SlipNotOpen,
    open_slip,
)
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserDeleted, UserId, UserNotFound


class NewSlip(msgspec.Struct, frozen=True):
    """Open a slip; the same id again is the same slip."""

    slip_id: SlipId
    player_id: UserId
    game: str
    average_bet: int
    opened_at: datetime | None
    at: datetime


class CompleteSlip(msgspec.Struct, frozen=True):
    """Close a slip and credit its points; None leaves a value as it is."""

    slip_id: SlipId
    average_bet: int | None
    closed_at: datetime | None
    staff_id: UserId
    correlation_id: str
    at: datetime


class RecoverSlip(msgspec.Struct, frozen=True):
    """Credit the pending points of a closed slip."""

    slip_id: SlipId
    at: datetime


class Completed(msgspec.Struct, frozen=True):
    """A closed slip and its accrual; `is_repeated` where an earlier request completed it."""

    slip: Slip
    accrual: Accrual
    is_repeated: bool


class OpenSlips:
    """Open slips for players who exist, with the present settings of the games."""

    def __init__(
        self, transactions: Transactions, games: Games, once: AnswerOnce, bounds: UserBounds = DEFAULT_BOUNDS
    ) -> None:
        self._transactions, self._games, self._once, self._bounds = transactions, games, once, bounds

    async def __call__(self, commands: Sequence[Keyed[NewSlip]]) -> list[Slip | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, commands, lambda fresh: self._open(stores, fresh))

    async def _open(self, stores: Stores, commands: Sequence[NewSlip]) -> list[Slip | Failure]:
        players = await stores.players.find({command.player_id for command in commands})
        living = {player_id for player_id, player in players.items() if not player.is_deleted}
        capacity = await Capacity.open(stores, "slips", living, self._bounds)
        outcomes: list[Slip | Failure] = []
        for command in commands:
            player = players.get(command.player_id)
            if player is None or player.is_deleted:
                outcomes.append(UserNotFound() if player is None else UserDeleted())
            else:
                outcomes.append(await self._within_bound(stores, self._decide(command), capacity))
        await stores.slips.add([slip for slip in outcomes if isinstance(slip, Slip)])
        return outcomes

    @staticmethod
    async def _within_bound(stores: Stores, slip: Slip | Failure, capacity: Capacity) -> Slip | Failure:
        """Return the slip, or a refusal where its player has reached the bound."""
        if isinstance(slip, Failure) or capacity.take(slip.player_id):
            return slip
        # An earlier attempt whose answer was lost may have stored it as the last one within the bound.
        return (await stores.slips.find([slip.slip_id])).get(slip.slip_id) or capacity.refusal

    def _decide(self, command: NewSlip) -> Slip | Failure:
        try:
            return open_slip(
                command.slip_id,
                player_id=command.player_id,
                name=command.game,
                games=self._games,
                average_bet=command.average_bet,
                opened_at=command.opened_at,
                at=command.at,
            )
        except Failure as failure:
            return failure


class CompleteSlips:
    """Close slips and credit their points in one transaction; points that cannot be credited become pending."""

    def __init__(self, transactions: Transactions, points: Points, metrics: Metrics, once: AnswerOnce) -> None:
        self._transactions, self._points, self._metrics, self._once = transactions, points, metrics, once

    async def __call__(self, commands: Sequence[Keyed[CompleteSlip]]) -> list[Completed | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, commands, lambda fresh: self._complete(stores, fresh))
        self._measure(outcomes)
        return outcomes

    async def _complete(self, stores: Stores, commands: Sequence[CompleteSlip]) -> list[Completed | Failure]:
        batch = await SlipBatch.open(stores, self._points, {command.slip_id for command in commands})
        outcomes = [batch.complete(command) for command in commands]
        await batch.record(stores)
        return outcomes

    def _measure(self, outcomes: Sequence[object]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Completed) and outcome.slip.points:
                self._metrics.count("accrual_outcomes", label="repeated" if outcome.is_repeated else "credited")
            elif isinstance(outcome, PartialCompletion):
                self._metrics.count("accrual_outcomes", label="pending")


class RecoverSlips:
    """Credit the points of closed slips under the keys of their events; safe to repeat."""

    def __init__(self, transactions: Transactions, points: Points, metrics: Metrics, once: AnswerOnce) -> None:
        self._transactions, self._points, self._metrics, self._once = transactions, points, metrics, once

    async def __call__(self, commands: Sequence[Keyed[RecoverSlip]]) -> list[Accrued | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, commands, lambda fresh: self._recover(stores, fresh))
        count_recoveries(self._metrics, outcomes)
        return outcomes

    async def _recover(self, stores: Stores, commands: Sequence[RecoverSlip]) -> list[Accrued | Failure]:
        batch = await SlipBatch.open(stores, self._points, {command.slip_id for command in commands})
        outcomes = [batch.recover(command) for command in commands]
        await batch.record(stores)
        return outcomes


class SlipBatch:
    """The accounts, slips and pending accruals of a batch, kept current while the batch is decided."""

    def __init__(self, points: PointsBatch, pending: PendingBatch, unpaid: dict[SlipId, Accrual]) -> None:
        self._points, self._pending, self._unpaid = points, pending, unpaid

    @classmethod
    async def open(cls, stores: Stores, points: Points, slip_ids: Collection[SlipId]) -> "SlipBatch":
        """Lock the accounts of the players, then the slips, then the pending accruals; load earlier entries."""
        # The player of a slip never changes: it can be read before the locks.
        slips = (await stores.slips.find(slip_ids)).values()
        points_batch = await points.batch(stores, {slip.player_id for slip in slips})
        pending = await PendingBatch.open(stores, points_batch, {slip.event for slip in slips})
        locked = [slip for slip in map(pending.slip, slip_ids) if slip is not None]
        await points_batch.load_entries(
            stores, [slip.event for slip in locked if slip.state == "closed" and slip.points]
        )
        # The receipt of a slip without points shows the account at the completion.
        unpaid = {
            slip.slip_id: await _receipt_without_points(stores, points_batch, slip)
            for slip in locked
            if slip.state == "closed" and not slip.points
        }
        return cls(points_batch, pending, unpaid)

    def complete(self, command: CompleteSlip) -> Completed | Failure:
        """Decide one completion."""
        slip = self._pending.slip(command.slip_id)
        if slip is None:
            return SlipNotFound()
        if slip.state != "open":
            return self._complete_again(slip, command)
        try:
            closed = slip.closed(
                average_bet=command.average_bet,
                closed_at=command.closed_at,
                correlation_id=command.correlation_id,
                at=command.at,
            )
        except Failure as failure:
            return failure
        nothing, version = self._points.unchanged(slip.player_id, command.at)
        closed = msgspec.structs.replace(closed, account_version=version)
        self._pending.keep(closed)
        if not closed.points:
            self._unpaid[closed.slip_id] = nothing
            return Completed(closed, nothing, is_repeated=False)
        earning = closed.earning(command.staff_id)
        try:
            return Completed(closed, self._points.credit(earning).accrual, is_repeated=False)
        except Failure as failure:
            self._pending.begin(earning, failure)
            self._pending.keep(msgspec.structs.replace(closed, state="accrual_pending"))
            return PartialCompletion(closed.slip_id, command.correlation_id)

    def _complete_again(self, slip: Slip, command: CompleteSlip) -> Completed | Failure:
        if not slip.was_closed_with(command.average_bet, command.closed_at):
            return SlipNotOpen(slip.state)
        accrued = self._accrual_of(slip, command.at)
        if isinstance(accrued, Failure):
            return accrued
        # A retry after a lost commit finds its own completion, which no earlier request stored.
        is_own = (slip.completed_at, slip.correlation_id) == (command.at, command.correlation_id)
        return Completed(self._pending.slip(slip.slip_id) or slip, accrued.accrual, is_repeated=not is_own)

    def recover(self, command: RecoverSlip) -> Accrued | Failure:
        """Decide one recovery."""
        slip = self._pending.slip(command.slip_id)
        if slip is None:
            return SlipNotFound()
        if slip.state == "open":
            return SlipNotOpen(slip.state, "this slip has not been completed yet")
        return self._accrual_of(slip, command.at)

    def _accrual_of(self, slip: Slip, at: datetime) -> Accrued | Failure:
        """Return the accrual of a closed slip, credited now where it was pending."""
        if not slip.points:
            return Accrued(self._unpaid[slip.slip_id], is_repeated=True)
        accrued = self._pending.recover(slip.event, at)
        if isinstance(accrued, AccrualPending):
            return PartialCompletion(slip.slip_id, accrued.correlation_id)
        return accrued

    async def record(self, stores: Stores) -> None:
        """Store the decisions, with one statement for each table."""
        await self._pending.record(stores)


async def _receipt_without_points(stores: Stores, points: PointsBatch, slip: Slip) -> Accrual:
    """Return the receipt of a slip without points, as it was at the completion."""
    at = slip.completed_at or slip.opened_at
    seen = slip.account_version or 0
    key = AccountKey(slip.player_id, "points")
    last = await stores.ledger.page(key, before=seen + 1, limit=1)
    if not last:
        return points.summary(Account(*key), at)
    shown = receipt(last[0])
    return msgspec.structs.replace(shown, balance_before=shown.balance_after, tier_before=shown.tier_after)
