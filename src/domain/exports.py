"""Exports: every row of a kind in the order of its key, for a move to another system."""

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
"""Why a claimant did not get a code: another user had it first in the source, or had it here already."""

ExportPosition: TypeAlias = tuple[str | int, ...]
"""The position of a row in an export: its key."""


class ExportRow(msgspec.Struct, frozen=True):
    """One row of an export. Its first fields are the key that rows are ordered by."""

    start: ClassVar[ExportPosition] = ("",)
    """The position before all rows, with as many parts as the key."""

    @property
    def position(self) -> ExportPosition:
        """The position of the row."""
        return msgspec.structs.astuple(self)[: len(self.start)]


class ExportedCode(ExportRow, frozen=True):
    """The canonical code of a user."""

    code: Code
    user_id: UserId
    created_at: datetime
    retired_at: datetime | None
    """The time when its user was deleted; from then on the code does not resolve."""


class ExportedAlias(ExportRow, frozen=True):
    """An older code of a user, which resolves like the canonical one."""

    start: ClassVar[ExportPosition] = ("", "")

    user_id: UserId
    code: Code
    created_at: datetime
    demoted_at: datetime
    retired_at: datetime | None
    """The time when its user was deleted; from then on the code does not resolve."""


class ExportedEdge(ExportRow, frozen=True):
    """Inviter and invitee."""

    invitee_id: UserId
    inviter_id: UserId
    code: Code | None
    created_at: datetime


class EntryView(ExportRow, frozen=True):
    """One change of an account, as every route shows it."""

    start: ClassVar[ExportPosition] = ("", "", 0)

    user_id: UserId
    unit: Unit
    seq: int
    """The number of the entry in its account, without gaps, from 1."""
    amount: int
    balance_before: int
    balance_after: int
    event_type: EventType
    event_key: str
    """The key of the event among events of its type."""
    reason: str | None
    """A sentence about why; null if there is none."""
    staff_id: UserId | None
    tier_before: str | None
    tier_after: str | None
    correlation_id: str
    created_at: datetime
    """The time of the change."""

    @classmethod
    def of(cls, entry: Entry) -> "EntryView":
        """Return an entry as it is shown."""
        return cls(*(getattr(entry, name) for name in cls.__struct_fields__))


class ExportedConflict(ExportRow, frozen=True):
    """An imported code that a user did not keep: links with it lead to another user."""

    start: ClassVar[ExportPosition] = ("", "")

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
"""The row of each kind. A new kind needs a line here and a statement of its name."""


class Exports(Protocol):
    """The rows of every kind, by their keys."""

    async def page(self, kind: ExportKind, *, after: ExportPosition, limit: int) -> list[ExportRow]:
        """Return the first rows of a kind after a position."""
