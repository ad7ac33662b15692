"""Audit on PostgreSQL: each query reads a range of one index."""

from datetime import UTC, datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.audit import Audit, AuditQuery, PageCursor
from tallystick.domain.ledger import Entry
from tallystick.domain.users import UserId

_SQL = Statements.load("audit")
_AFTER_ALL = PageCursor(datetime(9999, 12, 31, tzinfo=UTC), UserId("~"), 2**63 - 1)
"""A cursor after all entries."""


class PostgresAudit(Audit):
    """Rows of `ledger_entries` with unit points."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def entries(self, query: AuditQuery, *, before: PageCursor | None, limit: int) -> list[Entry]:
        cursor = before if before is not None else _AFTER_ALL
        if query.player_id is not None:
            statement, arguments = _about_one_player(query, query.player_id)
            rows = await self._connection.fetch(statement, *arguments, cursor.seq, limit)
        else:
            statement, arguments = _about_all_players(query)
            rows = await self._connection.fetch(statement, *arguments, *cursor, limit)
        return [Entry(*row) for row in rows]


def _about_one_player(query: AuditQuery, player_id: UserId) -> tuple[str, tuple[str | None, ...]]:
    """Return the statement for a query about one player: the most selective condition decides which index it uses."""
    if query.correlation_id is not None:
        return _SQL.of_players_request, (player_id, query.correlation_id, query.staff_id, query.event_type)
    if query.staff_id is not None:
        return _SQL.of_players_staff, (player_id, query.staff_id, query.event_type)
    if query.event_type is not None:
        return _SQL.of_players_kind, (player_id, query.event_type)
    return _SQL.of_player, (player_id,)


def _about_all_players(query: AuditQuery) -> tuple[str, tuple[str | None, ...]]:
    if query.correlation_id is not None:
        return _SQL.of_request, (query.correlation_id, query.staff_id, query.event_type)
    if query.staff_id is not None:
        return _SQL.of_staff, (query.staff_id, query.event_type)
    if query.event_type is not None:
        return _SQL.of_kind, (query.event_type,)
    raise AssertionError("an audit query has no condition")
