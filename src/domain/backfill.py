"""Backfills: an immutable plan of what an import would do, and the state of its run."""

import hashlib
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from tallystick.domain.codes import Code
from tallystick.domain.users import UserId

RunState = Literal["planned", "applying", "applied", "rolling_back", "rolled_back"]
SourceKind = Literal["jsonl", "csv", "supabase"]
Phase = Literal["codes", "edges", "points", "rollback"]
ReferredBy = Literal["auto", "code", "user_id"]
"""How `referred_by` is read: as a code, as a user id, or (auto) as the one that exists."""

_LONGEST_TRANSACTION = timedelta(minutes=1)
"""A transaction of the service is shorter: a row that is older than this is committed, or will never be."""

LISTED = 1_000
"""The longest list in a report; its counts cover everything."""


class Options(msgspec.Struct, frozen=True):
    """How a source is read."""

    kind: SourceKind
    names: dict[str, str] = {}
    """The columns whose name in the source differs from ours, by our name."""
    metadata_field: str = "referral_id"
    referred_by: ReferredBy = "auto"
    chunk: int = 20_000
    """How many users one transaction imports."""
    absent_words: list[str] = []
    """The words that mean "no value"; plans of earlier versions have none."""


class Checksum(msgspec.Struct, frozen=True):
    """A number of rows and the sum of their hashes; the order of the rows does not matter."""

    rows: int
    total: str


class Contest(msgspec.Struct, frozen=True):
    """A claim on a code that several users claim, where a missing time leaves open who had it first."""

    code: Code
    user_id: UserId
    created_at: datetime | None


class LineFaults(msgspec.Struct, frozen=True):
    """The lines of a source that cannot be read for one reason."""

    reason: str
    lines: int
    first_lines: list[int]
    """The numbers of the first ones."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of an import. The numbers count lines, users and codes of the source."""

    source: str
    source_hash: str
    options: Options
    ignored_columns: list[str]
    attempt: int
    """One more than the number of runs that were rolled back, so that the same source can be planned again."""

    lines: int
    malformed: int
    deleted_there: int
    """Lines about users who were deleted in the source."""
    fields_left_out: int
    """Fields of profiles that cannot be used; their users are imported without them."""
    absent_words: dict[str, int] = {}
    """How many fields counted as missing because they held a word for "no value", by the word."""

    users: int
    users_here: int
    """Users who are stored here already."""
    deleted_here: int
    """Users who were deleted here: nothing of them is imported."""
    with_code_here: int
    """Users who have a code here and keep it; their code of the source becomes an alias."""

    codes: int
    """Users whose code is not empty."""
    missing: int
    """Lines without a code, those without a normal form among them."""
    empty: int
    """Lines whose code is an empty or blank text."""
    formless: int
    """Lines whose code has no normal form."""
    formless_lines: list[int]
    changed: int
    """Lines whose code differs from its normal form."""
    duplicate_codes: int
    """Codes that several users claim."""
    duplicate_users: int
    """Users who lose a code to a user who had it first."""

    kept: int
    """Users who keep their code of the source."""
    reminted: int
    """Users whose code is another user's: they get a new one."""
    minted: int
    """Users without a code: they get one."""
    aliases: int
    """Codes that resolve to their user beside the canonical one."""
    held_here: int
    """Codes that are another user's here already."""

    edges: Checksum
    edges_left_out: dict[str, int]
    """The number of referrals that cannot be imported, by the reason."""
    points: Checksum
    points_total: int
    claims: Checksum
    """Each claim on a code, with the user who keeps the code."""
    edges_here: Checksum
    """The referrals that were stored here before the plan; the import changes none of them."""
    points_here: Checksum


class Chunk(NamedTuple):
    """The users of a run from one position to another, both included."""

    run: int
    first: int
    last: int


class Run(msgspec.Struct, frozen=True):
    """A plan and its state."""

    run: int
    plan_hash: str
    state: RunState
    plan: Plan
    planned_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def before(self) -> datetime:
        """The time before which rows are compared; `edges_here` and `points_here` of the plan are their checksums."""
        return complete_before(self.planned_at)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of its import, in their order: referrals and points need the users and codes of all chunks."""
        has_rows: dict[Phase, bool] = {
            "codes": True,
            "edges": self.plan.edges.rows > 0,
            "points": self.plan.points.rows > 0,
        }
        return tuple(phase for phase, is_needed in has_rows.items() if is_needed)

    @property
    def chunks(self) -> int:
        """How many chunks a phase has."""
        return -(-self.plan.users // self.plan.options.chunk)

    @property
    def correlation_id(self) -> str:
        """The correlation id of every entry that the run writes."""
        return self.plan_hash[:32]

    def chunk(self, number: int) -> Chunk:
        """Return the positions of a chunk; numbers start at 0."""
        size = self.plan.options.chunk
        return Chunk(self.run, number * size + 1, (number + 1) * size)

    def users_of(self, number: int) -> int:
        """Return how many users a chunk has; the last chunk has the rest."""
        return min(self.plan.options.chunk, self.plan.users - number * self.plan.options.chunk)


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The counts of one chunk or of several."""

    users: int = 0
    kept: int = 0
    reminted: int = 0
    minted: int = 0
    aliases: int = 0
    conflicts: int = 0
    edges: int = 0
    points: int = 0
    edges_left_out: list[int] = []
    """Positions of users whose referral could not be stored beside the rows that are here."""
    points_left_out: list[int] = []
    """Positions of users whose points could not be credited, or had been imported before."""
    codes_removed: int = 0
    codes_clicked: int = 0
    """Codes that stay as aliases, because a link with them was followed."""
    codes_attributed: int = 0
    """Codes that stay as aliases, because a referral names them."""
    users_removed: int = 0
    users_kept: int = 0
    """Users who have rows here that the run did not write."""
    edges_removed: int = 0
    points_removed: int = 0
    points_kept: int = 0
    """Imported balances that have changed since."""

    @property
    def left_out(self) -> int:
        """The number of referrals and balances that could not be stored beside the rows that are here."""
        return len(self.edges_left_out) + len(self.points_left_out)

    def __add__(self, other: "Tally") -> "Tally":
        theirs = msgspec.structs.asdict(other)
        return Tally(**{name: count + theirs[name] for name, count in msgspec.structs.asdict(self).items()})


def complete_before(at: datetime) -> datetime:
    """Return the time before which the stored rows are complete: no open transaction can add an older one."""
    return at - _LONGEST_TRANSACTION


def plan_hash(plan: Plan) -> str:
    """Return the hash that identifies a plan; it covers every field of the plan."""
    return hashlib.sha256(msgspec.json.encode(plan, order="sorted")).hexdigest()


class Check(msgspec.Struct, frozen=True):
    """One promise that a verification checked."""

    name: str
    promise: str
    expected: str
    found: str

    @property
    def holds(self) -> bool:
        """Return whether the promise is kept."""
        return self.expected == self.found


class VerificationReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a verification."""

    plan_hash: str
    verified_at: datetime
    holds: bool
    checks: list[Check]
    codes: int
    """Codes of the source that were followed."""
    conflicts: int
    """Codes of the source that are another user's, and stand in the conflict table."""
    deleted: int
    """Codes of users who have been deleted here since."""
    broken_lines: list[int]
    """Lines of the source whose code does not lead to their user."""
