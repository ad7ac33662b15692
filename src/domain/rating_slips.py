"""Rating slips: a stretch of play at a game, and the points that it earns."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NewType, Protocol

import msgspec

from tallystick.domain.ledger import MAX_BALANCE, Event, EventKey
from tallystick.domain.loyalty import Earning
from tallystick.domain.refusals import Incomplete, Refusal
from tallystick.domain.users import UserId

SlipId = NewType("SlipId", str)
SlipState = Literal["open", "closed", "accrual_pending"]

_GAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_LARGEST_NUMBER = 1_000_000


class SlipNotFound(Refusal):
    """There is no such slip."""

    code = "SLIP_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("there is no rating slip with this id")


class GameNotFound(Refusal):
    """No game of this name is set up."""

    code = "GAME_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no game with this name is set up")


class SlipNotOpen(Refusal):
    """The slip is not in the state that the request needs."""

    code = "SLIP_NOT_OPEN"
    state: SlipState
    """The present state of the slip."""

    def __init__(self, state: SlipState, detail: str = "this slip was completed, with other values") -> None:
        super().__init__(detail)
        self.state = state


class ImpossibleTimes(Refusal):
    """The slip would end before it begins, or in the future."""

    code = "IMPOSSIBLE_TIMES"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)


class SlipLimitExceeded(Refusal):
    """The slip would earn more points than one event can: the bet or a time is wrong."""

    code = "SLIP_LIMIT_EXCEEDED"
    limit: int
    """The most points that one slip can earn."""

    def __init__(self) -> None:
        super().__init__(f"a slip can earn at most {MAX_BALANCE} points; the bet or a time cannot be right")
        self.limit = MAX_BALANCE


class PartialCompletion(Incomplete):
    """The slip is closed, and its points wait to be credited."""

    code = "PARTIAL_COMPLETION"
    slip_id: SlipId
    correlation_id: str
    _failure_cause = "pending"

    def __init__(self, slip_id: SlipId, correlation_id: str) -> None:
        super().__init__(
            "the slip is closed, and its points cannot be credited yet; they are retried, and can be recovered"
        )
        self.slip_id, self.correlation_id = slip_id, correlation_id


class Game(msgspec.Struct, frozen=True):
    """The settings by which a game is rated."""

    decisions_per_hour: int
    house_edge_bp: int
    """In basis points: hundredths of a percent."""
    points_per_100: int
    """Points for each 100 minor units that the house expects to win."""


class Games(msgspec.Struct, frozen=True):
    """The games that slips can be opened for."""

    by_name: Mapping[str, Game]

    def __post_init__(self) -> None:
        """ValueError says which name or number is not allowed."""
        for name, game in self.by_name.items():
            if not _GAME.match(name):
                raise ValueError(f"{name!r}: a game's name is 1 to 32 of a-z 0-9 _ and begins with a letter")
            if not all(1 <= number <= _LARGEST_NUMBER for number in msgspec.structs.astuple(game)):
                raise ValueError(f"{name}: a game has numbers from 1 to {_LARGEST_NUMBER}")


class Slip(msgspec.Struct, frozen=True):
    """A stretch of play, with the settings of the game at the time of opening."""

    slip_id: SlipId
    player_id: UserId
    game: str
    average_bet: int
    """In minor units."""
    decisions_per_hour: int
    house_edge_bp: int
    points_per_100: int
    state: SlipState
    opened_at: datetime
    closed_at: datetime | None = None
    points: int | None = None
    completed_at: datetime | None = None
    """The time of the completion; `closed_at` may be earlier."""
    correlation_id: str | None = None
    """The request that completed it."""
    account_version: int | None = None
    """The version of the player's account at the completion: a receipt without points shows that version."""

    @property
    def event(self) -> EventKey:
        """The event that its points are for."""
        return EventKey(self.player_id, "points", "rating_slip", self.slip_id)

    def closed(
        self, *, average_bet: int | None, closed_at: datetime | None, correlation_id: str, at: datetime
    ) -> "Slip":
        """Return the slip after its completion, by default with its own bet and the present time.

        The refusals, in their order: SlipNotOpen, ImpossibleTimes, SlipLimitExceeded.
        """
        if self.state != "open":
            raise SlipNotOpen(self.state)
        end = closed_at if closed_at is not None else max(at, self.opened_at)
        if end < self.opened_at:
            raise ImpossibleTimes("closed_at is before opened_at")
        if closed_at is not None and closed_at > at:
            raise ImpossibleTimes("closed_at is in the future")
        bet = average_bet if average_bet is not None else self.average_bet
        game = Game(self.decisions_per_hour, self.house_edge_bp, self.points_per_100)
        points = points_for(average_bet=bet, game=game, seconds=(end - self.opened_at) // timedelta(seconds=1))
        if points > MAX_BALANCE:
            raise SlipLimitExceeded
        return msgspec.structs.replace(
            self,
            average_bet=bet,
            state="closed",
            closed_at=end,
            points=points,
            completed_at=at,
            correlation_id=correlation_id,
        )

    def was_closed_with(self, average_bet: int | None, closed_at: datetime | None) -> bool:
        """Return whether these values, where they are given, are those of the completion."""
        return average_bet in {None, self.average_bet} and closed_at in {None, self.closed_at}

    def earning(self, staff_id: UserId) -> Earning:
        """Return what a closed slip earns its player."""
        if self.points is None or self.correlation_id is None or self.completed_at is None:
            raise AssertionError("an open slip earns nothing yet")
        event = Event("rating_slip", self.slip_id)
        return Earning(self.player_id, self.points, event, None, staff_id, self.correlation_id, self.completed_at)


class RatingSlips(Protocol):
    """Slips by id."""

    async def add(self, slips: Sequence[Slip]) -> None:
        """Store new slips; a slip that the same attempt stored before stays."""

    async def find(self, slip_ids: Collection[SlipId]) -> dict[SlipId, Slip]:
        """Return the slips that exist, without a lock."""

    async def lock(self, slip_ids: Collection[SlipId]) -> dict[SlipId, Slip]:
        """Lock and return the slips that exist, in id order."""

    async def store(self, slips: Sequence[Slip]) -> None:
        """Replace locked slips."""

    async def page(self, *, state: SlipState | None, before: SlipId | None, limit: int) -> list[Slip]:
        """Return the newest slips in a state, or in any, with an id below `before`."""


def points_for(*, average_bet: int, game: Game, seconds: int) -> int:
    """Return the points for play, in integers of minor units, basis points and whole seconds, rounded down once.

    The stake is average bet x decisions an hour x hours. The house expects to win its edge of that stake, and each 100
    minor units of the expected win are worth `points_per_100` points.
    """
    expected = average_bet * game.decisions_per_hour * seconds * game.house_edge_bp
    return expected * game.points_per_100 // (3600 * 10_000 * 100)


def open_slip(
    slip_id: SlipId,
    *,
    player_id: UserId,
    name: str,
    games: Games,
    average_bet: int,
    opened_at: datetime | None,
    at: datetime,
) -> Slip:
    """Return a new slip, by default opened now. The refusals: GameNotFound, ImpossibleTimes."""
    game = games.by_name.get(name)
    if game is None:
        raise GameNotFound
    if opened_at is not None and opened_at > at:
        raise ImpossibleTimes("opened_at is in the future")
    return Slip(
        slip_id=slip_id,
        player_id=player_id,
        game=name,
        average_bet=average_bet,
        decisions_per_hour=game.decisions_per_hour,
        house_edge_bp=game.house_edge_bp,
        points_per_100=game.points_per_100,
        state="open",
        opened_at=opened_at or at,
    )
