"""Ports of a backfill: sessions on its database, its runs, and the set-based work of planning, import and removal.

Every port here belongs to one session. Work on a chunk is set-based: no row of it passes through the application,
except for what the application decides.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

import msgspec

from tallystick.application.transactions import Stores
from tallystick.domain.backfill import (
    Checksum,
    Chunk,
    Contest,
    LineFaults,
    Phase,
    Plan,
    ReferredBy,
    Run,
    RunState,
    Tally,
    VerificationReport,
)
from tallystick.domain.codes import Code
from tallystick.domain.legacy import LegacyRecord
from tallystick.domain.legacy_sources import MalformedLine
from tallystick.domain.users import UserId


class BackfillRefused(Exception):
    """The command cannot be carried out now; the message says why, and which command would be right."""


class RunnerBusy(BackfillRefused):
    """Another process plans, applies or rolls back on this database."""

    def __init__(self) -> None:
        super().__init__("another backfill runs on this database; wait for it, or stop it first")


class MalformedLines(NamedTuple):
    """The lines of a source that could not be read."""

    first: list[MalformedLine]
    """The first lines, each with its reason."""
    faults: list[LineFaults]
    """All lines by their reason, the most frequent reason first."""


class BackfillRuns(Protocol):
    """Plans, and the state of each."""

    async def starting_with(self, plan_hash: str) -> list[Run]:
        """Return at most two runs whose hash starts like this."""

    async def all(self) -> list[Run]:
        """Return every run, the newest first."""

    async def unfinished(self) -> Run | None:
        """Return the run that is being applied or rolled back."""

    async def later(self, run: Run) -> Run | None:
        """Return a later run that was begun and imported some of the same users."""

    async def rolled_back(self) -> int:
        """Count the runs that were rolled back."""

    async def lock_state(self, run: Run) -> RunState:
        """Return the state of a run, and lock it until the transaction ends, so that a change of the state waits."""

    async def change_state(self, run: Run, state: RunState, at: datetime) -> None:
        """Store the state of a run."""

    async def malformed(self, run: Run) -> MalformedLines:
        """Return the lines of a run's source that could not be read."""

    async def record_verification(self, run: Run, report: VerificationReport) -> None:
        """Keep the report of a verification with its run."""


class BackfillChunks(Protocol):
    """The chunks of runs that are committed."""

    async def done(self, run: Run, phase: Phase) -> dict[int, Tally]:
        """Return the chunks of a phase by their number, with what each did."""

    async def record(self, run: Run, phase: Phase, number: int, tally: Tally, at: datetime) -> None:
        """Store that this transaction does a chunk. RunnerBusy where another process has done it."""


class StagedCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of staged users and codes; the fields of Plan describe each number."""

    users: int
    users_here: int
    deleted_here: int
    with_code_here: int
    codes: int
    duplicate_codes: int
    duplicate_users: int
    kept: int
    reminted: int
    aliases: int
    held_here: int
    edges: Checksum
    edges_left_out: dict[str, int]
    points: Checksum
    points_total: int
    claims: Checksum
    edges_here: Checksum
    points_here: Checksum


class StagedLines(Protocol):
    """The lines of a source in temporary tables of the session, and the decisions about them."""

    async def create(self) -> None:
        """Create the empty tables."""

    async def add(self, records: Sequence[LegacyRecord], malformed: Sequence[MalformedLine]) -> None:
        """Add lines."""

    async def finish(self) -> None:
        """Refresh the statistics of the lines: all have been added."""

    async def faults(self) -> list[LineFaults]:
        """Return the malformed lines by their reason, the most frequent reason first."""

    async def rank(self) -> None:
        """Order the lines of each user by age."""

    async def merge(self) -> None:
        """Make one user of all lines of a user, without those who were deleted here."""

    async def claim(self) -> None:
        """Make claims of the codes: the latest code of a user is canonical, the others are aliases."""

    async def unresolved(self, limit: int) -> tuple[list[Contest], int]:
        """Return the claims on codes of several users that a missing time leaves undecided, and their number."""

    async def decide(self, referred_by: ReferredBy) -> None:
        """Decide the user of each code, e-mail address and username, and the inviter of each user."""

    async def count(self, *, before: datetime) -> StagedCounts:
        """Count what was decided; referrals and points that are stored here are those of before this time."""

    async def store(self, plan: Plan, at: datetime) -> Run:
        """Store a plan with its users, codes and malformed lines."""


class WrittenUsers(NamedTuple):
    """The numbers of users and of kept codes that a chunk wrote."""

    users: int
    kept: int
    is_complete: bool
    """Every user of the chunk was new and keeps their only code: nothing else is to be written."""


class CodelessUser(NamedTuple):
    """A user who needs a new code."""

    user_id: UserId
    has_lost_one: bool
    """Their code in the source is another user's."""


class ImportedPoints(NamedTuple):
    """The points of a user in the source."""

    position: int
    user_id: UserId
    points: int


class Imports(Protocol):
    """The writes of a chunk to the served tables. Rows that are served already take precedence."""

    async def users(self, chunk: Chunk, at: datetime) -> WrittenUsers:
        """Write the users, their verified phones, and the codes that they keep; lock those who were here."""

    async def without_code(self, chunk: Chunk) -> list[CodelessUser]:
        """Return the living users without a canonical code."""

    async def assign(self, run: int, codes: Mapping[UserId, Code], at: datetime) -> set[UserId]:
        """Give users their new code. Return the users who got it: codes that are taken or imported are left out."""

    async def aliases(self, chunk: Chunk, at: datetime) -> int:
        """Write every other code of the users as an alias, unless it is another user's; return the number."""

    async def conflicts(self, chunk: Chunk, at: datetime) -> int:
        """List the codes that are another user's; return the number."""

    async def edges(self, chunk: Chunk, at: datetime) -> tuple[int, list[int]]:
        """Write the referrals; return their number, and the positions of those that could not be written."""

    async def points(self, chunk: Chunk) -> list[ImportedPoints]:
        """Return the points of the users, in the order of their positions."""


class Removals(Protocol):
    """The deletions of a rollback, chunk by chunk. Rows that were used since stay."""

    async def lock(self, chunk: Chunk) -> None:
        """Lock the users of the chunk and those who invited them, in the order of ids."""

    async def effects(self, chunk: Chunk, correlation_id: str) -> Tally:
        """Remove points and referrals."""

    async def codes(self, chunk: Chunk, at: datetime) -> Tally:
        """Remove codes; those that were followed, or by which a user came, become aliases."""

    async def without_canonical(self, chunk: Chunk) -> list[UserId]:
        """Return the living users who have aliases and no canonical code."""

    async def assign(self, codes: Mapping[UserId, Code], at: datetime) -> set[UserId]:
        """Give users their new canonical code; return those who got it."""

    async def users(self, chunk: Chunk) -> Tally:
        """Remove the users whom the run created, unless they have other rows, and the mirrored codes of all users."""

    async def plan(self, run: Run) -> None:
        """Remove the listed conflicts and the staged users and codes of the run."""


class Excuse(NamedTuple):
    """Why a code of the source need not lead to its user."""

    is_deleted: bool
    """The user was deleted; else the code is another user's and listed as a conflict."""


class ImportCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of a verification in the served tables."""

    repeated_codes: int
    missing_codes: int
    """Living users without a canonical code."""
    aliases_wanted: int
    aliases_found: int
    edges: Checksum
    """The referrals of the plan that are stored, or could not be written when the plan was applied."""
    edges_invented: int
    """The referrals under the run's number that its plan does not have."""
    points: Checksum
    edges_here: Checksum
    points_here: Checksum


class ImportChecks(Protocol):
    """The queries of a verification on the served tables."""

    async def owners(self, codes: Collection[Code]) -> dict[Code, UserId]:
        """Return the user of each code, by the statement of the resolver."""

    async def excuses(self, claims: Collection[tuple[Code, UserId]]) -> dict[tuple[Code, UserId], Excuse]:
        """Return the claims that are excused, with the reason."""

    async def count(self, run: Run, done: Tally) -> ImportCounts:
        """Count what was imported, and what was here before the plan; `done` lists what could not be written."""


@dataclass(frozen=True, slots=True)
class BackfillStores:
    """The ports of one transaction, or of one read."""

    runs: BackfillRuns
    chunks: BackfillChunks
    staged: StagedLines
    imports: Imports
    removals: Removals
    checks: ImportChecks
    served: Stores


class BackfillSession(Protocol):
    """One connection to the database, past a pooler."""

    def only_runner(self) -> AbstractAsyncContextManager[None]:
        """Exclude every other process that plans, applies or rolls back; RunnerBusy where one does so for too long."""

    def begin(self) -> AbstractAsyncContextManager[BackfillStores]:
        """Open a transaction: a clean exit commits. TransactionAborted where other traffic was in its way."""

    def reading(self) -> AbstractAsyncContextManager[BackfillStores]:
        """Open the ports for reads, and for temporary tables, that need no common snapshot."""


class RemovalSession(BackfillSession, Protocol):
    """A session of the schema's owner, whose transactions may delete rows."""

    async def create_indexes(self) -> None:
        """Create what removals look rows up by. An error where the login is not the owner's; nothing is changed."""

    async def drop_indexes(self) -> None:
        """Drop these indexes."""


class BackfillDatabase(Protocol):
    """The database that a team moves into."""

    def session(self) -> AbstractAsyncContextManager[BackfillSession]:
        """Connect with the rights of the service."""

    def chunk_session(self) -> AbstractAsyncContextManager[BackfillSession]:
        """Connect as above, to write chunks: waits for locks are bounded, and rows are looked up by indexes."""

    def removal_session(self) -> AbstractAsyncContextManager[RemovalSession]:
        """Connect as the owner of the schema."""

    async def refresh_statistics(self, tables: Literal["staged", "served"]) -> None:
        """Refresh the planner's statistics: a query plan that rests on old ones can take hours."""

    async def discard_unused(self) -> None:
        """Drop the plans that were never applied, and all that was staged for them."""
