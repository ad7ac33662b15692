"""Loyalty: awards by staff, and batches of points from other services."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.points import Accrued, Points, count_outcomes, credit_all
from tallystick.application.ports import Metrics
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.loyalty import Earning, PointsDisabled, award
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserId


class Award(msgspec.Struct, frozen=True):
    """Give a player points, as a member of staff."""

    player_id: UserId
    staff_id: UserId
    points: int
    reason: str
    reward_id: str | None
    """The caller's own id of the award; without it, the same award counts once a day."""
    correlation_id: str
    at: datetime


class Earnings(msgspec.Struct, frozen=True):
    """The earnings of one request, decided one by one."""

    earnings: tuple[Earning, ...]


class Credited(msgspec.Struct, frozen=True):
    """The outcomes of the earnings of one request, in their order."""

    results: tuple[Accrued | Failure, ...]


class AwardPoints:
    """Credit awards of staff; the same award counts once."""

    def __init__(self, transactions: Transactions, points: Points, metrics: Metrics, once: AnswerOnce) -> None:
        self._transactions, self._points, self._metrics, self._once = transactions, points, metrics, once

    async def __call__(self, awards: Sequence[Keyed[Award]]) -> list[Accrued | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, awards, lambda fresh: self._award(stores, fresh))
        count_outcomes(self._metrics, outcomes)
        return outcomes

    async def _award(self, stores: Stores, awards: Sequence[Award]) -> list[Accrued | Failure]:
        return await credit_all(stores, self._points, [_earned_by(award) for award in awards])


class AccruePoints:
    """Credit batches of earnings; each event counts once, and a failure affects one earning only."""

    def __init__(self, transactions: Transactions, points: Points, metrics: Metrics, once: AnswerOnce) -> None:
        self._transactions, self._points, self._metrics, self._once = transactions, points, metrics, once

    async def __call__(self, batches: Sequence[Keyed[Earnings]]) -> list[Credited | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, batches, lambda fresh: self._credit(stores, fresh))
        for outcome in outcomes:
            count_outcomes(self._metrics, outcome.results if isinstance(outcome, Credited) else ())
        return outcomes

    async def _credit(self, stores: Stores, batches: Sequence[Earnings]) -> Sequence[Credited | Failure]:
        if not self._points.are_on:
            return [PointsDisabled() for _ in batches]
        asked = [earning for batch in batches for earning in batch.earnings]
        # A flag that is switched off in the middle would fail some earnings under a key whose reply is stored.
        results = iter(await credit_all(stores, self._points, asked, are_on=True))
        return [Credited(tuple(next(results) for _ in batch.earnings)) for batch in batches]


def _earned_by(given: Award) -> Earning | Failure:
    try:
        return award(
            given.player_id,
            staff_id=given.staff_id,
            points=given.points,
            reason=given.reason,
            reward_id=given.reward_id,
            correlation_id=given.correlation_id,
            at=given.at,
        )
    except Failure as failure:
        return failure
