"""Tiers, awards and receipts by themselves."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.domain.ledger import MAX_BALANCE, Account, BalanceLimitExceeded, Event
from tallystick.domain.loyalty import (
    Accrual,
    Earning,
    RewardLimitExceeded,
    SelfAward,
    Tier,
    Tiers,
    award,
    earn,
    receipt,
)
from tallystick.domain.users import UserId
from tallystick.entrypoints.settings.pairs import read_tiers

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA, STAFF = UserId("ada"), UserId("staff")
TIERS = read_tiers("bronze=0; silver=1000; gold=5000; platinum=20000")
THRESHOLDS = st.lists(st.integers(1, 10**12), max_size=6, unique=True).map(
    lambda points: Tiers(tuple((f"tier{n}", begin) for n, begin in enumerate([0, *sorted(points)])))
)


@pytest.mark.parametrize(
    ("lifetime", "tier"),
    [
        (0, Tier("bronze", 0)),
        (9, Tier("bronze", 0)),
        (10, Tier("bronze", 1)),
        (999, Tier("bronze", 99)),
        (1000, Tier("silver", 0)),
        (1039, Tier("silver", 0)),
        (1040, Tier("silver", 1)),
        (4999, Tier("silver", 99)),
        (5000, Tier("gold", 0)),
        (19_999, Tier("gold", 99)),
        (20_000, Tier("platinum", 100)),
        (MAX_BALANCE, Tier("platinum", 100)),
    ],
)
def test_a_tier_begins_at_its_threshold_and_progress_is_rounded_down(lifetime: int, tier: Tier) -> None:
    assert TIERS.of(lifetime) == tier


@given(tiers=THRESHOLDS, lifetime=st.integers(0, MAX_BALANCE), more=st.integers(0, 10**9))
def test_more_points_never_lead_to_a_lower_place(tiers: Tiers, lifetime: int, more: int) -> None:
    names = [name for name, _ in tiers.thresholds]
    before, after = tiers.of(lifetime), tiers.of(lifetime + more)

    assert (names.index(before.name), before.progress) <= (names.index(after.name), after.progress)
    assert 0 <= before.progress <= 100
    assert (before.progress == 100) == (before.name == names[-1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "bronze",
        "bronze=",
        "bronze=1",
        "bronze=-1",
        "bronze=0; silver=0",
        "bronze=0; gold=5; silver=4",
        "silver=1000; bronze=0",
        "bronze=0; bronze=5",
        "Bronze=0",
        "a b=0",
        "bronze=0; silver=1.5",
        "bronze=0; silver=1e3",
        "bronze=0; silver=1000000000000000",
        f"{'x' * 33}=0",
    ],
)
def test_tiers_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_tiers(text)


@pytest.mark.parametrize(
    "thresholds",
    [
        (),
        (("bronze", 1),),
        (("bronze", 0), ("silver", 0)),
        (("bronze", 0), ("gold", 5), ("silver", 4)),
        (("bronze", 0), ("bronze", 5)),
        (("Bronze", 0),),
        (("x" * 33, 0),),
        (("bronze", 0), ("silver", 10**15)),
    ],
)
def test_no_tiers_are_made_of_values_that_make_no_sense(thresholds: tuple[tuple[str, int], ...]) -> None:
    with pytest.raises(ValueError, match="tier"):
        Tiers(thresholds)


def test_one_tier_is_enough() -> None:
    assert read_tiers(" member = 0 ; ").of(5) == Tier("member", 100)


def earning(points: int) -> Earning:
    return Earning(ADA, points, Event("promotion", "a"), None, None, "correlation", NOW)


def test_an_entry_says_where_it_led_from_and_to() -> None:
    entry = earn(Account(ADA, "points", 10, 2, 990), earning(60), TIERS)

    assert (entry.tier_before, entry.tier_after, entry.tier_progress, entry.lifetime_after) == (
        "bronze",
        "silver",
        1,
        1050,
    )
    assert receipt(entry) == Accrual(
        player_id=ADA,
        balance_before=10,
        balance_after=70,
        tier_before="bronze",
        tier_after="silver",
        tier_progress=1,
        lifetime_points=1050,
        updated_at=NOW,
        row_locked=True,
    )


def test_lifetime_points_have_the_same_end_as_balances() -> None:
    with pytest.raises(BalanceLimitExceeded):
        earn(Account(ADA, "points", 0, 1, MAX_BALANCE), earning(1), TIERS)


def test_points_that_are_taken_lower_the_balance_and_not_what_was_ever_earned() -> None:
    account = Account(ADA, "points", 100, 1, 1000)

    entry = earn(account, earning(-60), TIERS)

    assert (entry.balance_after, entry.lifetime_after, entry.tier_after) == (40, 1000, "silver")
    assert account.after(entry).lifetime == 1000


def awarded(
    *, player: str = "ada", points: int = 100, reason: str = "because", reward: str | None = None, at: datetime = NOW
) -> Earning:
    return award(
        UserId(player),
        staff_id=STAFF,
        points=points,
        reason=reason,
        reward_id=reward,
        correlation_id="correlation",
        at=at,
    )


def test_an_award_counts_once_a_day_of_utc() -> None:
    evening = datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    midnight = evening + timedelta(microseconds=1)

    assert awarded(at=NOW).key == awarded(at=evening).key
    assert awarded(at=evening).key != awarded(at=midnight).key
    assert awarded(at=midnight.astimezone(timezone(timedelta(hours=-5)))).key == awarded(at=midnight).key


def test_another_award_is_another_event() -> None:
    others = [awarded(), awarded(player="bob"), awarded(points=101), awarded(reason="another"), awarded(reward="r")]

    assert len({other.event for other in others}) == len(others)
    assert awarded(reward="r").event == awarded(reward="r", at=NOW + timedelta(days=9)).event


KEYS = st.one_of(
    st.none(),
    st.text(min_size=1, max_size=8),
    st.sampled_from([awarded().event.key, awarded().event.key.removeprefix("day:")]),
).flatmap(
    lambda key: st.just(key) if key is None else st.sampled_from([key, f"id:{key}", f"day:{key}", f"id:id:{key}"])
)


@given(KEYS, KEYS)
def test_two_awards_share_a_key_only_where_both_have_one_reward_id_or_none(one: str | None, other: str | None) -> None:
    assert (awarded(reward=one).key == awarded(reward=other).key) == (one == other)


def test_nobody_awards_themselves_and_nobody_too_much() -> None:
    assert awarded(points=10_000).points == 10_000
    with pytest.raises(RewardLimitExceeded):
        awarded(points=10_001)
    with pytest.raises(SelfAward):
        awarded(player="staff", points=10_001)
