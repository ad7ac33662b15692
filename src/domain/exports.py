"""Exports: every row of a kind in the order of its key, for whoever takes the data elsewhere."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Literal, Protocol, TypeAlias

import msgspec

from tallystick.domain.codes import Code
from tallystick.domain.ledger import Entry, EventType, Unit
from tallystick.domain.users import UserId

ExportKind = Literal["codes", "aliases", "edges", "entries", "conflicts"]

ConflictReason = Literal["duplicate", "held"]
"""Why a code is not its claimant's: somebody else came first there, or it was somebody's here already."""

PageCursor: TypeAlias = tuple[str | int, ...]
"""Where a row stands: its key."""


class ExportRow(msgspec.Struct, frozen=True):
    """One row of an export. Its first fields are the key that rows are ordered by."""

    start: ClassVar[PageCursor] = ("",)
    """The place before all rows, as long as the key is."""

    @property
    def place(self) -> PageCursor:
        """Where the row stands."""
        return msgspec.structs.astuple(self)[: len(self.start)]


class ExportedCode(ExportRow, frozen=True):
    """The code that a user is shown by."""

    code: Code
    user_id: UserId
    created_at: datetime
    retired_at: datetime | None
    """When its user was deleted; from then on it resolves to nobody."""


class ExportedAlias(ExportRow, frozen=True):
    """An older code of a user, which resolves like the canonical one."""

    start: ClassVar[PageCursor] = ("", "")

    user_id: UserId
    code: Code
    created_at: datetime
    demoted_at: datetime
    retired_at: datetime | None
    """When its user was deleted; from then on it resolves to nobody."""


class ExportedEdge(ExportRow, frozen=True):
    """Who invited whom."""

    invitee_id: UserId
    inviter_id: UserId
    code: Code | None
    created_at: datetime


class EntryView(ExportRow, frozen=True):
    """One change of an account, as every route shows it."""

    start: ClassVar[PageCursor] = ("", "", 0)

    user_id: UserId
    unit: Unit
    seq: int
    amount: int
    balance_before: int
    balance_after: int
    event_type: EventType
    event_key: str
    reason: str | None
    staff_id: UserId | None
    tier_before: str | None
    tier_after: str | None
    correlation_id: str
    created_at: datetime

    @classmethod
    def of(cls, entry: Entry) -> "EntryView":
        """Return an entry as it is shown."""
        return cls(*(getattr(entry, name) for name in cls.__struct_fields__))


class ExportedConflict(ExportRow, frozen=True):
    """A code that a user brought along and did not keep: links with it lead to somebody else."""

    start: ClassVar[PageCursor] = ("", "")

    code: Code
    user_id: UserId
    kept_by: UserId
    reason: ConflictReason
    created_at: datetime


ROWS: Mapping[ExportKind, type[ExportRow]] = MappingProxyType(
    {
        "codes": ExportedCode,
        "aliases": ExportedAlias,
        "edges": ExportedEdge,
        "entries": EntryView,
        "conflicts": ExportedConflict,
    }
)
"""What the rows of each kind are; a new kind is a row here, and a statement of its name."""


class Exports(Protocol):
    """The rows of every kind, by their keys."""

    async def page(self, kind: ExportKind, *, after: PageCursor, limit: int) -> list[ExportRow]:
        """Return the first rows of a kind behind a place."""
