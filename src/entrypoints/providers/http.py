"""HTTP: the routers, and the application around them."""

from typing import NewType

from dishka import Provider, Scope, collect, provide
from litestar import Litestar, Router
from litestar.types import ASGIApp

from tallystick import __version__
from tallystick.adapters.telemetry.logs import Pseudonyms
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.fingerprints import Fingerprints
from tallystick.application.group_commit import Single
from tallystick.application.ports import Metrics, Randomness, RateLimiter
from tallystick.application.reads import CallerState
from tallystick.application.tracing import Tracer
from tallystick.domain.identity import Principal
from tallystick.entrypoints.http.app import build_app, build_framework
from tallystick.entrypoints.http.authentication import Authentication
from tallystick.entrypoints.http.caller_guard import CallerGuard
from tallystick.entrypoints.http.clients import TrustedProxies
from tallystick.entrypoints.http.cors import Cors
from tallystick.entrypoints.http.links import Addresses
from tallystick.entrypoints.http.metrics_access import MetricsAccess
from tallystick.entrypoints.http.metrics_listener import metrics_app
from tallystick.entrypoints.http.request_log import LogRules
from tallystick.entrypoints.http.routes.audit import audit_router
from tallystick.entrypoints.http.routes.channels import channels_router
from tallystick.entrypoints.http.routes.credits import credits_router
from tallystick.entrypoints.http.routes.deletion import deletion_router
from tallystick.entrypoints.http.routes.exports import exports_router
from tallystick.entrypoints.http.routes.flags import flags_router
from tallystick.entrypoints.http.routes.invites import invites_router
from tallystick.entrypoints.http.routes.loyalty import loyalty_router
from tallystick.entrypoints.http.routes.messages import messages_router
from tallystick.entrypoints.http.routes.operations import administration_router, operations_router
from tallystick.entrypoints.http.routes.overlays import overlays_router
from tallystick.entrypoints.http.routes.pending_accruals import pending_accruals_router
from tallystick.entrypoints.http.routes.rating_slips import rating_slips_router
from tallystick.entrypoints.http.routes.referrals import referrals_router
from tallystick.entrypoints.http.routes.resolver import resolver_router
from tallystick.entrypoints.http.routes.rewards import AnyoneOffers, rewards_router
from tallystick.entrypoints.http.routes.sessions import sessions_router
from tallystick.entrypoints.http.routes.sign_up import sign_up_router
from tallystick.entrypoints.http.routes.stage_rooms import stage_rooms_router
from tallystick.entrypoints.http.routes.streams import streams_router
from tallystick.entrypoints.http.routes.users import users_router
from tallystick.entrypoints.http.routes.webhooks import webhooks_router
from tallystick.entrypoints.settings import Settings

App = NewType("App", ASGIApp)  # type: ignore[valid-newtype]  # a key of the graph; a callable at run time
MetricsApp = NewType("MetricsApp", ASGIApp)  # type: ignore[valid-newtype]  # as above


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
    channels = provide(staticmethod(channels_router))
    messages = provide(staticmethod(messages_router))
    stage_rooms = provide(staticmethod(stage_rooms_router))
    overlays = provide(staticmethod(overlays_router))
    streams = provide(staticmethod(streams_router))
    sessions = provide(staticmethod(sessions_router))
    webhooks = provide(staticmethod(webhooks_router))
    operations = provide(staticmethod(operations_router))
    administration = provide(staticmethod(administration_router))
    deletion = provide(staticmethod(deletion_router))
    exports = provide(staticmethod(exports_router))
    flags = provide(staticmethod(flags_router))
    routers = collect(Router)

    @provide
    def caller_guard(
        self, limiter: RateLimiter, check_caller: Single[Principal, CallerState], settings: Settings, metrics: Metrics
    ) -> CallerGuard:
        return CallerGuard(limiter, check_caller, TrustedProxies(settings.trusted_proxies), metrics)

    @provide
    def anyone_offers(self, settings: Settings) -> AnyoneOffers:
        return AnyoneOffers(settings.reward_offers == "anyone")

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
    def framework(
        self,
        routers: list[Router],
        authentication: Authentication,
        metrics: PrometheusMetrics,
        fingerprints: Fingerprints,
        addresses: Addresses,
    ) -> Litestar:
        return build_framework(
            routers,
            authentication=authentication,
            metrics=metrics,
            fingerprints=fingerprints,
            version=__version__,
            servers=[{"url": addresses.public_base_url.rstrip("/"), "description": "This server."}],
        )

    @provide
    def app(
        self,
        framework: Litestar,
        authentication: Authentication,
        caller_guard: CallerGuard,
        metrics: PrometheusMetrics,
        randomness: Randomness,
        pseudonyms: Pseudonyms,
        settings: Settings,
        log_rules: LogRules,
        tracer: Tracer,
    ) -> App:
        return App(
            build_app(
                framework,
                authentication=authentication,
                caller_guard=caller_guard,
                metrics=metrics,
                randomness=randomness,
                pseudonyms=pseudonyms,
                cors=Cors(settings.allowed_origins, settings.allowed_headers),
                log_rules=log_rules,
                tracer=tracer,
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
