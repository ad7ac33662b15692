"""Verifying a backfill: the source is followed line by line, as the public would, and every promise is counted."""

from collections.abc import Callable
from datetime import datetime
from itertools import chain

import msgspec

from tallystick.adapters.legacy.sources import Batch, Source
from tallystick.adapters.postgres.backfill.apply import SourceChanged
from tallystick.adapters.postgres.backfill.checksums import checksum, edges_here, one_row, points_here
from tallystick.adapters.postgres.backfill.plan import Progress
from tallystick.adapters.postgres.backfill.runs import (
    BackfillRefused,
    BackfillRuns,
    Connection,
    for_stores,
    refresh_statistics,
    service_session,
)
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.stores.codes import PostgresReferralCodes
from tallystick.domain.backfill import LISTED, Check, Checksum, Phase, Run, Tally, Verification

_SQL = Statements.load("backfill_verify")


class _Followed:
    """What following the codes of the source came to."""

    def __init__(self) -> None:
        self.codes, self.conflicts, self.deleted, self.broken = 0, 0, 0, 0
        self.broken_lines: list[int] = []

    async def follow(self, connection: Connection, batch: Batch) -> None:
        """Ask what each code of a batch stands for, by the statement that the resolver asks."""
        asked = {record.line: record for record in batch.records if record.code is not None and not record.is_deleted}
        if not asked:
            return
        self.codes += len(asked)
        entries = await PostgresReferralCodes(for_stores(connection)).resolve(
            {r.code for r in asked.values() if r.code}
        )
        owners = {code: entry.user_id for code, entry in entries.items()}
        astray = [record for record in asked.values() if owners.get(record.code or "") != record.user_id]
        if not astray:
            return
        rows = await connection.fetch(_SQL.excused, [r.code for r in astray], [r.user_id for r in astray])
        excuses = {(row["code"], row["user_id"]): row["is_deleted"] for row in rows}
        for record in astray:
            is_deleted = excuses.get((record.code, record.user_id))
            if is_deleted is None:
                self.broken += 1
                self.broken_lines += [record.line] if len(self.broken_lines) < LISTED else []
            elif is_deleted:
                self.deleted += 1
            else:
                self.conflicts += 1


class BackfillVerification:
    """Proves an applied run against its source and against what was here before; changes nothing but its report."""

    def __init__(self, dsn: str, now: Callable[[], datetime]) -> None:
        self._dsn, self._now = dsn, now

    async def __call__(self, run: Run, source: Source, progress: Progress) -> Verification:
        """Return the report, and keep it with the run. SourceError, or BackfillRefused where nothing was applied."""
        async with service_session(self._dsn) as connection:
            run = await BackfillRuns(connection).find(run.plan_hash)
            if run.state != "applied":
                raise BackfillRefused(f"this run is {run.state}; there is something to verify when it is applied")
            followed = _Followed()
            async for batch in source.batches():
                await followed.follow(connection, batch)
                progress(batch.progress * 0.8)
            if source.fingerprint != run.plan.source_hash:
                raise SourceChanged
            await refresh_statistics(self._dsn, of="served")
            checks = await _checks(connection, run, followed)
            report = Verification(
                plan_hash=run.plan_hash,
                verified_at=self._now(),
                holds=all(check.holds for check in checks),
                checks=checks,
                codes=followed.codes,
                conflicts=followed.conflicts,
                deleted=followed.deleted,
                broken_lines=followed.broken_lines,
            )
            await BackfillRuns(connection).verified(run, msgspec.json.encode(report).decode())
            progress(1.0)
            return report


async def _checks(connection: Connection, run: Run, followed: _Followed) -> list[Check]:
    plan, aliases = run.plan, await one_row(connection, _SQL.aliases, run.run)
    done = await total(connection, run)
    edges = _sum(
        await checksum(connection, _SQL.edges_brought, run.run),
        await checksum(connection, _SQL.edges_left_out, run.run, done.edges_left_out),
    )
    points = _sum(
        await checksum(connection, _SQL.points_brought, run.run, run.plan_hash[:32]),
        await checksum(connection, _SQL.points_left_out, run.run, done.points_left_out),
    )
    edges_now, points_now = await edges_here(connection, run.before), await points_here(connection, run.before)
    return [
        Check("codes_resolve", "every code of the source leads to its user", "0", str(followed.broken)),
        _none("codes_are_unique", "no code is two users'", await connection.fetchval(_SQL.repeated_codes)),
        _none("codes_are_there", "every living user has one", await connection.fetchval(_SQL.missing_codes, run.run)),
        Check(
            "aliases_grew", "every code that was replaced is an alias", str(aliases["wanted"]), str(aliases["found"])
        ),
        _same("edges_brought", "every referral of the source is stored", plan.edges, edges),
        _none("edges_planned", "no others bear its number", await connection.fetchval(_SQL.edges_invented, run.run)),
        _same("points_brought", "every balance of the source was credited", plan.points, points),
        _same(
            "edges_unchanged",
            "the referrals that were here are unchanged",
            plan.edges_here,
            edges_now,
        ),
        _same(
            "points_unchanged",
            "the points that were here are unchanged",
            plan.points_here,
            points_now,
        ),
    ]


async def total(connection: Connection, run: Run, phases: tuple[Phase, ...] = ("codes", "edges", "points")) -> Tally:
    """Return what the chunks of a run did, all together."""
    runs = BackfillRuns(connection)
    done = [await runs.done(run, phase) for phase in phases]
    return sum(chain.from_iterable(tallies.values() for tallies in done), Tally())


def _sum(brought: Checksum, excused: Checksum) -> Checksum:
    """Return the checksum of what was stored and of what had to give way to what is here."""
    return Checksum(brought.rows + excused.rows, str(int(brought.total) + int(excused.total)))


def _none(name: str, promise: str, found: int) -> Check:
    return Check(name, promise, "0", str(found))


def _same(name: str, promise: str, expected: Checksum, found: Checksum) -> Check:
    return Check(name, promise, *(f"{checksum.rows} rows, {checksum.total}" for checksum in (expected, found)))
