"""Idempotent replies on PostgreSQL."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.stores.erasures import last_key
from tallystick.application.idempotency import (
    FingerprintKeys,
    IdempotencyKeys,
    KeyClaim,
    ReplyTotals,
    RequestKey,
    StoredReply,
)
from tallystick.application.transactions import WriteConflict
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.users import UserId

_SQL = Statements.load("idempotency")
_REQUESTS = "requests"


class PostgresIdempotencyKeys(IdempotencyKeys):
    """Rows of `idempotency_keys`, and an advisory lock on each key while its first request runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._totals: dict[UserId, ReplyTotals] = {}

    async def claim(self, keys: Sequence[RequestKey]) -> list[KeyClaim]:
        locks = await self._connection.fetch(_SQL.lock, [_lock_id(key) for key in keys])
        callers, names = [key.caller for key in keys], [key.key for key in keys]
        found = await self._connection.fetch(_SQL.find, callers, names)
        stored = {
            (row["caller"], row["key"]): StoredReply(row["fingerprint"], row["status"], row["body"])
            for row in found
            if row["status"] is not None
        }
        self._totals = {
            row["caller"]: ReplyTotals(row["replies"], row["bytes"]) for row in found if row["replies"] is not None
        }
        claims: list[KeyClaim] = []
        for key, lock in zip(keys, locks, strict=True):
            reply = stored.get((key.caller, key.key))
            claims.append(reply if reply is not None else "fresh" if lock["locked"] else "running")
        return claims

    async def totals(self, callers: Collection[UserId]) -> dict[UserId, ReplyTotals]:
        return {caller: self._totals[caller] for caller in callers if caller in self._totals}

    async def record(
        self, replies: Sequence[tuple[RequestKey, StoredReply]], bounds: UserBounds = DEFAULT_BOUNDS
    ) -> None:
        if replies:
            counted = await self._connection.fetchval(
                _SQL.record,
                [key.caller for key, _ in replies],
                [key.key for key, _ in replies],
                [reply.fingerprint for _, reply in replies],
                [reply.status for _, reply in replies],
                [reply.body for _, reply in replies],
                [key.at for key, _ in replies],
                bounds.replies,
                bounds.reply_bytes,
            )
            if counted != len({key.caller for key, _ in replies}):
                raise WriteConflict("reply_totals")

    async def forget(self, *, before: datetime, limit: int) -> int:
        return int(await self._connection.fetchval(_SQL.forget, before, limit))

    async def drop(self, caller: UserId, *, after: str, limit: int) -> str | None:
        return last_key(await self._connection.fetchrow(_SQL.drop_of, caller, after, limit), limit)


class PostgresFingerprintKeys(FingerprintKeys):
    """The row of `fingerprint_keys`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self) -> bytes | None:
        row = await self._connection.fetchrow(_SQL.fingerprint_key, _REQUESTS)
        return bytes(row["key"]) if row is not None else None

    async def keep(self, fresh: bytes, *, where_replies_are_stored: bytes) -> None:
        await self._connection.execute(_SQL.keep_fingerprint_key, _REQUESTS, fresh, where_replies_are_stored)


def _lock_id(key: RequestKey) -> int:
    """Return the id of a key's advisory lock; of two keys with the same id, one request is asked to repeat."""
    digest = hashlib.sha256(f"{key.caller}\x00{key.key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
