"""The session of a command: settings, database, pool and use cases, opened once for all commands, and how they fail."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeVar

import asyncpg
import rich_click as click

from tallystick.adapters.addresses import without_password
from tallystick.adapters.embedded.cluster import ClusterError
from tallystick.adapters.embedded.unprivileged import NoUnprivilegedUser
from tallystick.adapters.postgres.backfill.sessions import PostgresBackfillDatabase
from tallystick.adapters.postgres.backups.programs import BackupError
from tallystick.adapters.postgres.connecting import Unreachable
from tallystick.adapters.postgres.database import Database, PoolSettings
from tallystick.adapters.postgres.diagnoses import Diagnoses
from tallystick.adapters.postgres.freezing import AccountFreezing
from tallystick.adapters.postgres.migrating.migrator import MigrationRefused
from tallystick.adapters.postgres.operator_actions import Operator
from tallystick.adapters.postgres.reconciliation import InviteReconciliation
from tallystick.adapters.postgres.repairs import PostgresRepairs
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.adapters.system import SystemClock, SystemRandomness
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.backfill import ApplyBackfill
from tallystick.application.backfill_planning import PlanBackfill
from tallystick.application.backfill_ports import BackfillRefused
from tallystick.application.backfill_rollback import RollBackBackfill
from tallystick.application.backfill_verification import VerifyBackfill
from tallystick.application.codes import Mint, MintCodes
from tallystick.application.deletion import Deleted, DeleteUsers, Deletion
from tallystick.application.erasures import EraseTraces
from tallystick.application.exports import ReadExport
from tallystick.application.flags import FollowedFlags, SwitchFlags
from tallystick.application.group_commit import Batch, C, GroupCommit, R
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.legacy_metadata import AdoptLegacyUsers
from tallystick.application.pending_accruals import RecoverAccruals, Recovery
from tallystick.application.points import Accrued, Points
from tallystick.application.reads import Reads, SlowReads, run_with_retries
from tallystick.application.reconciliation import ReconcileMetadata
from tallystick.application.transactions import StoreFailure
from tallystick.domain.codes import Code, draw_candidates
from tallystick.domain.flags import FlagState, Switch
from tallystick.domain.ledger import EventKey
from tallystick.domain.legacy_sources import SourceError
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserId
from tallystick.entrypoints.cli.embedded import running_database
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.migrate import refuse_pending
from tallystick.entrypoints.cli.operator import operator_name
from tallystick.entrypoints.settings import Settings, SettingsError, load

T = TypeVar("T")

FAILURES: tuple[tuple[type[BaseException], ExitStatus], ...] = (
    (KeyboardInterrupt, ExitStatus.INTERRUPTED),
    (click.Abort, ExitStatus.INTERRUPTED),
    (SettingsError, ExitStatus.WRONG),
    # The database: not started, not reachable, not migrated, lost, or it refuses a statement.
    (ClusterError, ExitStatus.NO),
    (NoUnprivilegedUser, ExitStatus.NO),
    (Unreachable, ExitStatus.NO),
    (MigrationRefused, ExitStatus.NO),
    (BackupError, ExitStatus.NO),
    (OSError, ExitStatus.NO),
    (asyncpg.PostgresError, ExitStatus.NO),
    (asyncpg.InterfaceError, ExitStatus.NO),
    (StoreFailure, ExitStatus.NO),
    # The use case: it refuses the command, or its source cannot be read.
    (Failure, ExitStatus.NO),
    (BackfillRefused, ExitStatus.NO),
    (SourceError, ExitStatus.NO),
)
"""Every failure that a command foresees, and its exit status. Any other exception is a bug, and shows its traceback."""

_COMMAND_CONNECTIONS = 2
_BATCH_USERS = 100
_RANDOMNESS = SystemRandomness()


def status_of(error: BaseException) -> ExitStatus | None:
    """Return the exit status of a foreseen failure; None for a bug, and for a reader who closed the pipe."""
    if isinstance(error, BrokenPipeError):
        return None
    return next((status for kind, status in FAILURES if isinstance(error, kind)), None)


def sentence_of(error: BaseException) -> str:
    """Return a failure as one sentence, without the rows that the details of a PostgreSQL error repeat."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "stopped; completed work is kept, and the same command continues there or starts again"
    sqlstate = getattr(error, "sqlstate", None)
    message = f"{error.args[0]} (SQLSTATE {sqlstate})" if sqlstate is not None else str(error)
    return message or type(error).__name__


def run(work: Callable[["Session"], Awaitable[T]]) -> T:
    """Open a session by the settings of the environment, do the work in it, and return its result."""
    with running_database(load()) as settings:
        return asyncio.run(_run(settings, work))


async def _run(settings: Settings, work: Callable[["Session"], Awaitable[T]]) -> T:
    await refuse_pending(settings)
    async with AsyncExitStack() as stack:
        return await work(Session(settings, stack))


def pool_of(settings: Settings, *, statement_seconds: float = PoolSettings().statement_seconds) -> PoolSettings:
    """Return the pool of a command: as small as possible, and fit for the pooler that the settings describe."""
    is_caching = settings.cache_statements == "on"
    return PoolSettings(_COMMAND_CONNECTIONS, statement_seconds=statement_seconds, cache_statements=is_caching)


def database_name(settings: Settings) -> str:
    """Return the database that a command changes, without its password, for the person who has to confirm it."""
    if settings.is_embedded:
        return f"the embedded database in {settings.data_dir}"
    return without_password(settings.direct_url)


class ServiceUseCases:
    """The use cases that commands run with the rights of the service, on one pool."""

    def __init__(self, settings: Settings, transactions: PostgresTransactions) -> None:
        self._clock, self._randomness, self._metrics = SystemClock(), _RANDOMNESS, PrometheusMetrics()
        self._transactions, self._settings = transactions, settings
        self.pins = settings.flags
        self.reads = Reads(transactions, self._randomness)
        self.slow_reads = SlowReads(transactions, self._randomness)
        self.read_export = ReadExport(self.reads)
        self.reconcile_metadata = ReconcileMetadata(
            transactions, self._clock, self._randomness, self._metrics, draw_code_candidates
        )

    async def delete(self, user_id: UserId) -> Deleted:
        """Delete a user and erase all their rows, as the server does: again where the connection was lost."""
        erase_traces = EraseTraces(self._transactions, self._randomness)
        delete_users = self._group_commit(DeleteUsers(self._transactions, erase_traces), "delete_users")
        deleted = await delete_users(Deletion(user_id, self._clock.now()))
        await run_with_retries(lambda: erase_traces(user_id, self._clock.now()), self._randomness)
        return deleted

    async def mint(self, user_ids: Sequence[UserId]) -> None:
        """Give users their first code. A code that is not mirrored now is mirrored by the nightly reconciliation."""
        flags = FollowedFlags(self._transactions, self.pins)
        await flags.refresh()
        mint_codes = MintCodes(
            self._transactions, self._clock, self._metrics, AdoptLegacyUsers(flags, self._metrics), lambda _: None
        )
        now = self._clock.now()
        for start in range(0, len(user_ids), _BATCH_USERS):
            batch = [Mint(user_id, draw_code_candidates(), now) for user_id in user_ids[start : start + _BATCH_USERS]]
            await run_with_retries(partial(mint_codes, batch), self._randomness)

    async def recover(self, event: EventKey) -> Accrued | Failure | Replayed:
        """Credit the points of an event that wait."""
        flags = FollowedFlags(self._transactions, self.pins)
        await flags.refresh()
        points = Points(self._settings.tiers, flags, self._settings.referral_rules)
        recover = RecoverAccruals(self._transactions, points, self._metrics, AnswerOnce(lambda _outcome, _key: None))
        command = Keyed(Recovery(event, self._clock.now()))
        (outcome,) = await run_with_retries(lambda: recover([command]), self._randomness)
        return outcome

    async def switch(self, wanted: Switch) -> FlagState:
        """Switch a flag."""
        followed, once = FollowedFlags(self._transactions, self.pins), AnswerOnce(lambda _outcome, _key: None)
        switch_flags = self._group_commit(SwitchFlags(self._transactions, followed, once), "switch_flags")
        return await switch_flags(Keyed(wanted))

    def _group_commit(self, batch: Batch[C, R], name: str) -> GroupCommit[C, R]:
        """Return a use case for the one command of this process, run again as the server runs it."""
        return GroupCommit(
            batch,
            key=lambda _: 0,
            clock=self._clock,
            randomness=self._randomness,
            metrics=self._metrics,
            name=name,
        )


class Session:
    """A database that runs and is migrated, and the use cases on it; both are closed with the command."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self.settings, self._stack = settings, stack
        self.clock = SystemClock()
        self.database_name = database_name(settings)
        self.freezing = AccountFreezing(settings.direct_url)
        self.invite_reconciliation = InviteReconciliation(settings.direct_url)
        self.repairs = PostgresRepairs(settings.direct_url)
        self.diagnoses = Diagnoses(settings.direct_url)
        self.backfills = PostgresBackfillDatabase(settings.direct_url)
        self.plan_backfill = PlanBackfill(self.backfills, self.clock)
        self.apply_backfill = ApplyBackfill(
            self.backfills, self.clock, draw_code_candidates, settings.tiers, settings.referral_rules
        )
        self.verify_backfill = VerifyBackfill(self.backfills, self.clock)
        self.roll_back_backfill = RollBackBackfill(self.backfills, self.clock, draw_code_candidates)

    def operator(self) -> Operator:
        """Return the person who runs this command, for the audit."""
        return Operator(operator_name(), self.clock.now(), _RANDOMNESS.bytes)

    async def as_service(self, *, statement_seconds: float = PoolSettings().statement_seconds) -> ServiceUseCases:
        """Open a pool past any pooler, which may drop the time-out of a statement, and return the use cases on it."""
        database = Database(self.settings.direct_url, pool_of(self.settings, statement_seconds=statement_seconds))
        self._stack.push_async_callback(database.close)
        await database.open()
        await database.enter()
        return ServiceUseCases(self.settings, PostgresTransactions(database))


def draw_code_candidates() -> tuple[Code, ...]:
    """Draw the candidates for one mint."""
    return draw_candidates(_RANDOMNESS.bytes)
