"""Wiring of the PostgreSQL store; only a process that uses it imports this module, and the driver with it."""

from collections.abc import AsyncIterator

from dishka import Provider, Scope, provide

from tallystick.adapters.identity.jwks import JwksCache
from tallystick.adapters.postgres.contract.database_contract import DatabaseContract
from tallystick.adapters.postgres.database import Database, PoolSettings
from tallystick.adapters.postgres.listen_notify import ListenNotify, TopicNotifications
from tallystick.adapters.postgres.stores.flags import CHANNEL
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.adapters.system import AgreedClock
from tallystick.adapters.telemetry.store_calls import MeasuredTransactions
from tallystick.application.ports import ChangeSignal, Metrics, Randomness, TopicSignal
from tallystick.application.reads import SlowReads
from tallystick.application.tracing import Tracer
from tallystick.application.transactions import Transactions
from tallystick.entrypoints.http.routes.operations import ReadinessProbe
from tallystick.entrypoints.settings import Settings

_SLOW_CONNECTIONS = 4
"""Beside the pool: for the report of invariants, for the scheduled look at them, and two for the pages of exports."""
_SLOW_STATEMENT_SECONDS = 60.0


class PostgresStore(Provider):
    """The stores on PostgreSQL."""

    scope = Scope.APP
    transactions = provide(PostgresTransactions, provides=Transactions)

    @provide
    async def database(self, settings: Settings, metrics: Metrics) -> AsyncIterator[Database]:
        pool = PoolSettings(size=settings.pool_size, cache_statements=settings.cache_statements == "on")
        database = Database(settings.database_url or "", pool)
        await database.open()
        _watch(database, metrics, "requests")
        yield database
        await database.close()

    @provide
    async def slow_reads(
        self, settings: Settings, randomness: Randomness, metrics: Metrics, tracer: Tracer
    ) -> AsyncIterator[SlowReads]:
        pool = PoolSettings(
            size=_SLOW_CONNECTIONS,
            statement_seconds=_SLOW_STATEMENT_SECONDS,
            cache_statements=settings.cache_statements == "on",
        )
        database = Database(settings.database_url or "", pool)
        await database.open()
        _watch(database, metrics, "slow reads")
        yield SlowReads(MeasuredTransactions(PostgresTransactions(database), metrics, tracer), randomness)
        await database.close()

    @provide
    def change_signal(self, settings: Settings, randomness: Randomness) -> ChangeSignal:
        return ListenNotify(settings.listen_url, CHANNEL, randomness)

    @provide
    def topic_signal(self, settings: Settings, database: Database, randomness: Randomness) -> TopicSignal:
        return TopicNotifications(settings.listen_url, database, randomness)

    @provide
    def probe(
        self, database: Database, clock: AgreedClock, settings: Settings, metrics: Metrics, published: JwksCache | None
    ) -> ReadinessProbe:
        contract = DatabaseContract(
            database,
            clock.machine,
            accepts_single_login=settings.single_login == "accept",
            metrics=metrics,
            compared=clock.compare,
        )
        checks = [contract.faults] if published is None else [contract.faults, published.faults]
        return ReadinessProbe(checks, clock, metrics)


def _watch(database: Database, metrics: Metrics, pool: str) -> None:
    metrics.watch("pool_connections_in_use", lambda: database.in_use, label=pool)
    metrics.watch("pool_connections_waiting", lambda: database.waiting, label=pool)
    metrics.watch("pool_connections_limit", lambda: database.limit, label=pool)
