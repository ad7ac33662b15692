"""Signals of changes: LISTEN on a separate connection, which bypasses a pooler where a direct URL is set."""

import asyncio
import contextlib

import asyncpg

from tallystick.adapters.postgres.database import SERVICE_ROLE, Database
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.telemetry.logs import logger
from tallystick.application.ports import ChangeSignal, Randomness, TopicSignal
from tallystick.application.transactions import StoreUnavailable

CHANNEL = "tallystick_topics"
"""The channel of NOTIFY for topics that have new events."""

_SQL = Statements.load("notifications")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 15.0


class ListenNotify(ChangeSignal):
    """Signals when its channel is notified, and when listening begins, because a notification may have been missed.

    Each heartbeat checks the connection, because a firewall may drop idle connections without notice.
    """

    def __init__(
        self,
        dsn: str,
        channel: str,
        randomness: Randomness,
        *,
        heartbeat_seconds: float = 15.0,
        patience_seconds: float = 5.0,
    ) -> None:
        self._dsn, self._channel, self._randomness = dsn, channel, randomness
        self._heartbeat_seconds, self._patience_seconds = heartbeat_seconds, patience_seconds
        self._notified = asyncio.Event()
        self._payloads: set[str] = set()

    async def listen(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                connection = await self._connect()
                pause = _FIRST_PAUSE_SECONDS
                await self._listen_until_lost(connection)
            except Exception as error:  # noqa: BLE001  after any error it reconnects; listeners poll meanwhile
                logger().warning("the signal is out of reach", error=error)
            await asyncio.sleep(pause * (0.5 + self._randomness.fraction()))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def wait(self) -> frozenset[str]:
        await self._notified.wait()
        self._notified.clear()
        payloads, self._payloads = frozenset(self._payloads), set()
        return payloads

    def _hear(self, payload: str) -> None:
        self._payloads.add(payload)
        self._notified.set()

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return a connection that listens to the channel."""
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            self._dsn,
            timeout=self._patience_seconds,
            command_timeout=self._patience_seconds,
            statement_cache_size=0,
            server_settings={"role": SERVICE_ROLE, "application_name": f"{self._channel} listener"},
        )
        try:
            await connection.add_listener(self._channel, lambda *said: self._hear(str(said[-1])))
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _listen_until_lost(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Listen until the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        self._hear("")
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._heartbeat_seconds):
                        await lost.wait()
                        return
                await connection.execute("SELECT 1")
        finally:
            connection.terminate()


class TopicNotifications(ListenNotify, TopicSignal):
    """Signals of topics, which a statement of its own sends: NOTIFY in a transaction that writes locks the database."""

    def __init__(self, dsn: str, database: Database, randomness: Randomness) -> None:
        super().__init__(dsn, CHANNEL, randomness)
        self._database = database

    async def notify(self, payload: str) -> None:
        async with self._database.connection() as connection:
            try:
                await connection.execute(_SQL.notify, self._channel, payload)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise StoreUnavailable("the notification was not sent") from error
