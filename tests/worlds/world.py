"""A world to tell behaviours in: the use cases over one backend, with time and chance in the test's hand."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.identity.code_digests import CodeDigests
from tallystick.application.codes import Mint, MintCodes, Remint, RemintCodes, Reminted
from tallystick.application.deletion import Deleted, DeleteUsers, Deletion
from tallystick.application.erasures import EraseTraces, FinishErasures
from tallystick.application.group_commit import GroupCommit
from tallystick.application.idempotency import Keyed
from tallystick.application.identity_events import DeliveredEvent, Receipt, ReceiveIdentityEvents
from tallystick.application.invariants import Invariant
from tallystick.application.minting import Minted
from tallystick.application.missing_codes import MissingCodes
from tallystick.application.reads import CheckCallers, ReadUserSummaries
from tallystick.application.referral_links import (
    LinkState,
    PeekReferralLink,
    ReadReferralLink,
    Resolution,
    ResolveCodes,
)
from tallystick.application.referrals import AttributeReferrals, UpsertResult, UserUpsert
from tallystick.domain.codes import CROCKFORD, Code, normal_form
from tallystick.domain.identity import Verification
from tallystick.domain.identity_events import EventKind, IdentityEvent
from tallystick.domain.ids import uuid_v7
from tallystick.domain.referral_points import ReferralNeed, ReferralPoints
from tallystick.domain.referrals import AttributionAttempt, AttributionRequest, Edge, Leader
from tallystick.domain.refusals import Failure
from tallystick.domain.user_summaries import UserSummary
from tallystick.domain.users import UNIQUE_FIELDS, Profile, ProfileField, UniqueField, UserId
from tests.worlds.backend import Backend
from tests.worlds.legacy_metadata import LegacyWorld
from tests.worlds.wallets import result


class World(LegacyWorld):
    """One backend and everything that can be done with it, in the words of the behaviours."""

    def __init__(self, backend: Backend, *, seed: int = 0, alphabet: str = CROCKFORD, length: int = 8) -> None:
        super().__init__(backend, seed=seed, alphabet=alphabet, length=length)
        transactions = backend.transactions
        self.mint_codes = MintCodes(transactions, self.clock, self.metrics, self.adopt_legacy_users, self.mirroring)
        self.remint_codes = RemintCodes(
            transactions, self.clock, self.metrics, self.once, self.adopt_legacy_users, self.mirroring
        )
        self.attribute_referrals = AttributeReferrals(
            transactions, self.adopt_codes, self.points, self.clock, self.metrics, self.once
        )
        self.erase_traces = EraseTraces(transactions, self.randomness)
        self.delete_users = DeleteUsers(transactions, self.erase_traces)
        self.finish_erasures = FinishErasures(transactions, self.clock, self.erase_traces)
        self.missing_codes = MissingCodes(self.reads, self.clock, self.metrics)
        self.receive_identity_events = ReceiveIdentityEvents(
            transactions,
            self.points,
            self.clock,
            self.metrics,
            self.adopt_legacy_users,
            self.mirroring,
            self.erase_traces,
            self.missing_codes,
        )
        self.resolve_codes = ResolveCodes(transactions, self.flags, self.metrics)
        self.check_callers = CheckCallers(transactions)
        self.minting = GroupCommit(
            self.mint_codes,
            key=lambda command: command.user_id,
            clock=self.clock,
            randomness=self.randomness,
            metrics=self.metrics,
            name="mint",
        )
        self._read_link = ReadReferralLink(
            self.read_summary, self.minting, self.flags, self.clock, self.candidates, self.missing_codes
        )
        self._peek_link = PeekReferralLink(self.read_summary, self.metrics)
        self.digests = CodeDigests([b"a key for tests"])
        self._deliveries = 0

    def make_referrals_worth(self, points: int, *, need: ReferralNeed = "nothing", daily_cap: int = 0) -> None:
        self.points.referrals = ReferralPoints(points, need, daily_cap)

    async def read_summary(self, user_id: UserId) -> UserSummary | None:
        return (await ReadUserSummaries(self.transactions, self.flags)([user_id]))[0]

    def _drawn(self, candidates: Sequence[str] | None) -> tuple[Code, ...]:
        return tuple(Code(text) for text in candidates) if candidates is not None else self.candidates()

    def mint_command(self, user: str, candidates: Sequence[str] | None = None) -> Mint:
        return Mint(UserId(user), self._drawn(candidates), self.clock.now())

    async def mint_outcome(self, user: str, *, candidates: Sequence[str] | None = None) -> Minted | Failure:
        return (await self.mint_codes([self.mint_command(user, candidates)]))[0]

    async def mint(self, user: str, *, candidates: Sequence[str] | None = None) -> Code:
        return result(await self.mint_outcome(user, candidates=candidates)).code

    async def remint(self, user: str, *, candidates: Sequence[str] | None = None, key: str | None = None) -> Reminted:
        return result((await self.remint_codes([self.remint_command(user, candidates, key=key)]))[0])

    def remint_command(
        self, user: str, candidates: Sequence[str] | None = None, *, key: str | None = None
    ) -> Keyed[Remint]:
        request = self.key(user, key, b"remint") if key is not None else None
        return Keyed(Remint(UserId(user), self._drawn(candidates)), request)

    async def code_of(self, user: str) -> Code:
        summary = await self.summary(user)
        assert summary is not None
        assert summary.code is not None
        return summary.code

    def upsert(
        self, user: str, *codes: str | None, profile: Profile | None = None, phone_verified: bool = False
    ) -> UserUpsert:
        now = self.clock.now()
        arrival_id = uuid_v7(now, self.randomness.bytes(10))
        sent = tuple(self.digests.sent(code) for code in codes if code is not None)
        request = AttributionRequest(UserId(user), sent, arrival_id, now)
        return UserUpsert(request, profile or Profile(), phone_verified, self.new_id())

    async def arrive(
        self,
        user: str,
        *codes: str | None,
        profile: Profile | None = None,
        phone_verified: bool = False,
        key: str | None = None,
    ) -> UpsertResult:
        upsert = self.upsert(user, *codes, profile=profile, phone_verified=phone_verified)
        request = self.key(user, key, repr((codes, profile)).encode()) if key else None
        return result((await self.attribute_referrals([Keyed(upsert, request)]))[0])

    def delivery(
        self,
        kind: EventKind,
        user: str,
        *,
        profile: Profile | None = None,
        occurred_at: datetime | None = None,
        delivery: str | None = None,
        phone_confirmed: bool = False,
        clears: Collection[ProfileField] = (),
        proves: Collection[UniqueField] = UNIQUE_FIELDS,
    ) -> DeliveredEvent:
        self._deliveries += 1
        now = self.clock.now()
        event = IdentityEvent(
            delivery_id=delivery or f"msg_{self._deliveries}",
            kind=kind,
            user_id=UserId(user),
            occurred_at=occurred_at or now,
            sent_at=now,
            received_at=now,
            profile=profile or Profile(),
            clears=frozenset(clears),
            proves=frozenset(proves),
            phone_confirmed=phone_confirmed,
        )
        return DeliveredEvent(event, self.candidates())

    async def deliver(self, kind: EventKind, user: str, **about: object) -> Receipt:
        return (await self.receive_identity_events([self.delivery(kind, user, **about)]))[0]  # type: ignore[arg-type]  # passed through

    async def bring_verification(self, user: str) -> None:
        """Verify a phone as a backfill does it, beside all use cases."""
        async with self.transactions.begin() as stores:
            await stores.verifications.record([Verification(UserId(user), "backfill", self.clock.now())])

    async def delete(self, user: str) -> Deleted:
        return result((await self.delete_users([Deletion(UserId(user), self.clock.now())]))[0])

    async def link(self, user: str) -> LinkState:
        return await self._read_link(UserId(user))

    async def peek(self, user: str) -> LinkState:
        return await self._peek_link(UserId(user))

    async def resolve(self, code: str) -> Resolution:
        return (await self.resolve_codes([normal_form(code) or ""]))[0]

    async def owner(self, code: str) -> UserId | None:
        entries = await self.reads(lambda stores: stores.codes.resolve([code]))
        return entries[code].user_id if code in entries else None

    async def summary(self, user: str) -> UserSummary | None:
        return await self.read_summary(UserId(user))

    async def profile(self, user: str) -> Profile:
        summary = await self.summary(user)
        assert summary is not None
        return summary.user.profile

    async def by_email(self, email: str) -> UserSummary | None:
        return await self.reads(lambda stores: stores.user_summaries.by_email(email))

    async def edge(self, invitee: str) -> Edge | None:
        return (await self.reads(lambda stores: stores.edges.find([UserId(invitee)]))).get(UserId(invitee))

    async def inviter(self, invitee: str) -> UserId | None:
        edge = await self.edge(invitee)
        return edge.inviter_id if edge is not None else None

    async def attempts(self, user: str) -> list[AttributionAttempt]:
        """Return the codes of a user that attributed nothing, newest first."""
        return await self.reads(lambda stores: stores.attempts.of(UserId(user)))

    async def leaders(self, *, limit: int = 50, after: tuple[int, UserId] | None = None) -> list[Leader]:
        return await self.reads(lambda stores: stores.leaderboard.leaders(after=after, limit=limit))

    async def broken_promises(self) -> list[Invariant]:
        return [promise for promise in await self.reads(lambda s: s.invariants.count()) if promise.violations]
