"""Purchases, redemptions and batches: the service compared with `pgbench` and with alternatives in other frameworks."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from bench.alternatives import FASTAPI, FASTIFY, Alternative, fastapi, fastify, installing
from bench.comparisons import DIRECT, GROWTH_AIM, ONE, TWO, Comparison, Turn, best_clients, client_cost, in_turns
from bench.database import cluster, filled
from bench.drivers import Slot
from bench.messages import Signer
from bench.report import Row, Say, absent, rates, row
from bench.servers import Server, tallystick
from bench.shop import Shop

USERS = 100_000
GROWN_USERS = 1_000_000
AIMS: dict[str, dict[str, float]] = {
    "buy a reward": {DIRECT: 1.0, FASTAPI: 4.0, FASTIFY: 2.0},
    "redeem one hot invite": {DIRECT: 5.0, FASTAPI: 5.0, FASTIFY: 5.0},
    "buy by batch": {DIRECT: 2.0},
}
"""The aims: ratios of our rate to the rate of each reference."""
_MOST_P99_MS = 20.0
_MOST_MEGABYTES = 200.0
_WARM_CLIENTS = 16
_GROWN_WARM_SECONDS = 5


class Plan(NamedTuple):
    """The sizes and durations of a run."""

    rounds: tuple[int, int, int]
    """The rounds of purchases, of redemptions and of batches."""
    seconds: float
    direct_seconds: int
    """The first one is not counted, because plans are made in it."""
    direct_warm_seconds: int
    warm_seconds: float
    steady_seconds: float
    steady_rounds: int
    tries_clients: bool
    growth_rounds: int


FULL = Plan(
    rounds=(4, 3, 2),
    seconds=1.6,
    direct_seconds=3,
    direct_warm_seconds=2,
    warm_seconds=1.0,
    steady_seconds=2.0,
    steady_rounds=5,
    tries_clients=True,
    growth_rounds=3,
)
QUICK = Plan(
    rounds=(1, 1, 1),
    seconds=0.8,
    direct_seconds=2,
    direct_warm_seconds=1,
    warm_seconds=0.5,
    steady_seconds=1.5,
    steady_rounds=1,
    tries_clients=False,
    growth_rounds=0,
)


class Stage(NamedTuple):
    """The servers of a run, on one database."""

    shop: Shop
    own: Mapping[str, Server]
    alternatives: Mapping[str, Alternative]
    plan: Plan
    say: Say


def measure(folder: Path, say: Say, plan: Plan) -> list[Row]:
    """Measure all of it; the servers are ended afterwards."""
    signer = Signer()
    with installing(folder / "alternatives") as installations, cluster(folder / "database") as made:
        say(f"filling a database with {USERS:,} users")
        database = filled(made, "tallystick", USERS)
        say("starting the servers")
        serve = partial(tallystick, jwt_secret=signer.jwt_secret, webhook_secret=signer.webhook_secret)
        with (
            serve(folder / "one", database_url=database.url) as one,
            serve(folder / "two", database_url=database.url, workers=2) as two,
            fastapi(folder / "with fastapi", installations[FASTAPI], database, signer.jwt_secret) as python,
            fastify(folder / "with fastify", installations[FASTIFY], database, signer.jwt_secret) as node,
        ):
            shop = Shop(database, signer, folder)
            stage = Stage(shop, {ONE: one, TWO: two}, {FASTAPI: python, FASTIFY: node}, plan, say)
            rows = _compared(stage)
            rows.append(_memory(stage))
            say("checking every promise")
            shop.check()
            if plan.growth_rounds:
                say(f"filling a database with {GROWN_USERS:,} users")
                grown = filled(made, "tallystick_grown", GROWN_USERS)
                with serve(folder / "grown", database_url=grown.url) as large:
                    rows.append(_growth(stage, Shop(grown, signer, folder), large))
            say("ending the servers")
    return rows


def _compared(stage: Stage) -> list[Row]:
    """Run every comparison. The latencies at half load are measured after the first one, whose rate they need."""
    rows: list[Row] = []
    latencies: list[Row] = []
    for comparison, rounds in zip(stage.shop.comparisons, stage.plan.rounds, strict=True):
        stage.say(f"{comparison.name}: warming the database")
        comparison.directly(comparison.clients[1], stage.plan.direct_warm_seconds)
        clients, tried = best_clients(stage.say, comparison, is_tried=stage.plan.tries_clients)
        turns = _turns(stage, comparison, clients)
        slots = in_turns(stage.say, comparison.name, turns, rounds)
        for name in stage.own:
            rows += _against_all(stage, comparison, name, slots, f"{tried}; {client_cost(slots[name])}")
        latencies = latencies or _at_half_load(stage, slots)
    return rows + latencies


def _against_all(
    stage: Stage, comparison: Comparison, name: str, slots: Mapping[str, list[Slot]], note: str
) -> Iterator[Row]:
    """Compare one of our servers with every reference; the first row has the note."""
    what = f"{comparison.name}, {name}"
    for against, at_least in AIMS[comparison.name].items():
        if against not in slots:
            yield absent(what, against, at_least, stage.alternatives[against].missing)
            continue
        yield rates(what, slots[name], against, slots[against], at_least=at_least, unit=comparison.unit, note=note)
        note = ""


def _turns(stage: Stage, comparison: Comparison, clients: int) -> dict[str, Turn]:
    """Return the turns of all servers, after warming them."""

    def by_http(server: Server) -> Turn:
        return lambda: comparison.by_http(server, stage.plan.seconds)

    alternatives = {
        name: alternative.server for name, alternative in stage.alternatives.items() if name in AIMS[comparison.name]
    }
    turns: dict[str, Turn] = {DIRECT: lambda: comparison.directly(clients, stage.plan.direct_seconds)}
    for name, server in (dict(stage.own) | alternatives).items():
        if server is not None:
            stage.say(f"{comparison.name}: warming {name}")
            comparison.by_http(server, stage.plan.warm_seconds)
            turns[name] = by_http(server)
    return turns


def _at_half_load(stage: Stage, slots: Mapping[str, list[Slot]]) -> list[Row]:
    """Buy at half of the measured rate, and measure the latency of the slowest hundredth."""

    def steadily(name: str) -> Turn:
        per_second = median(slot.per_second for slot in slots[name]) / 2
        return lambda: stage.shop.purchases(stage.own[name], stage.plan.steady_seconds, per_second)

    stage.shop.tidy()
    turns = {name: steadily(name) for name in stage.own}
    rows = []
    for name, steady in in_turns(stage.say, "half load", turns, stage.plan.steady_rounds).items():
        cuts = [quantiles(slot.latencies_ms, n=100, method="inclusive") for slot in steady]
        p50, p95, p99 = (median(cut[place - 1] for cut in cuts) for place in (50, 95, 99))
        rate = median(slot.requests for slot in steady) / stage.plan.steady_seconds
        rows.append(
            row(
                f"p99 at half load, {name}",
                f"{_MOST_P99_MS:g} ms",
                [(cut[98], _MOST_P99_MS) for cut in cuts],
                unit="ms",
                at_most=1.0,
                note=f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms at {rate:,.0f} a second",
            )
        )
    return rows


def _memory(stage: Stage) -> Row:
    """Measure the memory of the server with one worker after all loads."""
    both = stage.own[TWO].resident_megabytes()
    return row(
        f"memory, {ONE}",
        f"{_MOST_MEGABYTES:g} MB",
        [(stage.own[ONE].resident_megabytes(), _MOST_MEGABYTES)],
        unit="MB",
        at_most=1.0,
        note=f"resident memory after all loads; {TWO} and their parent have {both:.0f} MB",
    )


def _growth(stage: Stage, grown: Shop, large: Server) -> Row:
    """Buy with ten times the users, in turns with the smaller database."""
    plan = stage.plan
    stage.say("growth: warming")
    grown.comparisons[0].directly(_WARM_CLIENTS, _GROWN_WARM_SECONDS)
    grown.purchases(large, plan.warm_seconds)
    turns: dict[str, Turn] = {
        "few": lambda: stage.shop.purchases(stage.own[ONE], plan.seconds),
        "many": lambda: grown.purchases(large, plan.seconds),
    }
    slots = in_turns(stage.say, "growth", turns, plan.growth_rounds)
    what, against = f"buy a reward, {GROWN_USERS:,} users", f"{USERS:,} users"
    return rates(what, slots["many"], against, slots["few"], at_least=GROWTH_AIM, note=f"{ONE} each")
