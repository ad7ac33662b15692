"""Loyalty over one backend, in verbs and builders that name only what matters."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from tallystick.application.group_commit import GroupCommit
from tallystick.application.idempotency import Keyed
from tallystick.application.loyalty import AccruePoints, Award, AwardPoints, Credited, Earnings
from tallystick.application.pending_accruals import RecoverAccruals, Recovery, SweepAccruals
from tallystick.application.points import Accrued
from tallystick.application.rating_slips import (
    Completed,
    CompleteSlip,
    CompleteSlips,
    NewSlip,
    OpenSlips,
    RecoverSlip,
    RecoverSlips,
)
from tallystick.domain.audit import AuditQuery, PageCursor
from tallystick.domain.flags import Flag
from tallystick.domain.ledger import Account, AccountKey, Entry, Event, EventKey, Unit
from tallystick.domain.loyalty import Accrual, Earning
from tallystick.domain.pending_accruals import Backlog, PendingAccrual
from tallystick.domain.rating_slips import PartialCompletion, Slip, SlipId, SlipState
from tallystick.domain.users import UserId
from tallystick.entrypoints.settings.pairs import read_games
from tests.worlds.backend import Backend
from tests.worlds.invites import InviteWorld
from tests.worlds.wallets import result

GAMES = read_games("blackjack=70,75,10; baccarat=70,106,10; roulette=38,526,10; slots=600,800,10")


class LoyaltyWorld(InviteWorld):
    """The commands of points, beside those of invites and wallets."""

    def __init__(self, backend: Backend, *, seed: int = 0) -> None:
        super().__init__(backend, seed=seed)
        transactions = backend.transactions
        self.award_points = AwardPoints(transactions, self.points, self.metrics, self.once)
        self.accrue_points = AccruePoints(transactions, self.points, self.metrics, self.once)
        self.open_slips = OpenSlips(transactions, GAMES, self.once)
        self.complete_slips = CompleteSlips(transactions, self.points, self.metrics, self.once)
        self.recover_slips = RecoverSlips(transactions, self.points, self.metrics, self.once)
        self.recover_accruals = RecoverAccruals(transactions, self.points, self.metrics, self.once)
        recovering = GroupCommit(
            self.recover_accruals,
            key=lambda keyed: keyed.command.event.user_id,
            clock=self.clock,
            randomness=self.randomness,
            metrics=self.metrics,
            name="recover",
        )
        self.sweep_accruals = SweepAccruals(transactions, recovering, self.points, self.clock)

    def switch_points(self, *, on: bool) -> None:
        self.flags.switch(Flag.POINTS_ENABLED, enabled=on)

    async def a_player(self, user: str = "ada", *, points: int = 0) -> UserId:
        """Let a user be seen, with as many points."""
        async with self.transactions.begin() as stores:
            await stores.users.admit([UserId(user)], self.clock.now())
        if points:
            await self.accrue(self.earning(user, points))
        return UserId(user)

    def award_command(
        self,
        player: str,
        points: int = 100,
        *,
        staff: str = "staff",
        reason: str = "because",
        reward: str | None = None,
        correlation: str | None = None,
    ) -> Award:
        return Award(
            player_id=UserId(player),
            staff_id=UserId(staff),
            points=points,
            reason=reason,
            reward_id=reward,
            correlation_id=correlation or self.new_id(),
            at=self.clock.now(),
        )

    async def award(
        self,
        player: str,
        points: int = 100,
        *,
        staff: str = "staff",
        reason: str = "because",
        reward: str | None = None,
        key: str | None = None,
    ) -> Accrued:
        command = self.award_command(player, points, staff=staff, reason=reason, reward=reward)
        keyed = self.keyed(staff, command, key, player, points, reason, reward)
        return result((await self.award_points([keyed]))[0])

    def earning(self, player: str, points: int = 100, *, event: str | None = None, kind: str = "promotion") -> Earning:
        return Earning(
            player_id=UserId(player),
            points=points,
            event=Event(kind, event or self.new_id()),
            reason=None,
            staff_id=None,
            correlation_id=self.new_id(),
            at=self.clock.now(),
        )

    def former_award(self, player: str, points: int = 100, *, reward: str | None = None) -> Earning:
        """Return an award as versions stored it whose keys had no prefix."""
        given = self.award_command(player, points)
        key = reward
        if key is None:
            day = given.at.date().isoformat()
            facts = msgspec.json.encode([player, given.staff_id, points, given.reason, day])
            key = hashlib.sha256(facts).hexdigest()
        earning = self.earning(player, points, event=key, kind="manual_reward")
        return msgspec.structs.replace(earning, staff_id=given.staff_id, reason=given.reason)

    async def accrue(self, *earnings: Earning, key: str | None = None) -> Credited:
        request = [(earning.player_id, earning.points, earning.event) for earning in earnings]
        return result((await self.accrue_points([self.keyed("till", Earnings(earnings), key, request)]))[0])

    def new_slip(
        self,
        player: str,
        *,
        game: str = "blackjack",
        bet: int = 10_000,
        opened_at: datetime | None = None,
        slip_id: str | None = None,
    ) -> NewSlip:
        slip = SlipId(slip_id or self.new_id())
        return NewSlip(slip, UserId(player), game, bet, opened_at, self.clock.now())

    async def a_slip(
        self,
        player: str = "ada",
        *,
        game: str = "blackjack",
        bet: int = 10_000,
        opened_at: datetime | None = None,
        key: str | None = None,
    ) -> Slip:
        """Open a slip; an hour of it at blackjack earns 525 points."""
        command = self.new_slip(player, game=game, bet=bet, opened_at=opened_at)
        keyed = self.keyed("pit", command, key, player, game, bet, opened_at)
        return result((await self.open_slips([keyed]))[0])

    def completion(
        self,
        slip: Slip,
        *,
        bet: int | None = None,
        closed_at: datetime | None = None,
        correlation: str | None = None,
    ) -> CompleteSlip:
        return CompleteSlip(slip.slip_id, bet, closed_at, UserId("pit"), correlation or self.new_id(), self.clock.now())

    async def complete(
        self,
        slip: Slip,
        *,
        bet: int | None = None,
        closed_at: datetime | None = None,
        correlation: str | None = None,
        key: str | None = None,
    ) -> Completed:
        command = self.completion(slip, bet=bet, closed_at=closed_at, correlation=correlation)
        return result((await self.complete_slips([self.keyed("pit", command, key, slip.slip_id, bet, closed_at)]))[0])

    async def a_waiting_slip(self, player: str = "ada", *, correlation: str = "first-try") -> Slip:
        """Complete an hour of play while points are off, and switch them on again."""
        slip = await self.a_slip(player)
        self.pass_time(hours=1)
        self.switch_points(on=False)
        outcome = (await self.complete_slips([Keyed(self.completion(slip, correlation=correlation))]))[0]
        assert isinstance(outcome, PartialCompletion)
        self.switch_points(on=True)
        return await self.slip(slip)

    async def recover(self, slip: Slip, *, key: str | None = None) -> Accrual:
        command = RecoverSlip(slip.slip_id, self.clock.now())
        return result((await self.recover_slips([self.keyed("pit", command, key, slip.slip_id)]))[0]).accrual

    async def recover_event(self, event: EventKey) -> Accrual:
        command = Recovery(event, self.clock.now())
        return result((await self.recover_accruals([Keyed(command)]))[0]).accrual

    async def slip(self, slip: Slip) -> Slip:
        """Return a slip as it is stored now."""
        return (await self.reads(lambda stores: stores.slips.find([slip.slip_id])))[slip.slip_id]

    async def slips(
        self, *, state: SlipState | None = None, before: SlipId | None = None, limit: int = 50
    ) -> list[Slip]:
        return await self.reads(lambda stores: stores.slips.page(state=state, before=before, limit=limit))

    async def pending(self, *, after: tuple[datetime, EventKey] | None = None, limit: int = 50) -> list[PendingAccrual]:
        return await self.reads(lambda stores: stores.pending.page(after=after, limit=limit))

    async def backlog(self) -> Backlog:
        return await self.reads(lambda stores: stores.pending.backlog())

    async def sweep(self) -> list[str]:
        """Return the keys of the events that the sweep has credited."""
        swept = await self.sweep_accruals()
        return [pending.event_key for pending, outcome in swept if isinstance(outcome, Accrued)]

    async def points_of(self, user: str) -> Account:
        key = AccountKey(UserId(user), "points")
        return (await self.reads(lambda stores: stores.ledger.balances([key]))).get(key) or Account(*key)

    async def point_entries(self, user: str, *, before: int | None = None, limit: int = 50) -> list[Entry]:
        """Return a page of a user's entries of points, newest first."""
        key = AccountKey(UserId(user), "points")
        return await self.reads(lambda stores: stores.ledger.page(key, before=before, limit=limit))

    async def audited(
        self, query: Mapping[str, str], *, before: PageCursor | None = None, limit: int = 50
    ) -> list[Entry]:
        """Return a page of the entries that are asked for."""
        asked = msgspec.convert(query, AuditQuery)
        return await self.reads(lambda stores: stores.audit.entries(asked, before=before, limit=limit))

    async def points_and_amounts(self, user: str) -> tuple[int, list[int]]:
        """Return a user's points and what made them, oldest first."""
        entries = await self.point_entries(user, limit=1000)
        return (await self.points_of(user)).balance, [entry.amount for entry in reversed(entries)]

    async def freeze(self, user: str, unit: Unit = "points") -> None:
        """Stop an account, as the owner of the schema does it."""
        await self.backend.freeze(AccountKey(UserId(user), unit), self.clock.now())

    async def thaw(self, user: str, unit: Unit = "points") -> None:
        """Let an account go on."""
        await self.backend.thaw(AccountKey(UserId(user), unit))
