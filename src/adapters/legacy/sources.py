"""Sources of legacy users: a file, or another PostgreSQL; read in batches, and recognised by what they hold."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from tallystick.domain.legacy import COLUMNS, Column, LegacyRecord

BATCH = 5_000
LONGEST_LINE = 65_536


class SourceError(Exception):
    """The source cannot be read at all; the message says why, and repeats nothing of it."""


class Malformed(NamedTuple):
    """A line that holds no record."""

    line: int
    reason: str


class Batch(NamedTuple):
    """Some lines of a source, in their order."""

    records: list[LegacyRecord]
    malformed: list[Malformed]
    progress: float
    """How much of the source has been read by now, from 0 to 1."""


class Source(Protocol):
    """Where legacy users come from."""

    @property
    def name(self) -> str:
        """What it is called in reports, and found by again; without a password."""

    @property
    def ignored(self) -> list[str]:
        """The columns that were met and are not used, as far as it was read."""

    @property
    def fingerprint(self) -> str:
        """A hash of all that was read: of the whole source when it was read to its end."""

    def batches(self) -> AsyncIterator[Batch]:
        """Read all of it from the start. SourceError where it cannot be read."""

    def rehash(self) -> AsyncIterator[float]:
        """Read all of it for its fingerprint alone, telling how much is done; SourceError as above."""


def read_mapping(pairs: tuple[str, ...]) -> dict[Column, str]:
    """Return by which name each column is found, from `column=name` pairs; ValueError says what is wrong."""
    names: dict[Column, str] = {column: column for column in COLUMNS}
    for pair in pairs:
        ours, _, theirs = pair.partition("=")
        known = next((column for column in COLUMNS if column == ours), None)
        if known is None or not theirs:
            raise ValueError(f"{pair!r}: column=name is needed, the columns are {', '.join(COLUMNS)}")
        names[known] = theirs
    return names
