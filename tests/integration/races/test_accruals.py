"""Points that race: every event counts once, nothing is lost, and nobody is thrown out of a deadlock."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from random import Random

from tallystick.adapters.postgres.database import Database
from tallystick.application.group_commit import GroupCommit
from tallystick.application.idempotency import Keyed
from tallystick.application.loyalty import Credited, Earnings
from tallystick.application.pending_accruals import Recovery
from tallystick.application.points import Accrued
from tallystick.application.rating_slips import Completed, RecoverSlip
from tallystick.application.referrals import UpsertResult
from tallystick.domain.rating_slips import Slip
from tests.http.services import Caller
from tests.integration.races.purses import in_waves
from tests.unit.behaviours.test_http_loyalty import award, seen
from tests.unit.behaviours.test_http_rating_slips import complete, opened, recover
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

WORKERS = 8
ROUNDS = 5
PLAYERS = [f"player-{number}" for number in range(10)]
HOUR = 525
"""The points of an hour of play."""


def workers(database: Database, count: int) -> list[World]:
    """Return worlds on one database, each with chance of its own, an hour ahead."""
    worlds = [World(PostgresBackend(database), seed=number + 1) for number in range(count)]
    for world in worlds:
        world.pass_time(hours=1)
    return worlds


def in_turn(number: int, things: Sequence[str]) -> Sequence[str]:
    """Let every other worker begin at the other end."""
    return things[::-1] if number % 2 else things


async def test_eight_workers_in_opposite_orders_neither_lock_up_nor_lose_anything(
    world: World, shared_database: Database
) -> None:
    """Use cases by themselves: what is thrown out is not tried again, but fails."""
    codes = {player: await world.mint(player) for player in PLAYERS}
    slips: dict[tuple[int, int, str], Slip] = {}
    for number in range(WORKERS):
        for turn in range(ROUNDS):
            for player in PLAYERS:
                slips[number, turn, player] = await world.a_slip(player)

    async def work(number: int, own: World) -> list[object]:
        outcomes: list[object] = []
        for turn in range(ROUNDS):
            players, name = in_turn(number + turn, PLAYERS), f"{number}-{turn}"
            awards = [own.award_command(player, 10, reason=name) for player in players]
            completions = [own.completion(slips[number, turn, player]) for player in players]
            requests = [own.upsert(f"{player}-brings-{name}", codes[player]) for player in players]
            batches: list[Coroutine[None, None, Sequence[object]]] = [
                own.award_points([Keyed(command) for command in awards]),
                own.complete_slips([Keyed(command) for command in completions]),
                own.attribute_referrals([Keyed(command) for command in requests]),
                own.accrue_points([Keyed(Earnings(tuple(own.earning(player, 7) for player in players)))]),
            ]
            for batch in (*batches[number % 4 :], *batches[: number % 4]):
                outcomes += await batch
        return outcomes

    worlds = workers(shared_database, WORKERS)
    outcomes = await asyncio.gather(*(work(number, own) for number, own in enumerate(worlds)))

    counts = Counter(type(outcome) for worked in outcomes for outcome in worked)
    each = WORKERS * ROUNDS * len(PLAYERS)
    assert counts == {Accrued: each, Completed: each, UpsertResult: each, Credited: WORKERS * ROUNDS}
    for player in PLAYERS:
        account = await world.points_of(player)
        assert (account.balance, account.version) == (WORKERS * ROUNDS * (10 + HOUR + 100 + 7), WORKERS * ROUNDS * 4)
    assert await world.broken_promises() == []


async def test_pending_points_are_credited_once_however_many_recover_them_at_once(
    world: World, shared_database: Database
) -> None:
    for player in PLAYERS:
        await world.a_player(player)
    slips = [await world.a_slip(player) for player in PLAYERS for _ in range(4)]
    world.pass_time(hours=1)
    world.switch_points(on=False)
    await world.complete_slips([Keyed(world.completion(slip)) for slip in slips])
    codes = [await world.mint(player) for player in PLAYERS]
    await world.attribute_referrals([Keyed(world.upsert(f"by-{code}", code)) for code in codes])
    waiting = await world.pending(limit=200)
    assert len(waiting) == len(slips) + len(PLAYERS)

    first, second, third, fourth = workers(shared_database, 4)
    for each in (first, second, third, fourth):
        each.pass_time(hours=1)
    now = third.clock.now()
    events = [Keyed(Recovery(pending.event, now)) for pending in waiting]
    await asyncio.gather(
        first.sweep(),
        second.sweep(),
        third.recover_accruals(events[::-1]),
        fourth.recover_slips([Keyed(RecoverSlip(slip.slip_id, now)) for slip in slips]),
        third.recover_accruals(events),
    )

    assert await world.pending() == []
    for player in PLAYERS:
        balance, amounts = await world.points_and_amounts(player)
        assert (balance, sorted(amounts)) == (4 * HOUR + 100, [100, *[HOUR] * 4])
    assert {(await world.slip(slip)).state for slip in slips} == {"closed"}
    assert sum(each.metrics.counts["group_commit_retries", "recover"] for each in (first, second)) == 0
    assert await world.broken_promises() == []


async def test_two_sweeps_at_once_share_the_work(world: World, shared_database: Database) -> None:
    await world.a_player("ada")
    slips = [await world.a_waiting_slip("ada") for _ in range(6)]
    first, second = workers(shared_database, 2)
    for each in (first, second):
        each.pass_time(days=1)

    taken = await asyncio.gather(first.sweep(), second.sweep())

    assert sorted([*taken[0], *taken[1]]) == sorted(slip.slip_id for slip in slips)
    assert (await world.points_of("ada")).balance == 6 * HOUR


async def test_one_slip_completed_and_recovered_many_ways_at_once_is_credited_once(
    instances: tuple[Caller, Caller], world: World
) -> None:
    await seen(instances[0], "ada")

    async def race(number: int) -> tuple[int, int]:
        slip = await opened(instances[number % 2])
        body = {"closed_at": slip["opened_at"]} if number % 5 == 0 else None
        ways = [complete(instances[way % 2], slip, body) for way in range(4)]
        answers = await asyncio.gather(*ways, recover(instances[0], slip), recover(instances[1], slip))
        completed, recovered = answers[:4], answers[4:]
        assert [answer.status_code for answer in completed] == [200] * 4
        assert {answer.status_code for answer in recovered} <= {200, 409}
        fresh = [answer for answer in completed if "idempotency-hit" not in answer.headers]
        return len({answer.content for answer in completed}), len(fresh)

    assert await in_waves(race, range(30), together=6) == [(1, 1)] * 30
    entries = await world.point_entries("ada", limit=100)
    assert len({entry.event_key for entry in entries}) == len(entries) == 24  # every fifth slip earned nothing
    assert await world.broken_promises() == []


async def test_one_award_at_two_instances_counts_once(instances: tuple[Caller, Caller], world: World) -> None:
    await seen(instances[0], "ada")

    async def race(points: int) -> tuple[int, int]:
        answers = await asyncio.gather(*(award(instances[way % 2], "ada", points) for way in range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4
        fresh = [answer for answer in answers if "idempotency-hit" not in answer.headers]
        return len({answer.content for answer in answers}), len(fresh)

    assert await in_waves(race, range(1, 31), together=6) == [(1, 1)] * 30
    balance, amounts = await world.points_and_amounts("ada")
    assert (balance, sorted(amounts)) == (sum(range(1, 31)), list(range(1, 31)))
    assert await world.broken_promises() == []


async def test_deliveries_out_of_order_and_more_than_once_count_once(
    instances: tuple[Caller, Caller], world: World
) -> None:
    chance = Random(7)
    for player in PLAYERS:
        await seen(instances[0], player)
    events = [
        {"player_id": player, "points": number, "event_type": "jackpot", "event_key": str(number)}
        for player in PLAYERS
        for number in range(1, 21)
    ]
    deliveries = [event for event in events for _ in range(3)]
    chance.shuffle(deliveries)
    batches = [deliveries[start : start + 50] for start in range(0, len(deliveries), 50)]

    async def deliver(number: int) -> list[str]:
        till = instances[number % 2].named("till", "loyalty:batch")
        answer = await till.post("/api/loyalty/accruals", {"events": batches[number]})
        assert answer.status_code == 200, answer.text
        return ["again" if result.get("repeated") else str(result["outcome"]) for result in answer.json()["results"]]

    counts = Counter(outcome for batch in await in_waves(deliver, range(len(batches)), together=6) for outcome in batch)

    assert counts == {"accrued": len(events), "again": 2 * len(events)}
    for player in PLAYERS:
        balance, amounts = await world.points_and_amounts(player)
        assert (balance, sorted(amounts)) == (210, list(range(1, 21)))
    assert await world.broken_promises() == []


async def test_a_batch_that_meets_a_freeze_is_credited_before_it_or_not_at_all(
    world: World, shared_database: Database
) -> None:
    await world.a_player("ada")
    (own,) = workers(shared_database, 1)
    awarding = GroupCommit(
        own.award_points,
        key=lambda keyed: keyed.command.player_id,
        clock=own.clock,
        randomness=own.randomness,
        metrics=own.metrics,
        name="award",
    )

    commands = [Keyed(own.award_command("ada", points)) for points in range(1, 41)]
    outcomes, _ = await asyncio.gather(
        asyncio.gather(*(awarding(command) for command in commands), return_exceptions=True), world.freeze("ada")
    )

    credited = [outcome for outcome in outcomes if isinstance(outcome, Accrued)]
    account = await world.points_of("ada")
    assert account.frozen_at is not None
    assert (account.version, account.balance) == (
        len(credited),
        sum(accrued.accrual.balance_after - accrued.accrual.balance_before for accrued in credited),
    )
    assert await world.broken_promises() == []
