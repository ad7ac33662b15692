"""Slips by themselves: the formula, the games and the times."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.domain.rating_slips import (
    Game,
    GameNotFound,
    Games,
    ImpossibleTimes,
    Slip,
    SlipId,
    SlipLimitExceeded,
    SlipNotOpen,
    open_slip,
    points_for,
)
from tallystick.domain.users import UserId
from tallystick.entrypoints.settings.pairs import read_games

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GAMES = read_games("blackjack=70,75,10; slots=600,800,10")
BLACKJACK = GAMES.by_name["blackjack"]
HOUR = 3600


@pytest.mark.parametrize(
    ("average_bet", "game", "seconds", "points"),
    [
        (10_000, "blackjack", HOUR, 525),  # 70 x 100.00 bet, 0.75 % of it is 52.50 to be won, 10 for each 1.00
        (10_000, "blackjack", HOUR - 1, 524),
        (10_000, "slots", HOUR, 48_000),
        (10_000, "blackjack", 0, 0),
        (1, "blackjack", HOUR, 0),
        (1, "blackjack", 19 * HOUR, 0),
        (1, "blackjack", 20 * HOUR, 1),
        (2_500, "slots", 90, 300),
    ],
)
def test_points_for_play(average_bet: int, game: str, seconds: int, points: int) -> None:
    assert points_for(average_bet=average_bet, game=GAMES.by_name[game], seconds=seconds) == points


BETS, SECONDS = st.integers(1, 10**9), st.integers(0, 10**8)
RATINGS = st.builds(Game, *[st.integers(1, 10**6)] * 3)


@given(average_bet=BETS, game=RATINGS, seconds=SECONDS)
def test_points_are_the_exact_fraction_rounded_down_once(average_bet: int, game: Game, seconds: int) -> None:
    exact = (
        Fraction(average_bet * game.decisions_per_hour * seconds, 3600)
        * Fraction(game.house_edge_bp, 10_000)
        * Fraction(game.points_per_100, 100)
    )

    assert points_for(average_bet=average_bet, game=game, seconds=seconds) == floor(exact)


@given(average_bet=BETS, game=RATINGS, seconds=SECONDS, more=st.integers(0, 10**6))
def test_longer_play_and_higher_bets_never_earn_less(average_bet: int, game: Game, seconds: int, more: int) -> None:
    points = points_for(average_bet=average_bet, game=game, seconds=seconds)

    assert points <= points_for(average_bet=average_bet, game=game, seconds=seconds + more)
    assert points <= points_for(average_bet=average_bet + more, game=game, seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "whist",
        "whist=",
        "whist=1,2",
        "whist=1,2,3,4",
        "whist=1,2,x",
        "whist=0,2,3",
        "whist=1,-2,3",
        "whist=1,2.5,3",
        "whist=1,2,1000001",
        "Whist=1,2,3",
        "a b=1,2,3",
        "whist=1,2,3; whist=4,5,6",
    ],
)
def test_games_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_games(text)


@pytest.mark.parametrize("name", ["Whist", "a b", "", "x" * 33])
def test_a_game_has_a_name_that_paths_and_rows_can_hold(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Games({name: Game(1, 1, 1)})


@pytest.mark.parametrize("number", [0, -1, 1_000_001])
@pytest.mark.parametrize("place", range(3))
def test_a_game_is_rated_by_numbers_in_their_range(place: int, number: int) -> None:
    numbers = [1, 1, 1]
    numbers[place] = number

    with pytest.raises(ValueError, match="from 1 to 1000000"):
        Games({"whist": Game(*numbers)})


def test_there_may_be_no_games_at_all() -> None:
    assert read_games(" ; ").by_name == {}


def opened(*, name: str = "blackjack", at: datetime = NOW, opened_at: datetime | None = None) -> Slip:
    return open_slip(
        SlipId("slip"), player_id=UserId("ada"), name=name, games=GAMES, average_bet=10_000, opened_at=opened_at, at=at
    )


def closed(
    slip: Slip, *, closed_at: datetime | None = None, average_bet: int | None = None, at: datetime = NOW
) -> Slip:
    return slip.closed(average_bet=average_bet, closed_at=closed_at, correlation_id="c", at=at)


def test_a_slip_keeps_the_settings_that_its_game_had() -> None:
    slip = opened()

    assert (slip.decisions_per_hour, slip.house_edge_bp, slip.points_per_100) == (70, 75, 10)
    assert (slip.state, slip.opened_at, slip.closed_at, slip.points) == ("open", NOW, None, None)


def test_a_game_that_is_not_set_up_is_refused() -> None:
    with pytest.raises(GameNotFound):
        opened(name="whist")


def test_nothing_begins_or_ends_in_the_future_or_ends_before_it_began() -> None:
    tick = timedelta(microseconds=1)
    assert opened(opened_at=NOW).opened_at == NOW
    with pytest.raises(ImpossibleTimes):
        opened(opened_at=NOW + tick)

    slip = opened(opened_at=NOW - timedelta(hours=1))
    with pytest.raises(ImpossibleTimes):
        closed(slip, closed_at=slip.opened_at - tick)
    with pytest.raises(ImpossibleTimes):
        closed(slip, closed_at=NOW + tick)
    assert closed(slip, closed_at=slip.opened_at).points == 0
    assert closed(slip, closed_at=NOW).points == closed(slip).points == 525


def test_a_second_that_is_not_over_does_not_count() -> None:
    slip = opened(opened_at=NOW - timedelta(hours=1))

    assert closed(slip, closed_at=NOW - timedelta(microseconds=1)).points == 524


def test_an_instance_whose_clock_is_behind_closes_at_the_beginning() -> None:
    slip = opened(opened_at=NOW)

    ended = closed(slip, at=NOW - timedelta(seconds=1))

    assert (ended.closed_at, ended.points) == (NOW, 0)


def test_the_bet_may_be_corrected_at_the_end() -> None:
    slip = opened(opened_at=NOW - timedelta(hours=1))

    assert (closed(slip, average_bet=20_000).average_bet, closed(slip, average_bet=20_000).points) == (20_000, 1050)


def test_a_slip_earns_what_an_account_can_hold_and_not_more() -> None:
    slip = opened(name="slots", opened_at=NOW - timedelta(days=365 * 800))

    assert closed(slip, average_bet=267_765_388).points == 9_007_199_227_699_200
    with pytest.raises(SlipLimitExceeded):
        closed(slip, average_bet=267_765_389)


def test_a_closed_slip_is_closed_once() -> None:
    slip = closed(opened(opened_at=NOW - timedelta(hours=1)))

    with pytest.raises(SlipNotOpen) as refused:
        closed(slip)

    assert refused.value.facts() == {"state": "closed"}
    assert slip.was_closed_with(None, None)
    assert slip.was_closed_with(10_000, NOW)
    assert not slip.was_closed_with(10_001, NOW)
    assert not slip.was_closed_with(10_000, NOW - timedelta(seconds=1))
