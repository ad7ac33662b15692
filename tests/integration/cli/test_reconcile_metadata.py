"""`tallystick reconcile metadata`: differences are reported, and repaired on demand."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from click.testing import CliRunner, Result

from tallystick.adapters.postgres.stores.metadata_mirror import PostgresMetadataMirror
from tallystick.application.transactions import StoreUnavailable
from tallystick.entrypoints.cli.main import main
from tests.integration.cli.conftest import on
from tests.integration.postgres.sessions import pool_on
from tests.processes.installations import Installation
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

NOTHING = {"users": 0, "unadopted": 0, "stale": 0, "missing": 0, "orphaned": 0, "failed": 0}
Reconcile = Callable[..., Awaitable[Result]]


@pytest.fixture
async def moving(dsn: str) -> AsyncIterator[World]:
    """Return a world on the database that the command works on."""
    async with pool_on(dsn) as database:
        yield World(PostgresBackend(database))


@pytest.fixture
def reconcile(dsn: str) -> Reconcile:
    """Return a function that runs the command on the test's database."""

    async def run(*arguments: str) -> Result:
        command = ["reconcile", "metadata", *arguments]
        return await asyncio.to_thread(CliRunner().invoke, main, command, env=on(dsn))

    return run


async def test_where_all_is_well_it_says_so(reconcile: Reconcile) -> None:
    for arguments in ([], ["--apply"]):
        ran = await reconcile(*arguments)
        assert (ran.exit_code, ran.stdout) == (0, "code book and legacy metadata agree\n")
    ran = await reconcile("--json")
    assert (ran.exit_code, json.loads(ran.stdout)) == (0, {"repaired": False, **NOTHING})


async def test_drift_is_counted_and_left_alone_until_it_is_asked_to_repair_it(
    reconcile: Reconcile, moving: World
) -> None:
    await moving.imported("ada", "1234")
    await moving.imported("bob", "5678")
    await moving.mint("bob")
    await moving.mint("cid")
    await moving.mirrors("cid", "OLDER123")

    counted = await reconcile("--json")
    found = {**NOTHING, "users": 3, "unadopted": 2, "stale": 1, "missing": 1}
    assert (counted.exit_code, json.loads(counted.stdout)) == (1, {"repaired": False, **found})
    shown = await reconcile()
    assert (shown.exit_code, shown.stdout.splitlines()[-1]) == (1, "run it again with --apply to repair this")
    assert await moving.owner("1234") is None

    repaired = await reconcile("--apply", "--json")
    assert (repaired.exit_code, json.loads(repaired.stdout)) == (0, {"repaired": True, **found, "missing": 2})
    assert await moving.owner("1234") == "ada"
    assert (await reconcile()).exit_code == 0


@pytest.mark.parametrize("arguments", [[], ["--apply"], ["--apply", "--json"]], ids=" ".join)
async def test_a_page_that_cannot_be_looked_at_is_a_sentence(
    reconcile: Reconcile, moving: World, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    await moving.imported("ada", "1234")

    async def stall(*_: object) -> None:
        raise StoreUnavailable("57014")

    monkeypatch.setattr(PostgresMetadataMirror, "drift", stall)
    ran = await reconcile(*arguments)

    assert (ran.exit_code, type(ran.exception)) == (1, SystemExit)
    assert (
        ran.stderr == "tallystick: 1 users could not be compared, because the database failed; run the command again\n"
    )
    assert "agree" not in ran.stdout


async def test_a_database_that_stalls_is_a_sentence(reconcile: Reconcile, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stall(*_: object, **__: object) -> None:
        raise StoreUnavailable("57014")

    monkeypatch.setattr(PostgresMetadataMirror, "users", stall)
    ran = await reconcile("--apply")

    assert (ran.exit_code, type(ran.exception)) == (1, SystemExit)
    assert ran.stderr == "tallystick: the database cannot answer now; ask again\n"


async def test_a_database_that_was_never_migrated_is_a_sentence(unmigrated: Installation) -> None:
    refused = unmigrated.run("reconcile", "metadata")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("tallystick: ")
