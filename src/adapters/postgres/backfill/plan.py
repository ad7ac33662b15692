"""Planning a backfill: the source is read once, ruled by SQL, and kept as it was ruled."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import msgspec

from tallystick.adapters.legacy.sources import Batch, Source
from tallystick.adapters.postgres.backfill.checksums import checksum, edges_here, one_row, points_here
from tallystick.adapters.postgres.backfill.runs import (
    BackfillRuns,
    Connection,
    discard_unused,
    line_faults,
    only_runner,
    refresh_statistics,
    service_session,
)
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.backfill import LISTED, Contest, LineFaults, Options, Plan, Run, plan_hash, settled
from tallystick.domain.legacy import CodeState
from tallystick.domain.usernames import username_key
from tallystick.domain.users import email_key

_SQL = Statements.load("backfill_plan")

_TEXT = 'text COLLATE "C"'
_TOLD = f"""
    created_at timestamptz, email text, email_key {_TEXT}, username {_TEXT}, username_key {_TEXT},
    display_name text, phone text,
    phone_verified boolean, referred_by {_TEXT}, referred_code {_TEXT}, points bigint"""
STAGING = f"""
CREATE TEMP TABLE incoming (line bigint, user_id {_TEXT}, code {_TEXT}, {_TOLD});
CREATE TEMP TABLE ranked (LIKE incoming, age bigint, lines bigint);
CREATE TEMP TABLE people (
    position bigint, user_id {_TEXT}, {_TOLD}, is_here boolean,
    inviter_id {_TEXT}, inviter_code {_TEXT}, refusal text
);
CREATE TEMP TABLE claims (
    position bigint, code {_TEXT}, user_id {_TEXT}, is_canonical boolean, created_at timestamptz,
    claimed_at timestamptz, kept_by {_TEXT}
);
CREATE TEMP TABLE malformed (line bigint, reason text);
"""
Progress = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""

_READING = 0.6
"""The share of planning that reading takes, as progress shows it."""


class DuplicatesUnresolved(Exception):
    """Codes that several users claim, where nobody can tell who came first."""

    def __init__(self, contests: list[Contest], total: int) -> None:
        super().__init__(f"{total} claims on codes of several users have no created_at to tell who came first")
        self.contests, self.total = contests, total


class NothingReadable(Exception):
    """No line of the source holds a user; nothing was planned. `faults` are the reasons with their lines."""

    def __init__(self, faults: list[LineFaults]) -> None:
        super().__init__("no line of the source can be read" if faults else "the source holds no line about a user")
        self.faults = faults


class _Lines:
    """What was counted while the source was read."""

    def __init__(self) -> None:
        self.states: Counter[CodeState] = Counter()
        self.formless: list[int] = []
        self.absent_words: Counter[str] = Counter()
        self.lines, self.malformed, self.deleted, self.left_out = 0, 0, 0, 0

    def take(self, batch: Batch) -> list[tuple[object, ...]]:
        """Count a batch and return the rows of `incoming` of those who were not deleted there."""
        self.lines += len(batch.records) + len(batch.malformed)
        self.malformed += len(batch.malformed)
        rows: list[tuple[object, ...]] = []
        for record in batch.records:
            self.absent_words.update(record.absent_words)
            if record.is_deleted:
                self.deleted += 1
                continue
            self.states[record.code_state] += 1
            self.left_out += record.left_out
            if record.code_state == "formless" and len(self.formless) < LISTED:
                self.formless.append(record.line)
            email = record.email
            rows.append(
                (
                    record.line,
                    record.user_id,
                    record.code,
                    record.created_at,
                    email,
                    email_key(email) if email is not None else None,
                    record.username,
                    username_key(record.username) if record.username is not None else None,
                    record.display_name,
                    record.phone,
                    record.phone_verified,
                    record.referred_by,
                    record.referred_code,
                    record.points,
                )
            )
        return rows


class BackfillPlanning:
    """Reads a source and stores what moving in would do; nothing that is served changes."""

    def __init__(self, dsn: str, now: Callable[[], datetime]) -> None:
        self._dsn, self._now = dsn, now

    async def __call__(self, source: Source, options: Options, progress: Progress) -> Run:
        """Return the stored plan; the same one where nothing has changed since.

        SourceError, NothingReadable, DuplicatesUnresolved or RunnerBusy.
        """
        async with service_session(self._dsn) as connection, only_runner(connection):
            await connection.execute(STAGING)
            lines = await _load(connection, source, progress)
            if lines.malformed == lines.lines:
                raise NothingReadable(line_faults(await connection.fetch(_SQL.faults)))
            await refresh_statistics(self._dsn, of="served")
            async with connection.transaction():
                run = await self._rule(connection, source, options, lines, progress)
            await refresh_statistics(self._dsn, of="staged")
            progress(1.0)
            return run

    async def _rule(
        self, connection: Connection, source: Source, options: Options, lines: _Lines, progress: Progress
    ) -> Run:
        steps = {"ranked": _SQL.rank, "people": _SQL.gather, "claims": _SQL.claim}
        for number, (table, statement) in enumerate(steps.items(), 1):
            await connection.execute(statement)
            await connection.execute(f"ANALYZE pg_temp.{table}")
            progress(_READING + 0.08 * number)
        unresolved = await connection.fetch(_SQL.unresolved, LISTED)
        if unresolved:
            contests = [Contest(row["code"], row["user_id"], row["claimed_at"]) for row in unresolved]
            raise DuplicatesUnresolved(contests, unresolved[0]["total"])
        await connection.execute(_SQL.contest)
        await connection.execute(_SQL.refer, options.referred_by)
        await connection.execute(_SQL.break_cycles)
        await connection.execute(_SQL.share_out_emails)
        await connection.execute(_SQL.share_out_usernames)
        progress(_READING + 0.3)
        runs, planned_at = BackfillRuns(connection), self._now()
        attempt = 1 + await runs.rolled_back()
        plan = await _plan(connection, source, options, lines, attempt=attempt, before=settled(planned_at))
        known = await runs.same(plan_hash(plan))
        if known is not None:
            return known
        await discard_unused(self._dsn)
        run = Run(await connection.fetchval(_SQL.next_run), plan_hash(plan), "planned", plan, planned_at, None, None)
        encoded = msgspec.json.encode(plan).decode()
        await connection.execute(_SQL.record_run, run.run, run.plan_hash, plan.source_hash, encoded, planned_at)
        await connection.execute(_SQL.record_users, run.run)
        progress(_READING + 0.35)
        await connection.execute(_SQL.record_codes, run.run)
        await connection.execute(_SQL.record_malformed, run.run)
        return run


async def _load(connection: Connection, source: Source, progress: Progress) -> _Lines:
    lines = _Lines()
    async for batch in source.batches():
        rows = lines.take(batch)
        await connection.copy_records_to_table("incoming", records=rows, schema_name="pg_temp")
        if batch.malformed:
            await connection.copy_records_to_table("malformed", records=batch.malformed, schema_name="pg_temp")
        progress(batch.progress * _READING)
    await connection.execute("ANALYZE pg_temp.incoming")
    return lines


async def _plan(
    connection: Connection, source: Source, options: Options, lines: _Lines, *, attempt: int, before: datetime
) -> Plan:
    people, claims = await one_row(connection, _SQL.count_people), await one_row(connection, _SQL.count_claims)
    refusals = {row["refusal"]: row["users"] for row in await connection.fetch(_SQL.count_refusals)}
    states = lines.states
    return Plan(
        source=source.name,
        source_hash=source.fingerprint,
        options=options,
        ignored_columns=source.ignored[:LISTED],
        attempt=attempt,
        lines=lines.lines,
        malformed=lines.malformed,
        deleted_there=lines.deleted,
        fields_left_out=lines.left_out,
        absent_words=dict(lines.absent_words),
        users=people["users"],
        users_here=people["users_here"],
        deleted_here=await connection.fetchval(_SQL.count_deleted_here),
        with_code_here=people["with_code_here"],
        codes=claims["codes"],
        missing=states["missing"] + states["formless"],
        empty=states["empty"],
        formless=states["formless"],
        formless_lines=lines.formless,
        changed=states["changed"],
        duplicate_codes=claims["duplicate_codes"],
        duplicate_users=claims["duplicate_users"],
        kept=claims["kept"],
        reminted=claims["reminted"],
        minted=people["users"] - people["with_code_here"] - claims["kept"] - claims["reminted"],
        aliases=claims["aliases"],
        held_here=claims["held_here"],
        edges=await checksum(connection, _SQL.sum_edges),
        edges_left_out=refusals,
        points=await checksum(connection, _SQL.sum_points),
        points_total=people["points_total"],
        claims=await checksum(connection, _SQL.sum_claims),
        edges_here=await edges_here(connection, before),
        points_here=await points_here(connection, before),
    )
