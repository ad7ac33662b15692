"""Loyalty: points compared with `pgbench`, and pages of players with few and with many entries."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.comparisons import ONE, TWO, History, against_pgbench, few_and_many
from bench.database import Database, cluster, filled
from bench.messages import Signer
from bench.players import Players
from bench.report import Row, Say
from bench.servers import Server, tallystick

USERS = 100_000
AIMS = {"award points": 1.0, "award one player": 5.0, "accrue by batch": 2.0}
"""The aims: ratios of our rate to the rate of `pgbench`."""
_FEW = 100_000
_FEW_PLAYER, _MANY_PLAYER = "player_with_few", "player_with_many"


class Plan(NamedTuple):
    """The sizes and durations of a run."""

    rounds: int
    seconds: float
    direct_seconds: int
    direct_warm_seconds: int
    warm_seconds: float
    tries_clients: bool
    entries: int
    """The entries of the player with many, or the number that can be loaded in ten minutes."""


FULL = Plan(3, 1.6, 3, 2, 1.0, tries_clients=True, entries=10_000_000)
QUICK = Plan(1, 0.8, 2, 1, 0.5, tries_clients=False, entries=1_000_000)


def measure(folder: Path, say: Say, plan: Plan) -> list[Row]:
    """Measure all of it; the servers are ended afterwards."""
    signer = Signer()
    with cluster(folder / "database") as made:
        say(f"filling a database with {USERS:,} users")
        database = filled(made, "tallystick", USERS)
        say("starting the servers")
        serve = partial(tallystick, jwt_secret=signer.jwt_secret, webhook_secret=signer.webhook_secret)
        with (
            serve(folder / "one", database_url=database.url) as one,
            serve(folder / "two", database_url=database.url, workers=2) as two,
        ):
            players = Players(database, signer, folder)
            rows: list[Row] = []
            for comparison in players.comparisons:
                rows += against_pgbench(say, comparison, {ONE: one, TWO: two}, plan, AIMS[comparison.name])
            say("checking every promise")
            players.check()
            rows.append(_pages(players, database, one, plan, say))
            say("ending the servers")
    return rows


def _pages(players: Players, database: Database, server: Server, plan: Plan, say: Say) -> Row:
    """Read pages of a player with few entries and of one with many."""
    few, many = (
        History(
            "entries",
            partial(_load, database, player),
            partial(players.pages, server, plan.seconds, player),
        )
        for player in (_FEW_PLAYER, _MANY_PLAYER)
    )
    vacuum = partial(database.run, "VACUUM (ANALYZE) tallystick.ledger_entries;\nCHECKPOINT;", "superuser")
    return few_and_many(
        say, "one player's", few, many, fewest=_FEW, most=plan.entries, loaded=vacuum, rounds=plan.rounds
    )


def _load(database: Database, player_id: str, first: int, last: int) -> None:
    """Give a player the entries from one number to another; foreign keys are valid by construction."""
    database.run(
        "SET session_replication_role = replica; SET ROLE tallystick_app;\n"
        f"INSERT INTO tallystick.users (user_id, created_at) VALUES ('{player_id}', now()) ON CONFLICT DO NOTHING;\n"
        "INSERT INTO tallystick.ledger_accounts (user_id, unit, balance, version, lifetime, updated_at)\n"
        f"VALUES ('{player_id}', 'points', {last}, {last}, {last}, now())\n"
        "ON CONFLICT (user_id, unit) DO UPDATE\n"
        "SET balance = excluded.balance, version = excluded.version, lifetime = excluded.lifetime;\n"
        "INSERT INTO tallystick.ledger_entries (\n"
        "    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, correlation_id,\n"
        "    created_at, tier_before, tier_after, lifetime_after, tier_progress\n"
        ")\n"
        f"SELECT '{player_id}', 'points', n, 1, n - 1, n, 'play', 'load ' || n, 'load ' || n / 1000, now(),\n"
        "    'platinum', 'platinum', n, 100\n"
        f"FROM generate_series({first + 1}, {last}) AS n;",
        "superuser",
    )
