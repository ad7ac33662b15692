"""Passes: how far the looks at each promise have come through its rows."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from tallystick.application.invariants import CountedPart


class Pass(msgspec.Struct, frozen=True):
    """A walk through all rows of a promise, over as many looks as it takes, and the result of the one before it."""

    promise: str
    began_at: datetime
    after: str = ""
    """The rows up to this key were counted; empty before the first part."""
    violations: int = 0
    skipped: int = 0
    """The parts that took too long, and were not counted."""
    last_began_at: datetime | None = None
    last_violations: int = 0
    last_skipped: int = 0

    @property
    def is_at_start(self) -> bool:
        """Return whether no part was counted."""
        return not self.after

    def begun(self, now: datetime) -> "Pass":
        """Return the pass as it begins."""
        return msgspec.structs.replace(self, began_at=now)

    def with_part(self, part: CountedPart) -> "Pass":
        """Return the pass after one more part; after the last one, the next pass at its start."""
        violations = self.violations + (part.violations or 0)
        skipped = self.skipped + (part.violations is None)
        if part.up_to is None:
            return Pass(self.promise, self.began_at, "", 0, 0, self.began_at, violations, skipped)
        return msgspec.structs.replace(self, after=part.up_to, violations=violations, skipped=skipped)

    def reset(self, at: datetime) -> "Pass":
        """Return a pass at its start that knows nothing; it never begins when this one began."""
        return Pass(self.promise, max(at, self.began_at + timedelta(microseconds=1)))

    @property
    def found(self) -> int | None:
        """Return the rows that are known to break the promise; None where none is known, and parts were skipped.

        Those of the pass before this one count until this one has ended: it may not have reached them yet.
        """
        violations = max(self.violations, self.last_violations)
        return None if not violations and self.skipped + self.last_skipped else violations

    @property
    def covered_since(self) -> datetime:
        """Return the time since which every row was looked at; the beginning of the first pass while it runs."""
        return self.last_began_at or self.began_at


class InvariantPasses(Protocol):
    """The passes, by promise."""

    async def all(self) -> Mapping[str, Pass]:
        """Return the passes that were ever begun."""

    async def put(self, current: Pass, *, instead_of: datetime) -> bool:
        """Store how far a pass has come; False where it was reset since the pass that began at that time was read."""

    async def reset(self, promise: str, *, at: datetime) -> None:
        """Forget what the passes of a promise found: the next look begins anew."""
