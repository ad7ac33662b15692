"""Wiring: the whole graph, built once at start-up; every choice is one line."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from typing import NewType

from dishka import AsyncContainer, Provider, Scope, alias, collect, from_context, make_async_container, provide
from litestar import Router
from litestar.types import ASGIApp

from tallystick import __version__
from tallystick.adapters.identity.claims import ClaimsCheck
from tallystick.adapters.identity.code_digests import CodeDigests
from tallystick.adapters.identity.jwks import JwksCache, over_http
from tallystick.adapters.identity.keys import KeyRing
from tallystick.adapters.identity.passwords import Argon2Passwords
from tallystick.adapters.identity.sessions import Bearers, SessionTokens
from tallystick.adapters.identity.tokens import JwtVerifier
from tallystick.adapters.memory.stores.flags import SilentSignal
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.adapters.rate_limits.limiter import SlidingWindows
from tallystick.adapters.system import SystemClock, SystemRandomness
from tallystick.adapters.telemetry.logs import Pseudonyms
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.clicks import Clicks
from tallystick.application.codes import Mint, MintCodes, Remint, RemintCodes, Reminted
from tallystick.application.credits import Grant, GrantCredits, Granted
from tallystick.application.deletion import Deleted, DeleteUsers, Deletion
from tallystick.application.erasures import EraseTraces, FinishErasures
from tallystick.application.exports import ReadExport
from tallystick.application.fingerprints import Fingerprints
from tallystick.application.flags import FollowedFlags, SwitchFlags
from tallystick.application.group_commit import Batch, Bounds, C, GroupCommit, R, Single
from tallystick.application.idempotency import AnswerOnce, Keyed
from tallystick.application.identity_events import DeliveredEvent, Receipt, ReceiveIdentityEvents
from tallystick.application.invites import MakeInvites, NewInvite, Redeemed, RedeemInvites, Redemption, RevokeInvite
from tallystick.application.legacy_metadata import AdoptCodes, AdoptLegacyUsers, MirrorMetadata, NoteCodes
from tallystick.application.loyalty import AccruePoints, Award, AwardPoints, Credited, Earnings
from tallystick.application.minting import DrawCandidates, Minted
from tallystick.application.pending_accruals import RecoverAccruals, Recovery, SweepAccruals
from tallystick.application.points import Accrued, Points
from tallystick.application.ports import ChangeSignal, Clock, Metrics, Randomness, RateLimiter
from tallystick.application.rating_slips import (
    Completed,
    CompleteSlip,
    CompleteSlips,
    NewSlip,
    OpenSlips,
    RecoverSlip,
    RecoverSlips,
)
from tallystick.application.reads import CallerState, CheckCallers, Reads, ReadUserSummaries, SlowReads
from tallystick.application.reconciliation import ReconcileMetadata
from tallystick.application.referral_links import PeekReferralLink, ReadReferralLink, Resolution, ResolveCodes
from tallystick.application.referrals import AttributeReferrals, UpsertResult, UserUpsert
from tallystick.application.rewards import (
    BatchResult,
    ChangeReward,
    OfferReward,
    OfferRewards,
    Order,
    OrderBatch,
    Purchase,
    PurchaseOrderBatches,
    PurchaseRewards,
)
from tallystick.application.sessions import (
    ChangePasswords,
    CheckPassword,
    Done,
    EndSessions,
    NewSession,
    PasswordChange,
    SignIn,
    SignOut,
    StartSessions,
)
from tallystick.application.sign_up import CompleteSignUps, SignedUp, SignUp
from tallystick.application.transactions import Transactions
from tallystick.domain.bounds import UserBounds
from tallystick.domain.codes import draw_candidates
from tallystick.domain.exports import EntryView
from tallystick.domain.flags import Flags, FlagState, Pins, Switch
from tallystick.domain.identity import Passwords, Principal
from tallystick.domain.invites import Invite
from tallystick.domain.loyalty import Tiers
from tallystick.domain.rating_slips import Games, Slip
from tallystick.domain.referral_points import ReferralPoints
from tallystick.domain.rewards import Reward, RewardId
from tallystick.domain.sessions import Session
from tallystick.domain.user_summaries import UserSummary
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.app import build_app
from tallystick.entrypoints.http.authentication import Authentication
from tallystick.entrypoints.http.caller_guard import CallerGuard
from tallystick.entrypoints.http.clients import TrustedProxies
from tallystick.entrypoints.http.cors import Cors
from tallystick.entrypoints.http.links import Addresses
from tallystick.entrypoints.http.metrics_access import MetricsAccess
from tallystick.entrypoints.http.metrics_listener import metrics_app
from tallystick.entrypoints.http.pages import Cursors
from tallystick.entrypoints.http.replies import WireEncoder
from tallystick.entrypoints.http.request_log import LogRules
from tallystick.entrypoints.http.routes.audit import audit_router
from tallystick.entrypoints.http.routes.credits import credits_router
from tallystick.entrypoints.http.routes.deletion import deletion_router
from tallystick.entrypoints.http.routes.exports import exports_router
from tallystick.entrypoints.http.routes.flags import flags_router
from tallystick.entrypoints.http.routes.invites import invites_router, wire_invite
from tallystick.entrypoints.http.routes.loyalty import loyalty_router, wire_credited
from tallystick.entrypoints.http.routes.operations import ReadinessProbe, administration_router, operations_router
from tallystick.entrypoints.http.routes.pending_accruals import pending_accruals_router
from tallystick.entrypoints.http.routes.rating_slips import rating_slips_router, wire_completed, wire_slip
from tallystick.entrypoints.http.routes.referrals import GlobeKey, referrals_router, wire_reminted
from tallystick.entrypoints.http.routes.resolver import resolver_router
from tallystick.entrypoints.http.routes.rewards import AnyoneOffers, rewards_router, wire_batch_result
from tallystick.entrypoints.http.routes.sessions import AccountHashes, sessions_router
from tallystick.entrypoints.http.routes.sign_up import sign_up_router
from tallystick.entrypoints.http.routes.users import users_router
from tallystick.entrypoints.http.routes.webhooks import WebhookKeys, webhooks_router
from tallystick.entrypoints.settings import Settings, Store
from tallystick.entrypoints.worker.clicks import FlushClicks
from tallystick.entrypoints.worker.flags import FollowFlags
from tallystick.entrypoints.worker.mirror import MirrorLater
from tallystick.entrypoints.worker.nightly import Nightly
from tallystick.entrypoints.worker.upkeep import Upkeep

App = NewType("App", ASGIApp)  # type: ignore[valid-newtype]  # a key of the graph; a callable at run time
MetricsApp = NewType("MetricsApp", ASGIApp)  # type: ignore[valid-newtype]  # as above

DEFAULT_ADDRESS = "http://127.0.0.1:8000"
_ORDER_BATCHES = Bounds(lanes=2, batch_size=4, queue_length=64)
"""One request holds up to a thousand orders: a few of them are a large batch."""
_HOT = Bounds(lanes=1)
"""Of one lane the batches are largest, and cost least: the next one gathers while this one commits."""
_READS = Bounds(lanes=1)
"""All who ask at once share one statement, and the next one is sent when it is answered."""


class Commits:
    """Every group commit of the process, so that they can be closed before what they need."""

    def __init__(self, clock: Clock, randomness: Randomness, metrics: Metrics) -> None:
        self._clock, self._randomness, self._metrics = clock, randomness, metrics
        self._closers: list[Callable[..., Awaitable[None]]] = []
        self._behind: list[Callable[..., Awaitable[None]]] = []

    def of(
        self, batch: Batch[C, R], *, key: Callable[[C], Hashable], name: str, bounds: Bounds | None = None
    ) -> GroupCommit[C, R]:
        """Return a group commit for a batch use case."""
        commit = GroupCommit(
            batch,
            key=key,
            clock=self._clock,
            randomness=self._randomness,
            metrics=self._metrics,
            name=name,
            bounds=bounds,
        )
        self._closers.append(commit.close)
        return commit

    def close_too(self, close: Callable[..., Awaitable[None]]) -> None:
        """Close something else behind them."""
        self._behind.append(close)

    async def close(self, *, grace_seconds: float) -> None:
        """Finish or refuse what waits, everywhere at once, and in what is left of the time what that left behind."""
        until = self._clock.monotonic() + grace_seconds
        await asyncio.gather(*(close(grace_seconds=grace_seconds) for close in self._closers))
        left = max(0.0, until - self._clock.monotonic())
        await asyncio.gather(*(close(grace_seconds=left) for close in self._behind))


class MemoryStore(Provider):
    """The stores in memory."""

    scope = Scope.APP
    signal = provide(SilentSignal, provides=ChangeSignal)

    @provide
    def transactions(self) -> Transactions:
        return MemoryTransactions()

    @provide
    def slow_reads(self, transactions: Transactions, randomness: Randomness) -> SlowReads:
        return SlowReads(transactions, randomness)

    @provide
    def probe(self, clock: Clock, published: JwksCache | None) -> ReadinessProbe:
        return ReadinessProbe([published.faults] if published is not None else [], clock)


class Runtime(Provider):
    """Time, chance, measurements and limits."""

    scope = Scope.APP
    clock = provide(SystemClock, provides=Clock)
    randomness = provide(SystemRandomness, provides=Randomness)
    prometheus = provide(PrometheusMetrics)
    metrics = alias(source=PrometheusMetrics, provides=Metrics)
    settings = from_context(provides=Settings, scope=Scope.APP)
    commits = provide(Commits)
    upkeep = provide(Upkeep)
    reads = provide(Reads)

    @provide
    def read_export(self, reads: SlowReads) -> ReadExport:
        return ReadExport(reads)

    @provide
    async def limiter(self, settings: Settings, clock: Clock, metrics: Metrics) -> AsyncIterator[RateLimiter]:
        windows = SlidingWindows(settings.rate_limits, clock, metrics, storage=settings.rate_limit_storage)
        yield windows
        await windows.close()

    @provide
    def candidates(self, randomness: Randomness) -> DrawCandidates:
        return lambda: draw_candidates(randomness.bytes)


class Switchboard(Provider):
    """Flags: pinned, stored, switched and followed."""

    scope = Scope.APP
    followed = provide(FollowedFlags)
    flags = alias(source=FollowedFlags, provides=Flags)
    switch_flags = provide(SwitchFlags)

    @provide
    def pins(self, settings: Settings) -> Pins:
        return settings.flags

    @provide
    def follow(self, flags: FollowedFlags, signal: ChangeSignal) -> FollowFlags:
        return FollowFlags(flags, signal)

    @provide
    def switch(self, batch: SwitchFlags, commits: Commits) -> Single[Keyed[Switch], FlagState]:
        return commits.of(batch, key=lambda keyed: keyed.command.flag, name="switch_flags")


class Identity(Provider):
    """Who calls, and what is derived from the secrets."""

    scope = Scope.APP

    @provide
    async def published_keys(
        self, settings: Settings, clock: Clock, metrics: Metrics, randomness: Randomness
    ) -> AsyncIterator[JwksCache | None]:
        url = settings.jwks_url
        cache = JwksCache(over_http(url), clock, metrics, randomness) if url is not None else None
        yield cache
        if cache is not None:
            await cache.close()

    @provide
    def tokens(self, settings: Settings, clock: Clock, published: JwksCache | None) -> JwtVerifier:
        check = ClaimsCheck(clock, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
        return JwtVerifier(check, secrets=settings.jwt_secrets, published=published, algorithms=settings.algorithms)

    @provide
    def keys(self, settings: Settings) -> KeyRing:
        return KeyRing(settings.root_secrets)

    @provide
    def session_tokens(self, keys: KeyRing, clock: Clock) -> SessionTokens:
        return SessionTokens(keys.keys("sessions"), clock)

    @provide
    def bearers(self, keys: KeyRing, clock: Clock) -> Bearers:
        return Bearers(SessionTokens(keys.keys("bearers"), clock, "bearer"))

    @provide
    def authentication(
        self, tokens: JwtVerifier, bearers: Bearers, sessions: SessionTokens, settings: Settings, metrics: Metrics
    ) -> Authentication:
        own = [settings.public_base_url or DEFAULT_ADDRESS, settings.app_url or "", *settings.allowed_origins]
        if settings.identity == "external":
            return Authentication([tokens], None, own, metrics)
        return Authentication([tokens, bearers], sessions, own, metrics)

    @provide
    def webhook_keys(self, settings: Settings) -> WebhookKeys:
        return WebhookKeys(settings.signed_by, settings.webhook_bearers)

    @provide
    def pseudonyms(self, keys: KeyRing) -> Pseudonyms:
        return Pseudonyms(keys.key("pseudonyms"))

    @provide
    def cursors(self, keys: KeyRing) -> Cursors:
        return Cursors(keys.keys("cursors"))

    @provide
    def fingerprints(
        self, transactions: Transactions, reads: Reads, randomness: Randomness, keys: KeyRing
    ) -> Fingerprints:
        return Fingerprints(transactions, reads, randomness, earlier_key=keys.key("fingerprints"))

    @provide
    def code_digests(self, keys: KeyRing) -> CodeDigests:
        return CodeDigests(keys.keys("attempts"))

    @provide
    def addresses(self, settings: Settings) -> Addresses:
        base = settings.public_base_url or DEFAULT_ADDRESS
        return Addresses(base, settings.app_url or base)

    @provide
    def globe_key(self, keys: KeyRing) -> GlobeKey:
        return GlobeKey(keys.key("globe"))


class Referrals(Provider):
    """The use cases of referrals, each behind its group commit."""

    scope = Scope.APP
    mint_codes = provide(MintCodes)
    remint_codes = provide(RemintCodes)
    attribute_referrals = provide(AttributeReferrals)
    receive_identity_events = provide(ReceiveIdentityEvents)
    delete_users = provide(DeleteUsers)
    erase_traces = provide(EraseTraces)
    finish_erasures = provide(FinishErasures)
    resolve_codes = provide(ResolveCodes)
    check_callers = provide(CheckCallers)
    read_user_summaries = provide(ReadUserSummaries)
    read_link = provide(ReadReferralLink)
    peek_link = provide(PeekReferralLink)

    @provide
    def bounds(self, settings: Settings) -> UserBounds:
        return settings.bounds

    @provide
    def once(self, addresses: Addresses, bounds: UserBounds) -> AnswerOnce:
        return AnswerOnce(
            WireEncoder(
                {
                    Reminted: lambda reminted: wire_reminted(reminted, addresses),
                    Granted: lambda granted: EntryView.of(granted.entry),
                    Accrued: lambda accrued: accrued.accrual,
                    Credited: wire_credited,
                    Slip: wire_slip,
                    Completed: wire_completed,
                    BatchResult: wire_batch_result,
                    Invite: wire_invite,
                }
            ),
            bounds,
        )

    @provide
    def mint(self, batch: MintCodes, commits: Commits) -> Single[Mint, Minted]:
        return commits.of(batch, key=lambda command: command.user_id, name="mint_codes")

    @provide
    def remint(self, batch: RemintCodes, commits: Commits) -> Single[Keyed[Remint], Reminted]:
        return commits.of(batch, key=lambda keyed: keyed.command.user_id, name="remint_codes")

    @provide
    def attribute(self, batch: AttributeReferrals, commits: Commits) -> Single[Keyed[UserUpsert], UpsertResult]:
        return commits.of(batch, key=lambda keyed: keyed.command.request.user_id, name="attribute_referrals")

    @provide
    def receive(self, batch: ReceiveIdentityEvents, commits: Commits) -> Single[DeliveredEvent, Receipt]:
        return commits.of(batch, key=lambda delivery: delivery.event.user_id, name="receive_identity_events")

    @provide
    def delete(self, batch: DeleteUsers, commits: Commits) -> Single[Deletion, Deleted]:
        return commits.of(batch, key=lambda command: command.user_id, name="delete_users")

    @provide
    def resolve(self, batch: ResolveCodes, commits: Commits) -> Single[str, Resolution]:
        return commits.of(batch, key=lambda _code: 0, name="resolve_codes", bounds=_READS)

    @provide
    def summary(self, batch: ReadUserSummaries, commits: Commits) -> Single[UserId, UserSummary | None]:
        return commits.of(batch, key=lambda _user_id: 0, name="read_user_summaries", bounds=_READS)

    @provide
    def check_caller(self, batch: CheckCallers, commits: Commits) -> Single[Principal, CallerState]:
        return commits.of(batch, key=lambda _principal: 0, name="check_callers", bounds=_READS)


class LegacyMetadata(Provider):
    """Codes as they were kept before the code book, while a team moves in."""

    scope = Scope.APP
    adopt_codes = provide(AdoptCodes)
    adopt_legacy_users = provide(AdoptLegacyUsers)
    mirror_metadata = provide(MirrorMetadata)
    reconcile_metadata = provide(ReconcileMetadata)
    flush_clicks = provide(FlushClicks)

    @provide
    def mirror_later(self, mirror: MirrorMetadata, flags: Flags, metrics: Metrics, commits: Commits) -> NoteCodes:
        later = MirrorLater(mirror, flags, metrics)
        commits.close_too(later.close)
        return later

    @provide
    def clicks(self, transactions: Transactions, clock: Clock, metrics: Metrics) -> Clicks:
        return Clicks(transactions, clock, metrics)

    @provide
    def nightly(
        self,
        transactions: Transactions,
        reconcile: ReconcileMetadata,
        flags: Flags,
        clock: Clock,
        randomness: Randomness,
        settings: Settings,
    ) -> Nightly:
        return Nightly(transactions, reconcile, flags, clock, randomness, settings.reconcile_hour)


class Wallets(Provider):
    """The use cases of credits, rewards, invites and sign-up, each behind its group commit."""

    scope = Scope.APP
    grant_credits = provide(GrantCredits)
    purchase_rewards = provide(PurchaseRewards)
    purchase_order_batches = provide(PurchaseOrderBatches)
    offer_rewards = provide(OfferRewards)
    make_invites = provide(MakeInvites)
    redeem_invites = provide(RedeemInvites)
    complete_sign_ups = provide(CompleteSignUps)
    start_sessions = provide(StartSessions)
    end_sessions = provide(EndSessions)
    change_passwords = provide(ChangePasswords)

    @provide
    def grant(self, batch: GrantCredits, commits: Commits) -> Single[Keyed[Grant], Granted]:
        # By event key: two grants for one event meet in one lane, whoever they are for.
        return commits.of(batch, key=lambda keyed: keyed.command.event_key, name="grant_credits")

    @provide
    def purchase(self, batch: PurchaseRewards, commits: Commits) -> Single[Keyed[Order], Purchase]:
        return commits.of(batch, key=lambda keyed: keyed.command.user_id, name="purchase_rewards", bounds=_HOT)

    @provide
    def purchase_all(self, batch: PurchaseOrderBatches, commits: Commits) -> Single[Keyed[OrderBatch], BatchResult]:
        return commits.of(batch, key=_first_of, name="purchase_order_batches", bounds=_ORDER_BATCHES)

    @provide
    def offer(self, batch: OfferRewards, commits: Commits) -> Single[Keyed[OfferReward | ChangeReward], Reward]:
        return commits.of(batch, key=_reward_of, name="offer_rewards")

    @provide
    def make(self, batch: MakeInvites, commits: Commits) -> Single[Keyed[NewInvite | RevokeInvite], Invite]:
        return commits.of(batch, key=lambda keyed: keyed.command.invite_id, name="make_invites")

    @provide
    def redeem(self, batch: RedeemInvites, commits: Commits) -> Single[Keyed[Redemption], Redeemed]:
        return commits.of(batch, key=lambda keyed: keyed.command.code, name="redeem_invites", bounds=_HOT)

    @provide
    def complete(self, batch: CompleteSignUps, commits: Commits) -> Single[Keyed[SignUp], SignedUp]:
        return commits.of(batch, key=lambda keyed: keyed.command.redemption.code, name="complete_sign_ups")

    @provide
    def anyone_offers(self, settings: Settings) -> AnyoneOffers:
        return AnyoneOffers(settings.reward_offers == "anyone")

    @provide
    def passwords(self, settings: Settings) -> Iterator[Passwords | None]:
        passwords = Argon2Passwords() if settings.identity == "builtin" else None
        yield passwords
        if passwords is not None:
            passwords.close()

    @provide
    def start_session(self, batch: StartSessions, commits: Commits) -> Single[NewSession, Session]:
        return commits.of(batch, key=lambda command: command.session.user_id, name="start_sessions")

    @provide
    def end_session(self, batch: EndSessions, commits: Commits) -> Single[Keyed[SignOut], Done]:
        return commits.of(batch, key=lambda keyed: keyed.command.session.user_id, name="end_sessions")

    @provide
    def change_password(self, batch: ChangePasswords, commits: Commits) -> Single[Keyed[PasswordChange], Done]:
        return commits.of(batch, key=lambda keyed: keyed.command.session.user_id, name="change_passwords")

    @provide
    def sign_in(
        self,
        reads: Reads,
        passwords: Passwords | None,
        start: Single[NewSession, Session],
        clock: Clock,
        randomness: Randomness,
    ) -> SignIn | None:
        return SignIn(reads, passwords, start, clock, randomness) if passwords is not None else None

    @provide
    def check_password(self, reads: Reads, passwords: Passwords | None) -> CheckPassword | None:
        return CheckPassword(reads, passwords) if passwords is not None else None

    @provide
    def accounts(self, keys: KeyRing) -> AccountHashes:
        return AccountHashes(Pseudonyms(keys.key("accounts")))


class Loyalty(Provider):
    """The use cases of loyalty, each behind its group commit."""

    scope = Scope.APP
    points = provide(Points)
    award_points = provide(AwardPoints)
    accrue_points = provide(AccruePoints)
    open_slips = provide(OpenSlips)
    complete_slips = provide(CompleteSlips)
    recover_slips = provide(RecoverSlips)
    recover_accruals = provide(RecoverAccruals)
    sweep_accruals = provide(SweepAccruals)

    @provide
    def tiers(self, settings: Settings) -> Tiers:
        return settings.tiers

    @provide
    def referral_points(self, settings: Settings) -> ReferralPoints:
        return settings.referral_rules

    @provide
    def games(self, settings: Settings) -> Games:
        return settings.games

    @provide
    def award(self, batch: AwardPoints, commits: Commits) -> Single[Keyed[Award], Accrued]:
        return commits.of(batch, key=lambda keyed: keyed.command.player_id, name="award_points", bounds=_HOT)

    @provide
    def accrue(self, batch: AccruePoints, commits: Commits) -> Single[Keyed[Earnings], Credited]:
        return commits.of(batch, key=_first_player_of, name="accrue_points", bounds=_ORDER_BATCHES)

    @provide
    def open_one(self, batch: OpenSlips, commits: Commits) -> Single[Keyed[NewSlip], Slip]:
        return commits.of(batch, key=lambda keyed: keyed.command.slip_id, name="open_slips")

    @provide
    def complete(self, batch: CompleteSlips, commits: Commits) -> Single[Keyed[CompleteSlip], Completed]:
        return commits.of(batch, key=lambda keyed: keyed.command.slip_id, name="complete_slips", bounds=_HOT)

    @provide
    def recover_one(self, batch: RecoverSlips, commits: Commits) -> Single[Keyed[RecoverSlip], Accrued]:
        return commits.of(batch, key=lambda keyed: keyed.command.slip_id, name="recover_slips")

    @provide
    def recover(self, batch: RecoverAccruals, commits: Commits) -> Single[Keyed[Recovery], Accrued]:
        return commits.of(batch, key=lambda keyed: keyed.command.event.user_id, name="recover_accruals")


class Http(Provider):
    """The routers, and the application around them."""

    scope = Scope.APP
    referrals = provide(staticmethod(referrals_router))
    resolver = provide(staticmethod(resolver_router))
    users = provide(staticmethod(users_router))
    credits = provide(staticmethod(credits_router))
    rewards = provide(staticmethod(rewards_router))
    invites = provide(staticmethod(invites_router))
    loyalty = provide(staticmethod(loyalty_router))
    audit = provide(staticmethod(audit_router))
    rating_slips = provide(staticmethod(rating_slips_router))
    pending_accruals = provide(staticmethod(pending_accruals_router))
    sign_up = provide(staticmethod(sign_up_router))
    sessions = provide(staticmethod(sessions_router))
    webhooks = provide(staticmethod(webhooks_router))
    operations = provide(staticmethod(operations_router))
    administration = provide(staticmethod(administration_router))
    deletion = provide(staticmethod(deletion_router))
    exports = provide(staticmethod(exports_router))
    switchboard = provide(staticmethod(flags_router))
    routers = collect(Router)

    @provide
    def caller_guard(
        self, limiter: RateLimiter, check_caller: Single[Principal, CallerState], settings: Settings, metrics: Metrics
    ) -> CallerGuard:
        return CallerGuard(limiter, check_caller, TrustedProxies(settings.trusted_proxies), metrics)

    @provide
    def metrics_access(self, settings: Settings) -> MetricsAccess:
        return MetricsAccess(settings.metrics_tokens, has_listener=settings.metrics_address is not None)

    @provide
    def log_rules(self, settings: Settings) -> LogRules:
        return LogRules(
            slow_seconds=settings.slow_request_ms / 1000,
            writes=settings.log_writes == "on",
            all_requests=settings.log_level == "debug",
        )

    @provide
    def app(
        self,
        routers: list[Router],
        authentication: Authentication,
        metrics: PrometheusMetrics,
        randomness: Randomness,
        pseudonyms: Pseudonyms,
        fingerprints: Fingerprints,
        settings: Settings,
        log_rules: LogRules,
    ) -> App:
        return App(
            build_app(
                routers,
                authentication=authentication,
                metrics=metrics,
                randomness=randomness,
                pseudonyms=pseudonyms,
                fingerprints=fingerprints,
                version=__version__,
                cors=Cors(settings.allowed_origins, settings.allowed_headers),
                log_rules=log_rules,
            )
        )

    @provide
    def metrics_app(
        self,
        metrics: PrometheusMetrics,
        access: MetricsAccess,
        randomness: Randomness,
        pseudonyms: Pseudonyms,
        log_rules: LogRules,
    ) -> MetricsApp:
        return MetricsApp(
            metrics_app(metrics, access, randomness=randomness, pseudonyms=pseudonyms, log_rules=log_rules)
        )


def _reward_of(keyed: Keyed[OfferReward | ChangeReward]) -> RewardId:
    command = keyed.command
    return command.reward.reward_id if isinstance(command, OfferReward) else command.reward_id


def _first_of(keyed: Keyed[OrderBatch]) -> str:
    return keyed.command.orders[0].order_id


def _first_player_of(keyed: Keyed[Earnings]) -> UserId:
    return keyed.command.earnings[0].player_id


def _store(store: Store) -> Provider:
    if store == "memory":
        return MemoryStore()
    from tallystick.entrypoints.wiring_postgres import PostgresStore  # noqa: PLC0415  memory runs without the driver

    return PostgresStore()


def build(settings: Settings, store: Store, *replacements: Provider) -> AsyncContainer:
    """Return the graph for one process; tests replace parts of it."""
    return make_async_container(
        _store(store),
        Runtime(),
        Switchboard(),
        Identity(),
        Referrals(),
        LegacyMetadata(),
        Wallets(),
        Loyalty(),
        Http(),
        *replacements,
        context={Settings: settings},
    )
