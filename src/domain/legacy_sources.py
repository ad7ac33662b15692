"""Sources of legacy users: read in batches of lines, and recognised by a hash of what they hold."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from tallystick.domain.legacy import LegacyRecord


class SourceError(Exception):
    """The source cannot be read at all; the message says why and repeats nothing of its contents."""


class MalformedLine(NamedTuple):
    """A line that holds no record."""

    line: int
    reason: str


class SourceBatch(NamedTuple):
    """Some lines of a source, in their order."""

    records: list[LegacyRecord]
    malformed: list[MalformedLine]
    progress: float
    """The share of the source that has been read, from 0 to 1."""


class LegacySource(Protocol):
    """A file or a database that holds legacy users."""

    @property
    def name(self) -> str:
        """The name that reports show and a later command opens again; without a password."""

    @property
    def ignored(self) -> list[str]:
        """The columns that were found and are not used, as far as the source has been read."""

    @property
    def fingerprint(self) -> str:
        """A hash of everything that was read: of the whole source once it was read to its end."""

    def batches(self) -> AsyncIterator[SourceBatch]:
        """Read the source from its start. SourceError where it cannot be read."""

    def rehash(self) -> AsyncIterator[float]:
        """Read the source for its fingerprint alone and yield the share that is done; SourceError as above."""
