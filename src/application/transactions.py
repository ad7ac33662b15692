"""Transactions: one unit of work over the stores, and its failures."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from tallystick.application.idempotency import FingerprintKeys, IdempotencyKeys
from tallystick.application.invariant_passes import InvariantPasses
from tallystick.application.invariants import Invariants
from tallystick.application.schedules import Schedules
from tallystick.application.schema_contract import SchemaContract
from tallystick.domain.audit import Audit
from tallystick.domain.bounds import Holdings
from tallystick.domain.channels import Channels
from tallystick.domain.clicks import ClickedCodes
from tallystick.domain.codes import ReferralCodes
from tallystick.domain.erasures import Erasures
from tallystick.domain.exports import Exports
from tallystick.domain.flags import FlagBook
from tallystick.domain.identity import IdentityDirectory, Verifications
from tallystick.domain.identity_events import Deliveries
from tallystick.domain.invites import Invites
from tallystick.domain.ledger import Ledger
from tallystick.domain.legacy_metadata import LegacyMetadata, MetadataMirror
from tallystick.domain.loyalty import Players
from tallystick.domain.messages import Messages
from tallystick.domain.overlays import Overlays
from tallystick.domain.pending_accruals import PendingAccruals
from tallystick.domain.rating_slips import RatingSlips
from tallystick.domain.referrals import AttributionAttempts, Edges, Leaderboard
from tallystick.domain.refusals import Cause
from tallystick.domain.rewards import Rewards
from tallystick.domain.sessions import Sessions
from tallystick.domain.stage_rooms import StageRooms
from tallystick.domain.topics import Topics
from tallystick.domain.user_summaries import UserSummaries
from tallystick.domain.users import Users


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one transaction, or of one read."""

    users: Users
    codes: ReferralCodes
    edges: Edges
    attempts: AttributionAttempts
    leaderboard: Leaderboard
    verifications: Verifications
    user_summaries: UserSummaries
    deliveries: Deliveries
    idempotency: IdempotencyKeys
    fingerprint_keys: FingerprintKeys
    invariants: Invariants
    passes: InvariantPasses
    ledger: Ledger
    players: Players
    slips: RatingSlips
    pending: PendingAccruals
    audit: Audit
    exports: Exports
    erasures: Erasures
    holdings: Holdings
    rewards: Rewards
    invites: Invites
    topics: Topics
    channels: Channels
    messages: Messages
    stage_rooms: StageRooms
    overlays: Overlays
    contract: SchemaContract
    directory: IdentityDirectory
    sessions: Sessions
    flags: FlagBook
    legacy: LegacyMetadata
    mirror: MetadataMirror
    clicks: ClickedCodes
    schedules: Schedules


class Transactions(Protocol):
    """Opens units of work. A clean exit commits, an exception rolls back; there is no commit()."""

    def begin(self) -> AbstractAsyncContextManager[Stores]:
        """Open a transaction.

        Raises TransactionAborted, StoreUnavailable or CommitUncertain; WriteConflict where a constraint was violated by
        a concurrent transaction, LockHeld where a lock could not be acquired. A transaction inside another is an error.
        """

    def reading(self) -> AbstractAsyncContextManager[Stores]:
        """Open the stores for reads that need no common snapshot. Raises TransactionAborted or StoreUnavailable."""

    def snapshot(self) -> AbstractAsyncContextManager[Stores]:
        """Open the stores for reads of one moment, without writes. Raises TransactionAborted or StoreUnavailable."""


class StoreFailure(Exception):
    """A failure of the store. The cause and the SQLSTATE, where there is one, are for operators."""

    def __init__(self, message: str = "", *, cause: Cause = "database", sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.sqlstate = sqlstate


class TransactionAborted(StoreFailure):
    """Nothing was stored, and the same transaction may succeed at once: retry it as a whole."""


class LockHeld(TransactionAborted):
    """Another transaction held a lock for longer than the lock time-out; which command needs it is not known."""


class WriteConflict(TransactionAborted):
    """A constraint shows that another transaction stored it first: a retry sees the stored row."""


class StoreUnavailable(StoreFailure):
    """Nothing was stored, and a retry at once would not help: shed the command."""


class CommitUncertain(StoreFailure):
    """The connection was lost at the commit: a retry finds what was stored, if it was."""
