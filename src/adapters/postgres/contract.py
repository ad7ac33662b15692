"""The contract with the database: what has to hold before anything is served."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import asyncpg

from tallystick.adapters.postgres.connecting import explained
from tallystick.adapters.postgres.database import Connection, Database
from tallystick.adapters.postgres.migrating.migration_files import Migration, shipped
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.violations import GUARDS, RACES
from tallystick.application.ports import Clock, Metrics
from tallystick.application.readiness import Fault
from tallystick.application.transactions import TransactionAborted

_SQL = Statements.load("contract")

OLDEST_VERSION = 150000
LARGEST_CLOCK_DIFFERENCE_SECONDS = 30.0
MAY_UPDATE: frozenset[str] = frozenset(
    {
        *(
            f"users.{column}"
            for column in (
                "email",
                "email_key",
                "username",
                "display_name",
                "phone",
                "profile_at",
                "referrals",
                "deleted_at",
                "email_proved_at",
                "username_proved_at",
                "username_key",
                "erasing_since",
            )
        ),
        *(f"referral_codes.{column}" for column in ("is_canonical", "demoted_at", "retired_at")),
        "attribution_attempts.attempted_at",
        *(f"ledger_accounts.{column}" for column in ("balance", "version", "lifetime", "updated_at")),
        *(
            f"rating_slips.{column}"
            for column in (
                "average_bet",
                "state",
                "closed_at",
                "points",
                "completed_at",
                "correlation_id",
                "account_version",
            )
        ),
        *(f"pending_accruals.{column}" for column in ("cause", "tries", "last_tried_at")),
        *(f"rewards.{column}" for column in ("name", "description", "cost", "active")),
        *(f"invites.{column}" for column in ("current_uses", "revoked_at")),
        "credentials.password_hash",
        *(f"flags.{column}" for column in ("enabled", "updated_at", "updated_by")),
        *(f"backfill_runs.{column}" for column in ("state", "verification", "started_at", "finished_at")),
        *(
            f"legacy_users.{column}"
            for column in ("email", "email_key", "username", "username_key", "display_name", "phone")
        ),
        *(f"metadata_mirror.{column}" for column in ("code", "mirrored_at")),
        *(f"reply_totals.{column}" for column in ("replies", "bytes")),
        *(f"schedules.{column}" for column in ("leased_until", "last_done_at")),
    }
)
MAY_DELETE: frozenset[str] = frozenset(
    {
        "attribution_attempts",
        "webhook_deliveries",
        "idempotency_keys",
        "reply_totals",
        "pending_accruals",
        "metadata_mirror",
        "sessions",
    }
)
"""Tables and columns that may change or shrink; everything else is history, and the service may only add to it."""


_POWERS: Mapping[str, str] = {
    "is_superuser": "is a superuser or may become one",
    "is_owner": "owns the schema or the database, or may become their owner",
    "is_above_policies": "may bypass row level security",
    "may_create_roles": "may create roles",
    "may_replicate": "may replicate the database",
    "may_write_all": "may write every table or the server's files",
}
"""What a login must not have, in the order in which it is named: a superuser has every power below it, too."""


class DatabaseContract:
    """Answers why the service must not serve on this database; no fault means that it may."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        accepts_single_login: bool = False,
        migrations: Sequence[Migration] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._accepts_single_login = accepts_single_login
        self._migrations = list(migrations) if migrations is not None else shipped()
        self._metrics = metrics

    async def faults(self) -> list[Fault]:
        """Return what is not as it has to be."""
        return await self._ask(self._all)

    async def session_faults(self) -> list[Fault]:
        """Return what a pooler takes from a session: settings that were asked for, or prepared statements."""
        return [*await self._ask(self._session), *await self._ask(self._statements)]

    async def _ask(self, question: Callable[[Connection], Awaitable[list[Fault]]]) -> list[Fault]:
        try:
            async with self._database.connection() as connection:
                return await question(connection)
        except TransactionAborted as error:
            origin = error.__cause__ or error
            said = (
                "every connection of the pool is in use"
                if error.cause == "pool"
                else explained(origin, self._database.dsn)
            )
            return [Fault("connection", "the database cannot be reached", said)]
        except (
            TimeoutError,
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as error:
            state = getattr(error, "sqlstate", None) or type(error).__name__
            said = explained(error, self._database.dsn)
            return [Fault("connection", f"the database does not answer ({state})", said)]

    async def _all(self, connection: Connection) -> list[Fault]:
        return [
            *(Fault("server", reason) for reason in await _server(connection)),
            *(Fault("role", reason) for reason in await _role(connection)),
            *(Fault("login", reason) for reason in await self._login(connection)),
            *(Fault("clock", reason) for reason in await self._clocks(connection)),
            *(Fault("schema", reason) for reason in await self._schema(connection)),
        ]

    async def _login(self, connection: Connection) -> list[str]:
        return [] if self._accepts_single_login else await login_breaches(connection)

    async def _clocks(self, connection: Connection) -> list[str]:
        before = self._clock.now()
        theirs: datetime = await connection.fetchval(_SQL.clock)
        after = self._clock.now()
        ahead = (before + (after - before) / 2 - theirs).total_seconds()
        if self._metrics is not None:
            self._metrics.gauge("clock_difference_seconds", ahead)
        if abs(ahead) <= LARGEST_CLOCK_DIFFERENCE_SECONDS:
            return []
        where = "ahead of" if ahead > 0 else "behind"
        allowed = f"{LARGEST_CLOCK_DIFFERENCE_SECONDS:.0f} s are allowed: synchronise both"
        return [f"this machine's clock is {abs(ahead):.0f} s {where} the database's, {allowed}"]

    async def _session(self, connection: Connection) -> list[Fault]:
        wanted = self._database.session_settings
        rows = await connection.fetch(_SQL.session_settings, list(wanted))
        found = {row["name"]: row["setting"] for row in rows}
        dropped = sorted(name for name in found if found[name] != wanted[name])
        if not dropped:
            return []
        changes = ", ".join(f"{name} is {found[name] or 'empty'} and not {wanted[name]}" for name in dropped)
        return [
            Fault(
                "session",
                f"a pooler, or the login's own settings, changes what the service asks for: {changes}; give the login "
                "these values by ALTER ROLE ... SET, and restart the pooler, whose open connections keep the old ones",
            )
        ]

    async def _statements(self, connection: Connection) -> list[Fault]:
        await connection.fetchval(_SQL.clock)
        async with self._database.connection() as other, other.transaction():
            # A pooler in transaction mode gave this transaction the session that prepared the statement.
            await other.fetchval(_SQL.clock)
            await connection.fetchval(_SQL.clock)
        return []

    async def _schema(self, connection: Connection) -> list[str]:
        applied = await _applied(connection)
        wanted = {migration.version: migration.checksum for migration in self._migrations}
        breaches = []
        if missing := sorted(set(wanted) - set(applied)):
            breaches.append(f"migrations are missing: {', '.join(missing)}; run 'tallystick migrate'")
        if newer := sorted(set(applied) - set(wanted)):
            breaches.append(f"the database is newer than this version: {', '.join(newer)}")
        if changed := sorted(v for v in wanted if applied.get(v, wanted[v]) != wanted[v]):
            breaches.append(f"migrations differ from the ones that ran: {', '.join(changed)}")
        if breaches:
            return breaches
        names = {row["name"] for row in await connection.fetch(_SQL.constraints)}
        if lost := sorted((RACES | GUARDS) - names):
            breaches.append(f"constraints are missing: {', '.join(lost)}")
        if bare := sorted(row["name"] for row in await connection.fetch(_SQL.unguarded_tables)):
            breaches.append(f"row level security is not forced on: {', '.join(bare)}")
        for row in await connection.fetch(_SQL.privileges):
            table = row["table_name"]
            changeable = {f"{table}.{column}" for column in row["may_update"]} - MAY_UPDATE
            if row["may_truncate"] or changeable:
                breaches.append(f"the service may change what is history: {table}")
            elif row["may_delete"] and table not in MAY_DELETE:
                breaches.append(f"the service may delete what is history: {table}")
        return breaches


async def _applied(connection: Connection) -> dict[str, str]:
    try:
        return {row["version"]: row["checksum"] for row in await connection.fetch(_SQL.migrations)}
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return {}  # the first migration makes the schema, and lets the service in


async def _server(connection: Connection) -> list[str]:
    row = await connection.fetchrow(_SQL.server)
    if row is None:
        raise AssertionError("a SELECT without FROM returns a row")
    breaches = []
    if row["is_replica"] or row["is_read_only"]:
        breaches.append("the database is read-only")
    if row["version"] < OLDEST_VERSION:
        breaches.append("PostgreSQL 15 or newer is needed")
    breaches += [
        f"{setting} is off: acknowledged work could be lost"
        for setting in ("fsync", "synchronous_commit", "full_page_writes")
        if not row[setting]
    ]
    return breaches


async def _role(connection: Connection) -> list[str]:
    row = await connection.fetchrow(_SQL.role)
    if row is None or not row["is_service"]:
        return ["the service does not run as tallystick_app"]
    return ["the role tallystick_app stands above row level security"] if row["is_above_policies"] else []


async def login_breaches(connection: Connection) -> list[str]:
    """Return why the login itself has more power than the service needs, whatever role it speaks as now."""
    row = await connection.fetchrow(_SQL.login)
    if row is None:
        raise AssertionError("an aggregate without GROUP BY returns a row")
    powers = [said for power, said in _POWERS.items() if row[power]]
    if not powers:
        return []
    advice = (
        "connect as a login that is a member of tallystick_app and of nothing else, with the owner in "
        "DATABASE_DIRECT_URL, or set TALLYSTICK_SINGLE_LOGIN=accept"
    )
    return [f"the login of the service {powers[0]}: {advice}"]
