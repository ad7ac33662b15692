"""A process that is killed between two commits, or whose answer is lost: asked again, every use case ends as one try.

A mark that is committed before its effect loses the effect, and an effect before its mark happens twice.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest

import tallystick.application
import tallystick.entrypoints.worker
from tallystick.adapters.memory.tables import Tables
from tallystick.application import erasures
from tallystick.application.transactions import Transactions
from tests.unit.application.scenes import SCENES, Attempt, Killed, MortalTransactions
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World


def classes_that_begin_transactions() -> set[str]:
    found = set[str]()
    for package in (tallystick.application, tallystick.entrypoints.worker):
        for each in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(each.name)
            for name, written in inspect.getmembers(module, inspect.isclass):
                if written.__module__ == each.name and "ransactions.begin()" in inspect.getsource(written):
                    found.add(name)
    return found - {Transactions.__name__}


def test_every_class_that_begins_transactions_has_a_scene() -> None:
    assert classes_that_begin_transactions() - SCENES.keys() == set()


async def prepared(name: str, key: str | None) -> tuple[World, MortalTransactions, Attempt]:
    transactions = MortalTransactions(Tables())
    world = World(MemoryBackend(transactions))
    attempt = await SCENES[name](world, key)
    return world, transactions, attempt


def stored(transactions: MortalTransactions) -> dict[str, dict[Any, Any]]:
    """Return what is stored, but for the time of what is noted anew by each try."""
    tables = transactions._tables
    kept = {field.name: dict(getattr(tables, field.name)) for field in fields(Tables)}
    kept["mirrored"] = {user_id: code for user_id, (code, _) in tables.mirrored.items()}
    kept["leases"] = {name: lease.done_at is not None for name, lease in tables.leases.items()}
    return kept


LATER: Mapping[str, Collection[str]] = {
    "SweepAccruals": {"accounts", "entries", "pending"},
    "Upkeep": {"accounts", "entries", "pending"},
    "WorkLease": {"codes", "demotions", "users"},
}
"""Where the second try has to come later: the tables that show the time of the try that succeeded."""


def _timeless(name: str, kept: Mapping[str, Mapping[object, object]]) -> dict[str, object]:
    return {table: rows.keys() if table in LATER.get(name, ()) else rows for table, rows in kept.items()}


@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize("name", SCENES)
async def test_killed_after_any_commit_and_asked_again_it_ends_as_one_try(
    name: str, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasures, "STEP_ROWS", 1)
    _, whole, attempt = await prepared(name, key)
    before = stored(whole)
    await attempt()
    expected, commits = stored(whole), 0
    assert expected != before, "nothing was done"

    while True:
        commits += 1
        world, transactions, attempt = await prepared(name, key)
        transactions.left = commits
        with suppress(Killed):
            await attempt()
            break
        transactions.left = None
        # Nobody may come back to ask again: every promise is kept as it was left.
        assert await world.broken_promises() == [], f"killed after commit {commits}"
        await attempt()
        assert _timeless(name, stored(transactions)) == _timeless(name, expected), f"killed after commit {commits}"
    assert commits > 1, "nothing was committed"
