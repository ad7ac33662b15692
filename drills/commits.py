"""Connections that are cut at their commits: a drill, and the trial of every mutant."""

import asyncio
from collections.abc import Callable

from drills.mutants import Mutant, planted
from drills.report import Drill, DrillResult
from drills.scripts import SCRIPTS
from drills.testbed import Traffic, new_testbed, under_load
from tests.integration.postgres.wires import Fault, Wire, wired

SINGLE_CUTS = 100
"""How many commits are cut alone: so many that every kind of request is among them, with a key and without one."""
UNAVAILABLE, MOST_CUTS = 12, 200
"""A fault ends when so many requests were answered with 503: the service has given up its retries by then."""
POLL_SECONDS = 0.005


async def commits_are_cut(mutant: Mutant | None = None) -> DrillResult:
    """Cut commits after PostgreSQL has stored them, alone and together, and then commits before they reach it."""
    scripts = SCRIPTS if mutant is None else mutant.scripts
    with planted(mutant) as package:
        async with new_testbed(servers=0) as testbed, wired(testbed.database_url) as wire:
            testbed.database_url = wire.dsn
            await testbed.start(PYTHONPATH=package)
            async with under_load(testbed, scripts=scripts, is_strict=mutant is not None) as traffic:
                for _ in range(SINGLE_CUTS):
                    wire.cut_once("cut after the commit")
                    await _until(traffic, lambda: wire.fault == "none")
                await _cut_all(wire, "cut after the commit", traffic)
                await _cut_all(wire, "cut before the commit", traffic)
                return traffic.shown(await traffic.seconds_until_healthy())


async def _cut_all(wire: Wire, fault: Fault, traffic: Traffic) -> None:
    await traffic.clients.until_successes(50)
    cuts, unavailable = wire.cuts + MOST_CUTS, traffic.journal.unavailable + UNAVAILABLE
    wire.fault = fault
    await _until(traffic, lambda: wire.cuts >= cuts or traffic.journal.unavailable >= unavailable)
    wire.heal()


async def _until(traffic: Traffic, holds: Callable[[], bool]) -> None:
    """Wait until something holds, or until a client saw an answer that none should see."""
    while not holds() and not traffic.journal.surprises:  # noqa: ASYNC110  the wire has no event for it
        await asyncio.sleep(POLL_SECONDS)


DRILLS = (Drill("commits-cut", "The connection is cut at its commit, before it or after it", commits_are_cut),)
