"""Audit on PostgreSQL: each question reads a range of one index."""

from datetime import UTC, datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.audit import Place, Question
from tallystick.domain.ledger import Entry
from tallystick.domain.users import UserId

_SQL = Statements.load("audit")
_BEHIND_ALL = Place(datetime(9999, 12, 31, tzinfo=UTC), UserId("~"), 2**63 - 1)
"""No entry comes behind it."""


class PostgresAudit:
    """Rows of `ledger_entries`, those of points."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def entries(self, question: Question, *, before: Place | None, limit: int) -> list[Entry]:
        place = before if before is not None else _BEHIND_ALL
        if question.player_id is not None:
            statement, arguments = _of_one(question, question.player_id)
            rows = await self._connection.fetch(statement, *arguments, place.seq, limit)
        else:
            statement, arguments = _of_everybody(question)
            rows = await self._connection.fetch(statement, *arguments, *place, limit)
        return [Entry(*row) for row in rows]


def _of_one(question: Question, player_id: UserId) -> tuple[str, tuple[str | None, ...]]:
    """Return the statement whose index serves a question about one player: the most telling condition leads."""
    if question.correlation_id is not None:
        return _SQL.of_players_request, (player_id, question.correlation_id, question.staff_id, question.event_type)
    if question.staff_id is not None:
        return _SQL.of_players_staff, (player_id, question.staff_id, question.event_type)
    if question.event_type is not None:
        return _SQL.of_players_kind, (player_id, question.event_type)
    return _SQL.of_player, (player_id,)


def _of_everybody(question: Question) -> tuple[str, tuple[str | None, ...]]:
    if question.correlation_id is not None:
        return _SQL.of_request, (question.correlation_id, question.staff_id, question.event_type)
    if question.staff_id is not None:
        return _SQL.of_staff, (question.staff_id, question.event_type)
    if question.event_type is not None:
        return _SQL.of_kind, (question.event_type,)
    raise AssertionError("everything is asked for at once")
