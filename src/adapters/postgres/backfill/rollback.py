"""Taking a backfill back, by the owner of the schema alone: what the run wrote goes, what was used since stays."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from tallystick.adapters.postgres.backfill.apply import PAUSE_SECONDS, TRIES, Draw, ReportChunk, Write, written
from tallystick.adapters.postgres.backfill.runs import (
    BackfillRefused,
    BackfillRuns,
    Connection,
    only_runner,
    refresh_statistics,
)
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.maintenance import owner_session, temporary_grant
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.backfill import Run, Tally
from tallystick.domain.codes import MAX_CANDIDATES
from tallystick.domain.users import UserId

_SQL = Statements.load("backfill_rollback")

_SHRINKING = (
    "users",
    "referral_codes",
    "referral_edges",
    "ledger_entries",
    "ledger_accounts",
    "phone_verifications",
    "code_conflicts",
    "legacy_users",
    "legacy_codes",
)
_TABLES = ", ".join(f"tallystick.{table}" for table in _SHRINKING)
_GIVE = f"GRANT DELETE ON {_TABLES} TO {SERVICE_ROLE}"
_TAKE_BACK = f"REVOKE DELETE ON {_TABLES} FROM {SERVICE_ROLE}"
_INDEXES = {
    "backfill_codes_of_user": "referral_codes (user_id)",
    "backfill_edges_of_code": "referral_edges (code)",
    "backfill_slips_of_player": "rating_slips (player_id)",
    "backfill_invites_of_owner": "invites (owner_id)",
    "backfill_uses_of_user": "invite_uses (user_id)",
}
"""What is asked of every row that goes: who refers to it. Nobody else asks, so they are there for a rollback only."""


class BackfillRollback:
    """Removes what one run wrote and nothing that traffic wrote since. Killed and run again, it goes on."""

    def __init__(self, dsn: str, now: Callable[[], datetime], draw: Draw) -> None:
        self._dsn, self._now, self._draw = dsn, now, draw

    async def __call__(self, run: Run, *, report: ReportChunk) -> None:
        """Take back all that can be. RunnerBusy, or BackfillRefused where nothing was applied."""
        async with owner_session(self._dsn, name="backfill") as connection, only_runner(connection):
            runs = BackfillRuns(connection)
            async with _service(connection):
                run = await runs.find(run.plan_hash)
                if run.state == "planned":
                    raise BackfillRefused("this run is planned: there is nothing to roll back")
                if run.state == "rolled_back":
                    return
                later = await runs.later(run)
            if later is not None:
                raise BackfillRefused(
                    f"plan {later.plan_hash[:12]} brought some of the same users later; roll that one back first"
                )
            await _with_indexes(connection)  # whoever is not the owner fails here, and has changed nothing
            async with _service(connection):
                await runs.turn(run, "rolling_back", self._now())
            await refresh_statistics(self._dsn, of="served")
            async with _service(connection):
                done = await runs.done(run, "rollback")
            size = run.plan.options.chunk
            for number, tally in done.items():
                report("rollback", run.users_of(number % run.chunks), tally)
            # First what refers to codes and users, of everybody; then codes and users.
            steps = [(chunk, self._take_effects) for chunk in range(run.chunks)]
            steps += [(chunk, self._take_codes) for chunk in range(run.chunks)]
            for number, (chunk, take) in enumerate(steps):
                if number in done:
                    continue
                report(
                    "rollback", run.users_of(chunk), await self._take(connection, run, number, chunk * size + 1, take)
                )
            await _without_indexes(connection)
            async with temporary_grant(connection, give=_GIVE, take_back=_TAKE_BACK):
                await connection.execute(_SQL.forget_conflicts, run.run)
                await runs.drop_staged([run.run])
                await runs.turn(run, "rolled_back", self._now())

    async def _take(self, connection: Connection, run: Run, number: int, first: int, take: Write) -> Tally:
        """Take back one chunk; where traffic was in the way, again."""
        last = first + run.plan.options.chunk - 1
        for attempt in range(TRIES):
            try:
                async with temporary_grant(connection, give=_GIVE, take_back=_TAKE_BACK):
                    await connection.fetch(_SQL.lock, run.run, first, last)
                    tally = await take(connection, run, first, last)
                    await BackfillRuns(connection).commit(run, "rollback", number, tally, self._now())
                    return tally
            except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError, asyncpg.SerializationError):
                if attempt + 1 == TRIES:
                    raise
            await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last try returns or raises")

    async def _take_effects(self, connection: Connection, run: Run, first: int, last: int) -> Tally:
        place, correlation_id = (run.run, first, last), run.plan_hash[:32]
        await connection.fetch(_SQL.lock_accounts, *place)
        points = await connection.fetchval(_SQL.uncredit, *place, correlation_id)
        kept = await connection.fetchval(_SQL.credited, *place, correlation_id)
        await connection.execute(_SQL.close_accounts, *place)
        edges = await connection.fetchval(_SQL.disconnect, *place)
        return Tally(points_removed=points, points_kept=kept, edges_removed=edges)

    async def _take_codes(self, connection: Connection, run: Run, first: int, last: int) -> Tally:
        at, place = self._now(), (run.run, first, last)
        kept = await connection.fetch(_SQL.keep_in_use, *place, at)
        removed = written(await connection.execute(_SQL.remove_codes, *place))
        await self._mint(connection, [row["user_id"] for row in await connection.fetch(_SQL.without_canonical, *place)])
        await connection.execute(_SQL.unmirror, *place)
        brought = await connection.fetchval(_SQL.brought, *place)
        leaving = [row["user_id"] for row in await connection.fetch(_SQL.leaving, *place)]
        await connection.execute(_SQL.unverify_phones, leaving)
        await connection.execute(_SQL.remove_users, leaving)
        attributed = sum(1 for row in kept if row["is_attributed"])
        return Tally(
            codes_removed=removed,
            codes_attributed=attributed,
            codes_clicked=len(kept) - attributed,
            users_removed=len(leaving),
            users_kept=brought - len(leaving),
        )

    async def _mint(self, connection: Connection, user_ids: Sequence[UserId]) -> None:
        """Give a canonical code to users who keep an alias."""
        candidates = {user_id: self._draw() for user_id in user_ids}
        for attempt in range(MAX_CANDIDATES):
            if not candidates:
                return
            codes = [drawn[attempt] for drawn in candidates.values()]
            for assigned in await connection.fetch(_SQL.assign, codes, list(candidates), self._now()):
                del candidates[assigned["user_id"]]
        raise BackfillRefused("every new code was taken already; run it again")


@asynccontextmanager
async def _service(connection: Connection) -> AsyncIterator[None]:
    """Be the service for a transaction: the owner sees no rows."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}")
        yield


async def _with_indexes(connection: Connection) -> None:
    await _without_indexes(connection)  # a killed run may have left one that is not whole
    for name, place in _INDEXES.items():
        await connection.execute(f"CREATE INDEX CONCURRENTLY {name} ON tallystick.{place}")


async def _without_indexes(connection: Connection) -> None:
    for name in _INDEXES:
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS tallystick.{name}")
