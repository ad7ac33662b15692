"""Exports in memory."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from tallystick.adapters.memory.tables import View
from tallystick.domain.exports import (
    EntryView,
    ExportedAlias,
    ExportedCode,
    ExportedEdge,
    ExportKind,
    ExportPosition,
    ExportRow,
    Exports,
)


class MemoryExports(Exports):
    """The tables of a view, sorted for each page."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def page(self, kind: ExportKind, *, after: ExportPosition, limit: int) -> list[ExportRow]:
        rows: Mapping[ExportKind, Callable[[], Iterator[ExportRow]]] = {
            "codes": self._codes,
            "aliases": self._aliases,
            "edges": self._edges,
            "entries": self._entries,
            # There are no backfills in memory.
            "conflicts": lambda: iter(()),
        }
        return sorted((row for row in rows[kind]() if row.position > after), key=lambda row: row.position)[:limit]

    def _codes(self) -> Iterator[ExportRow]:
        for held in self._view.codes.values():
            if held.is_canonical:
                yield ExportedCode(held.code, held.user_id, held.created_at, held.retired_at)

    def _aliases(self) -> Iterator[ExportRow]:
        for held in self._view.codes.values():
            demotion = self._view.demotions.get(held.code)
            if demotion is not None:
                demoted_at = datetime.fromtimestamp(demotion[0], UTC)
                yield ExportedAlias(held.user_id, held.code, held.created_at, demoted_at, held.retired_at)

    def _edges(self) -> Iterator[ExportRow]:
        for held in self._view.edges.values():
            yield ExportedEdge(held.invitee_id, held.inviter_id, held.code, held.created_at)

    def _entries(self) -> Iterator[ExportRow]:
        for held in self._view.entries.values():
            yield EntryView.of(held)
