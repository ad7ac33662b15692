"""Rooms: messages compared with `pgbench`, pages of channels with few and with many messages, and streams."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.channels import CHANNELS, Channels, load_messages
from bench.comparisons import ONE, TWO, History, against_pgbench, few_and_many
from bench.database import Database, cluster, filled, with_channels
from bench.messages import Signer
from bench.report import Row, Say
from bench.servers import Server, tallystick
from bench.streams import idle, latencies

USERS = 10_000
AIMS = {"send to one channel": 5.0, "send to 1,000 channels": 1.0}
"""The aims: ratios of our rate to the rate of `pgbench`."""
_FEW = 50_000
_FEW_CHANNEL, _MANY_CHANNEL = "01990000-0000-7000-8000-300000000001", "01990000-0000-7000-8000-300000000002"


class Plan(NamedTuple):
    """The sizes and durations of a run."""

    rounds: int
    seconds: float
    direct_seconds: int
    direct_warm_seconds: int
    warm_seconds: float
    tries_clients: bool
    steady_seconds: float
    idle_streams: tuple[int, ...]
    idle_seconds: float
    messages: int
    """The messages of the channel with many, or the number that can be loaded in ten minutes."""


FULL = Plan(
    rounds=3,
    seconds=1.6,
    direct_seconds=3,
    direct_warm_seconds=2,
    warm_seconds=1.0,
    tries_clients=True,
    steady_seconds=5.0,
    idle_streams=(1_000, 10_000),
    idle_seconds=22.0,  # longer than from one heartbeat to the next
    messages=5_000_000,
)
QUICK = Plan(
    rounds=1,
    seconds=0.8,
    direct_seconds=2,
    direct_warm_seconds=1,
    warm_seconds=0.5,
    tries_clients=False,
    steady_seconds=3.0,
    idle_streams=(1_000,),
    idle_seconds=5.0,
    messages=500_000,
)


def measure(folder: Path, say: Say, plan: Plan) -> list[Row]:
    """Measure all of it; the servers are ended afterwards."""
    signer = Signer()
    with cluster(folder / "database") as made:
        say(f"filling a database with {CHANNELS:,} channels")
        database = filled(made, "tallystick", USERS)
        with_channels(database, CHANNELS)
        channels = Channels(database, signer, folder)
        serve = partial(
            tallystick,
            jwt_secret=signer.jwt_secret,
            webhook_secret=signer.webhook_secret,
            database_url=database.url,
        )
        rows: list[Row] = []
        say("starting the servers")
        with serve(folder / "one") as one, serve(folder / "two", workers=2) as two:
            for comparison in channels.comparisons:
                rows += against_pgbench(say, comparison, {ONE: one, TWO: two}, plan, AIMS[comparison.name])
            rows.append(latencies(channels, one, say, seconds=plan.steady_seconds, rounds=plan.rounds))
        for number in plan.idle_streams:
            # A new server each: memory that earlier streams left free would be used again.
            with serve(folder / f"{number} streams") as server:
                rows.append(idle(channels, server, say, number=number, seconds=plan.idle_seconds))
        say("checking every promise")
        channels.check()
        with serve(folder / "pages") as server:
            rows.append(_pages(channels, database, server, plan, say))
        say("ending the servers")
    return rows


def _pages(channels: Channels, database: Database, server: Server, plan: Plan, say: Say) -> Row:
    """Read pages of a channel with few messages and of one with many."""
    few, many = (
        History(
            "messages",
            partial(load_messages, database, channel),
            partial(channels.pages, server, plan.seconds, channel),
        )
        for channel in (_FEW_CHANNEL, _MANY_CHANNEL)
    )
    vacuum = partial(database.run, "VACUUM (ANALYZE) tallystick.messages;\nCHECKPOINT;", "superuser")
    return few_and_many(
        say, "a channel's", few, many, fewest=_FEW, most=plan.messages, loaded=vacuum, rounds=plan.rounds
    )
