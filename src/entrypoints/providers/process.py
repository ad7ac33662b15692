"""The single instances of a process: its clock, its metrics, its flags, its limits and its background tasks."""

import asyncio
from collections.abc import AsyncIterator

from dishka import Provider, Scope, alias, decorate, from_context, provide

from tallystick import __version__
from tallystick.adapters.open_files import open_files
from tallystick.adapters.rate_limits.limiter import SlidingWindows
from tallystick.adapters.system import AgreedClock, SystemClock, SystemRandomness, seconds_since_boot
from tallystick.adapters.telemetry.metrics import KnownLabels, PrometheusMetrics
from tallystick.adapters.telemetry.store_calls import MeasuredTransactions
from tallystick.application.clicks import Clicks
from tallystick.application.exports import ReadExport
from tallystick.application.flags import FollowedFlags
from tallystick.application.group_commit import Single
from tallystick.application.invariant_looks import LookAtPromises
from tallystick.application.invariant_reports import ReportInvariants
from tallystick.application.legacy_metadata import MirrorMetadata, NoteCodes
from tallystick.application.minting import DrawCandidates
from tallystick.application.overlays import NoteOverlay
from tallystick.application.ports import ChangeSignal, Clock, Metrics, Randomness, RateLimiter
from tallystick.application.reads import CallerState, Reads, SlowReads
from tallystick.application.reconciliation import ReconcileMetadata
from tallystick.application.retention import TrimLogs
from tallystick.application.stream_frames import FramePages
from tallystick.application.stream_hub import Hub, StreamLimits
from tallystick.application.stream_placements import Placement, Start
from tallystick.application.topic_news import TopicNews
from tallystick.application.topics import AnnounceTopics
from tallystick.application.tracing import SILENT, Tracer
from tallystick.application.transactions import Transactions
from tallystick.domain.bounds import UserBounds
from tallystick.domain.codes import draw_candidates
from tallystick.domain.flags import Flags, Pins
from tallystick.domain.identity import Principal
from tallystick.domain.loyalty import Tiers
from tallystick.domain.rating_slips import Games
from tallystick.domain.referral_points import ReferralPoints
from tallystick.domain.retention import Retention
from tallystick.entrypoints.group_commits import GroupCommits
from tallystick.entrypoints.http.links import Addresses
from tallystick.entrypoints.http.routes.frames import encode_frame
from tallystick.entrypoints.settings import Settings
from tallystick.entrypoints.worker.clicks import FlushClicks
from tallystick.entrypoints.worker.flags import FollowFlags
from tallystick.entrypoints.worker.looking import LookAtInvariants
from tallystick.entrypoints.worker.mirror import MirrorLater
from tallystick.entrypoints.worker.nightly import Nightly
from tallystick.entrypoints.worker.overlays import SweepOverlays
from tallystick.entrypoints.worker.trimming import Trimming
from tallystick.entrypoints.worker.upkeep import Upkeep
from tallystick.entrypoints.worker.vitals import Vitals


class Process(Provider):
    """The single instances of a process: its clock, its metrics, its flags, its limits and its background tasks."""

    scope = Scope.APP
    settings = from_context(provides=Settings)
    addresses = from_context(provides=Addresses)
    known_labels = from_context(provides=KnownLabels)
    machine_clock = provide(SystemClock)
    clock = alias(source=AgreedClock, provides=Clock)
    randomness = provide(SystemRandomness, provides=Randomness)
    prometheus = provide(PrometheusMetrics)
    metrics = alias(source=PrometheusMetrics, provides=Metrics)
    measured = decorate(MeasuredTransactions, provides=Transactions)
    commits = provide(GroupCommits)
    followed_flags = provide(FollowedFlags)
    flags = alias(source=FollowedFlags, provides=Flags)
    flush_clicks = provide(FlushClicks)
    upkeep = provide(Upkeep)
    report_invariants = provide(ReportInvariants)
    look_at_promises = provide(LookAtPromises)
    trim_logs = provide(TrimLogs)
    trimming = provide(Trimming)
    vitals = provide(Vitals)

    news = provide(TopicNews)
    sweep_overlays = provide(SweepOverlays)

    @provide
    def agreed_clock(self, machine: SystemClock) -> AgreedClock:
        return AgreedClock(machine, seconds_since_boot)

    @provide
    async def tracer(
        self, settings: Settings, clock: Clock, randomness: Randomness, metrics: Metrics
    ) -> AsyncIterator[Tracer]:
        if settings.otlp_endpoint is None:
            yield SILENT
            return
        from tallystick.adapters.telemetry.otlp import OtlpTracer  # noqa: PLC0415  the packages are an extra

        tracer = OtlpTracer(
            settings.otlp_endpoint,
            headers=settings.otlp_headers,
            ratio=settings.trace_ratio,
            version=__version__,
            clock=clock,
            randomness=randomness,
            metrics=metrics,
        )
        yield tracer
        await asyncio.to_thread(tracer.close)

    @provide
    def stream_limits(self) -> StreamLimits:
        return StreamLimits.within(open_files())

    @provide
    def announce(self, news: TopicNews) -> AnnounceTopics:
        return news.announce

    @provide
    def note_overlay(self, sweep: SweepOverlays) -> NoteOverlay:
        return sweep.wake

    @provide
    def hub(
        self,
        reads: Reads,
        place_stream: Single[Placement, list[Start]],
        check_caller: Single[Principal, CallerState],
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
        limits: StreamLimits,
    ) -> Hub:
        pages = FramePages(reads, encode_frame, metrics)
        return Hub(reads, pages, place_stream, check_caller, clock, randomness, metrics, limits)

    @provide
    def pins(self, settings: Settings) -> Pins:
        return settings.flags

    @provide
    def bounds(self, settings: Settings) -> UserBounds:
        return settings.bounds

    @provide
    def tiers(self, settings: Settings) -> Tiers:
        return settings.tiers

    @provide
    def games(self, settings: Settings) -> Games:
        return settings.games

    @provide
    def referral_points(self, settings: Settings) -> ReferralPoints:
        return settings.referral_rules

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

    @provide
    def follow(self, flags: FollowedFlags, signal: ChangeSignal) -> FollowFlags:
        return FollowFlags(flags, signal)

    @provide
    def mirror_later(self, mirror: MirrorMetadata, flags: Flags, metrics: Metrics, commits: GroupCommits) -> NoteCodes:
        later = MirrorLater(mirror, flags, metrics)
        commits.close_afterwards(later.close)
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

    @provide
    def looks(
        self,
        transactions: Transactions,
        look: LookAtPromises,
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
        settings: Settings,
    ) -> LookAtInvariants:
        every = settings.invariants_every_seconds
        return LookAtInvariants(transactions, look, clock, randomness, metrics, every_seconds=every)

    @provide
    def retention(self, settings: Settings) -> Retention:
        return settings.retention
