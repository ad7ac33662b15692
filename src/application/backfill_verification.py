"""Verifying a backfill: follow every code of the source as the resolver does, and count every promise."""

from tallystick.application.backfill_chunks import Progress, SourceChanged, find_run, tally_of
from tallystick.application.backfill_ports import BackfillDatabase, BackfillRefused, ImportChecks, ImportCounts
from tallystick.application.ports import Clock
from tallystick.domain.backfill import LISTED, Check, Checksum, Plan, Run, VerificationReport
from tallystick.domain.codes import Code
from tallystick.domain.legacy_sources import LegacySource, SourceBatch
from tallystick.domain.users import UserId

_FOLLOWING = 0.8
"""The share of a verification that following the codes takes, as progress shows it."""


class _FollowedCodes:
    """The users to whom the codes of the source lead."""

    def __init__(self) -> None:
        self.codes, self.conflicts, self.deleted, self.broken = 0, 0, 0, 0
        self.broken_lines: list[int] = []

    async def follow(self, checks: ImportChecks, batch: SourceBatch) -> None:
        """Look up the user of each code of a batch, and why it may be another one."""
        claims = {record.line: (record.code, record.user_id) for record in batch.records if not record.is_deleted}
        asked = {line: (code, user_id) for line, (code, user_id) in claims.items() if code is not None}
        if not asked:
            return
        self.codes += len(asked)
        owners = await checks.owners({code for code, _ in asked.values()})
        astray = {line: claim for line, claim in asked.items() if owners.get(claim[0]) != claim[1]}
        if astray:
            await self._excuse(checks, astray)

    async def _excuse(self, checks: ImportChecks, astray: dict[int, tuple[Code, UserId]]) -> None:
        excuses = await checks.excuses(astray.values())
        for line, claim in astray.items():
            excuse = excuses.get(claim)
            if excuse is None:
                self.broken += 1
                self.broken_lines += [line] if len(self.broken_lines) < LISTED else []
            elif excuse.is_deleted:
                self.deleted += 1
            else:
                self.conflicts += 1


class VerifyBackfill:
    """Prove an applied run against its source and against what was here before; only the report is stored."""

    def __init__(self, database: BackfillDatabase, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def __call__(self, run: Run, source: LegacySource, progress: Progress) -> VerificationReport:
        """Return the report, and keep it with the run.

        SourceError; SourceChanged; BackfillRefused where the run is not applied.
        """
        async with self._database.session() as session, session.reading() as stores:
            run = await find_run(stores.runs, run.plan_hash)
            if run.state != "applied":
                raise BackfillRefused(f"this run is {run.state}; there is something to verify when it is applied")
            followed = _FollowedCodes()
            async for batch in source.batches():
                await followed.follow(stores.checks, batch)
                progress(batch.progress * _FOLLOWING)
            if source.fingerprint != run.plan.source_hash:
                raise SourceChanged
            await self._database.refresh_statistics("served")
            counts = await stores.checks.count(run, await tally_of(stores, run))
            checks = _checks(run.plan, counts, broken=followed.broken)
            report = VerificationReport(
                plan_hash=run.plan_hash,
                verified_at=self._clock.now(),
                holds=all(check.holds for check in checks),
                checks=checks,
                codes=followed.codes,
                conflicts=followed.conflicts,
                deleted=followed.deleted,
                broken_lines=followed.broken_lines,
            )
            await stores.runs.record_verification(run, report)
        progress(1.0)
        return report


def _checks(plan: Plan, counts: ImportCounts, *, broken: int) -> list[Check]:
    wanted, found = str(counts.aliases_wanted), str(counts.aliases_found)
    return [
        _none("codes_resolve", "every code of the source leads to its user", broken),
        _none("codes_are_unique", "no code is two users'", counts.repeated_codes),
        _none("codes_are_there", "every living user has one", counts.missing_codes),
        Check("aliases_grew", "every code that was replaced is an alias", wanted, found),
        _same("edges_brought", "every referral of the source is stored", plan.edges, counts.edges),
        _none("edges_planned", "no others bear its number", counts.edges_invented),
        _same("points_brought", "every balance of the source was credited", plan.points, counts.points),
        _same("edges_unchanged", "the referrals that were here are unchanged", plan.edges_here, counts.edges_here),
        _same("points_unchanged", "the points that were here are unchanged", plan.points_here, counts.points_here),
    ]


def _none(name: str, promise: str, found: int) -> Check:
    return Check(name, promise, "0", str(found))


def _same(name: str, promise: str, expected: Checksum, found: Checksum) -> Check:
    return Check(name, promise, *(f"{checksum.rows} rows, {checksum.total}" for checksum in (expected, found)))
