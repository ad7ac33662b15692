"""Legacy users in another PostgreSQL: Supabase's `auth.users`, with the code in their metadata."""

import hashlib
from collections.abc import AsyncIterator, Mapping

import asyncpg
import msgspec

from tallystick.adapters.addresses import without_password
from tallystick.adapters.legacy.sources import BATCH
from tallystick.domain.legacy import NO_WORDS, AbsentWords, LegacyRecord, MalformedRecord, Value, read_record
from tallystick.domain.legacy_sources import LegacySource, MalformedLine, SourceBatch, SourceError

_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('auth.users') AND attnum > 0"

_IS_CONFIRMED = "coalesce(phone_confirmed_at > 'epoch', false)"


class SupabaseSource(LegacySource):
    """`auth.users` in one snapshot, in the order of ids; without users who are deleted there."""

    def __init__(self, dsn: str, metadata_field: str, absent: AbsentWords = NO_WORDS) -> None:
        self._dsn, self._metadata_field, self._absent = dsn, metadata_field, absent
        self._digest = hashlib.sha256()

    @property
    def name(self) -> str:
        return without_password(self._dsn)

    @property
    def ignored(self) -> list[str]:
        return []

    @property
    def fingerprint(self) -> str:
        return self._digest.hexdigest()

    async def batches(self) -> AsyncIterator[SourceBatch]:
        self._digest = hashlib.sha256()
        try:
            connection = await asyncpg.connect(
                self._dsn,
                timeout=10,
                statement_cache_size=0,
                server_settings={"application_name": "tallystick backfill", "TimeZone": "UTC", "DateStyle": "ISO"},
            )
        except (OSError, asyncpg.PostgresError) as error:
            raise SourceError(f"the source cannot be reached: {_named(error)}") from None
        except (ValueError, OverflowError, asyncpg.InterfaceError):
            raise SourceError(
                "the source is not an address such as postgresql://user:password@host:5432/database"
            ) from None
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                present = {row["attname"] for row in await connection.fetch(_COLUMNS)}
                if not {"id", "raw_user_meta_data"} <= present:
                    raise SourceError("the source has no table auth.users with id and raw_user_meta_data")
                query = _query(present)
                total = max(await connection.fetchval("SELECT count(*) FROM auth.users"), 1)
                cursor = await connection.cursor(query, self._metadata_field)
                line = 0
                while rows := await cursor.fetch(BATCH):
                    batch = self._batch(line, [dict(row.items()) for row in rows])
                    line += len(rows)
                    yield batch._replace(progress=min(line / total, 1.0))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise SourceError(f"the source cannot be read: {_named(error)}") from None
        finally:
            await connection.close(timeout=5)

    async def rehash(self) -> AsyncIterator[float]:
        async for batch in self.batches():
            yield batch.progress

    def _batch(self, line: int, rows: list[Mapping[str, Value]]) -> SourceBatch:
        records: list[LegacyRecord] = []
        malformed: list[MalformedLine] = []
        for number, fields in enumerate(rows, line + 1):
            self._digest.update(msgspec.json.encode(list(fields.values())))
            try:
                records.append(read_record(number, fields, self._absent))
            except MalformedRecord as error:
                malformed.append(MalformedLine(number, str(error)))
        return SourceBatch(records, malformed, 0.0)


def _query(present: set[str]) -> str:
    """Return the query of the users, with the columns that this version of the table has."""
    columns = [
        "id::text AS user_id",
        "raw_user_meta_data ->> $1 AS code",
        *(["created_at::text AS created_at"] if "created_at" in present else []),
        *(["email::text AS email"] if "email" in present else []),
        *(["phone::text AS phone"] if "phone" in present else []),
        # Go's zero time and the start of 1970 stand for "never".
        *([f"{_IS_CONFIRMED} AS phone_verified"] if "phone_confirmed_at" in present else []),
    ]
    living = " WHERE deleted_at IS NULL" if "deleted_at" in present else ""
    return f"SELECT {', '.join(columns)} FROM auth.users{living} ORDER BY id"  # noqa: S608  constants of this module


def _named(error: Exception) -> str:
    """Return the kind of an error; its text could repeat a row or a password."""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__
