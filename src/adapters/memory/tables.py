"""The tables, and the view of them that one transaction has."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import NamedTuple

from tallystick.adapters.memory.drafts import Draft
from tallystick.application.idempotency import ReplyTotals, RequestKey, StoredReply
from tallystick.application.invariant_passes import Pass
from tallystick.domain.channels import Channel, ChannelId, Member, MemberKey
from tallystick.domain.codes import Code, CodeEntry
from tallystick.domain.flags import Flag, Switch
from tallystick.domain.identity import Credentials, Verification
from tallystick.domain.identity_events import IdentityEvent
from tallystick.domain.invites import Invite, InviteId, InviteUse, SeatKey
from tallystick.domain.ledger import Account, AccountKey, Entry, EventKey, Unit
from tallystick.domain.legacy_metadata import Claim
from tallystick.domain.messages import Message, MessageId, SendKey
from tallystick.domain.overlays import Overlay, OverlaySessionId
from tallystick.domain.pending_accruals import PendingAccrual
from tallystick.domain.rating_slips import Slip, SlipId
from tallystick.domain.referrals import AttributionAttempt, Edge
from tallystick.domain.rewards import Collected, CollectionKey, Reward, RewardId
from tallystick.domain.sessions import Session, SessionKey
from tallystick.domain.stage_rooms import RoomId, Roster
from tallystick.domain.topics import Topic, TopicEvent, TopicEventKind, TopicId
from tallystick.domain.users import User, UserId


class ConstraintViolated(AssertionError):
    """A write breaks a constraint that PostgreSQL has too: a bug."""


class Lease(NamedTuple):
    """Until when an instance has the lease of a schedule, and when its work was done last."""

    until: datetime
    done_at: datetime | None


@dataclass
class Tables:
    """Committed values, by primary key, and the unique indexes beside them."""

    users: dict[UserId, User] = field(default_factory=dict)
    emails: dict[str, UserId] = field(default_factory=dict)
    usernames: dict[str, UserId] = field(default_factory=dict)
    codes: dict[str, CodeEntry] = field(default_factory=dict)
    codes_of: dict[UserId, tuple[str, ...]] = field(default_factory=dict)
    demotions: dict[str, tuple[float, int]] = field(default_factory=dict)
    edges: dict[UserId, Edge] = field(default_factory=dict)
    attempts: dict[tuple[UserId, str, str], AttributionAttempt] = field(default_factory=dict)
    verifications: dict[UserId, Verification] = field(default_factory=dict)
    deliveries: dict[str, IdentityEvent] = field(default_factory=dict)
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    entries: dict[tuple[UserId, Unit, int], Entry] = field(default_factory=dict)
    events: dict[EventKey, int] = field(default_factory=dict)
    grants: dict[str, tuple[UserId, Unit, int]] = field(default_factory=dict)
    slips: dict[SlipId, Slip] = field(default_factory=dict)
    pending: dict[EventKey, PendingAccrual] = field(default_factory=dict)
    rewards: dict[RewardId, Reward] = field(default_factory=dict)
    collected: dict[CollectionKey, Collected] = field(default_factory=dict)
    invites: dict[Code, Invite] = field(default_factory=dict)
    invite_codes: dict[InviteId, Code] = field(default_factory=dict)
    invite_uses: dict[SeatKey, InviteUse] = field(default_factory=dict)
    topics: dict[TopicId, Topic] = field(default_factory=dict)
    topic_events: dict[tuple[TopicId, int], TopicEvent] = field(default_factory=dict)
    trimmed: dict[TopicId, tuple[int, str]] = field(default_factory=dict)
    """The number and the tag of the last event of each topic that was deleted from the start of its log."""
    events_once: dict[tuple[TopicId, TopicEventKind, str], int] = field(default_factory=dict)
    channels: dict[ChannelId, Channel] = field(default_factory=dict)
    members: dict[MemberKey, Member] = field(default_factory=dict)
    messages: dict[tuple[ChannelId, int], Message] = field(default_factory=dict)
    message_numbers: dict[MessageId, tuple[ChannelId, int]] = field(default_factory=dict)
    sent: dict[SendKey, tuple[ChannelId, int]] = field(default_factory=dict)
    rosters: dict[RoomId, Roster] = field(default_factory=dict)
    overlays: dict[OverlaySessionId, Overlay] = field(default_factory=dict)
    credentials: dict[UserId, Credentials] = field(default_factory=dict)
    sessions: dict[SessionKey, Session] = field(default_factory=dict)
    replies: dict[tuple[UserId, str], tuple[RequestKey, StoredReply]] = field(default_factory=dict)
    fingerprint_keys: dict[str, bytes] = field(default_factory=dict)
    reply_totals: dict[UserId, ReplyTotals] = field(default_factory=dict)
    flags: dict[Flag, Switch] = field(default_factory=dict)
    runs: dict[int, str] = field(default_factory=dict)
    claims: dict[tuple[int, str, UserId], tuple[Claim, UserId | None]] = field(default_factory=dict)
    """The codes that backfill runs staged, each with the other user who keeps it, if any."""
    imported: dict[str, int] = field(default_factory=dict)
    mirrored: dict[UserId, tuple[Code, datetime]] = field(default_factory=dict)
    clicked: dict[str, datetime] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    passes: dict[str, Pass] = field(default_factory=dict)
    erasing: dict[UserId, tuple[UserId, datetime]] = field(default_factory=dict)


class View:
    """The tables as one transaction sees and changes them."""

    def __init__(  # noqa: PLR0915  a line for each table
        self, tables: Tables, now: Callable[[], datetime], *, writable: bool
    ) -> None:
        self.now = now
        self.users = Draft(tables.users)
        self.emails = Draft(tables.emails)
        self.usernames = Draft(tables.usernames)
        self.codes = Draft(tables.codes)
        self.codes_of = Draft(tables.codes_of)
        self.demotions = Draft(tables.demotions)
        self.edges = Draft(tables.edges)
        self.attempts = Draft(tables.attempts)
        self.verifications = Draft(tables.verifications)
        self.deliveries = Draft(tables.deliveries)
        self.accounts = Draft(tables.accounts)
        self.entries = Draft(tables.entries)
        self.events = Draft(tables.events)
        self.grants = Draft(tables.grants)
        self.slips = Draft(tables.slips)
        self.pending = Draft(tables.pending)
        self.rewards = Draft(tables.rewards)
        self.collected = Draft(tables.collected)
        self.invites = Draft(tables.invites)
        self.invite_codes = Draft(tables.invite_codes)
        self.invite_uses = Draft(tables.invite_uses)
        self.topics = Draft(tables.topics)
        self.topic_events = Draft(tables.topic_events)
        self.trimmed = Draft(tables.trimmed)
        self.events_once = Draft(tables.events_once)
        self.channels = Draft(tables.channels)
        self.members = Draft(tables.members)
        self.messages = Draft(tables.messages)
        self.message_numbers = Draft(tables.message_numbers)
        self.sent = Draft(tables.sent)
        self.rosters = Draft(tables.rosters)
        self.overlays = Draft(tables.overlays)
        self.credentials = Draft(tables.credentials)
        self.sessions = Draft(tables.sessions)
        self.replies = Draft(tables.replies)
        self.fingerprint_keys = Draft(tables.fingerprint_keys)
        self.reply_totals = Draft(tables.reply_totals)
        self.flags = Draft(tables.flags)
        self.runs = Draft(tables.runs)
        self.claims = Draft(tables.claims)
        self.imported = Draft(tables.imported)
        self.mirrored = Draft(tables.mirrored)
        self.clicked = Draft(tables.clicked)
        self.leases = Draft(tables.leases)
        self.passes = Draft(tables.passes)
        self.erasing = Draft(tables.erasing)
        self.locked: set[UserId] = set()
        self.locked_accounts: set[AccountKey] = set()
        self.locked_slips: set[SlipId] = set()
        self.locked_rooms, self.locked_overlays, self.locked_topics = (
            set[RoomId](),
            set[OverlaySessionId](),
            set[TopicId](),
        )
        self._writable = writable

    def require_writable(self) -> None:
        """Raise an error where the view is one for reads."""
        if not self._writable:
            raise ConstraintViolated("a view for reads was written to")

    def commit(self) -> None:
        """Make all changes visible to all transactions."""
        for table in fields(Tables):
            getattr(self, table.name).commit()
