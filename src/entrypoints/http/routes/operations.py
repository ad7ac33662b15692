"""What operators and their machines ask: alive, ready, measured, and are the promises kept."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from litestar import Response, Router, get
from litestar.openapi.datastructures import ResponseSpec

from tallystick import __version__
from tallystick.adapters.telemetry.logs import logger
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.invariants import Invariant
from tallystick.application.ports import Clock
from tallystick.application.readiness import Check, Fault
from tallystick.application.reads import SlowReads
from tallystick.application.shared_answers import SharedAnswer
from tallystick.domain.refusals import Unauthenticated
from tallystick.entrypoints.http.authentication import PUBLIC
from tallystick.entrypoints.http.caller_guard import PERMISSION, CallerGuard
from tallystick.entrypoints.http.documentation import PATH
from tallystick.entrypoints.http.metrics_access import PATH as METRICS_PATH
from tallystick.entrypoints.http.metrics_access import MetricsAccess
from tallystick.entrypoints.http.problems import REFUSALS
from tallystick.entrypoints.http.refusals import MetricsRefused, RouteNotFound
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import ApiRequest

_READY_SECONDS = 1.0


class About(msgspec.Struct, frozen=True):
    """What answers here."""

    service: str
    version: str
    documentation: str


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """Whether requests should be sent here, and if not, why."""

    status: Literal["ready", "not ready"]
    reasons: list[str]


class PromiseReport(msgspec.Struct, frozen=True):
    """Every promise and how often it is broken, as of when it was last counted."""

    kept: bool
    items: list[Invariant]
    checked_at: datetime
    """When the count began."""
    age_seconds: float
    """How long ago that is."""


class ReadinessProbe:
    """Asks everything that the service depends on, at most once a second, and says no while draining.

    What changes in its answer is logged, with the details that callers do not see.
    """

    def __init__(self, checks: Sequence[Check], clock: Clock) -> None:
        self._checks, self._clock = checks, clock
        self._turn = asyncio.Lock()
        self._answered_at = float("-inf")
        self._reasons: list[str] = []
        self._draining = False

    def drain(self) -> None:
        """Say no from now on: the process is about to end."""
        self._draining = True

    async def reasons(self) -> list[str]:
        """Return why not; empty when ready."""
        if self._draining:
            return ["the process is shutting down"]
        async with self._turn:
            if self._clock.monotonic() - self._answered_at >= _READY_SECONDS:
                found = [fault for check in self._checks for fault in await check()]
                self._answered_at = self._clock.monotonic()
                self._turn_to(found)
        return self._reasons

    def _turn_to(self, faults: Sequence[Fault]) -> None:
        reasons = [fault.reason for fault in faults]
        if reasons == self._reasons:
            return
        if reasons:
            logger().warning("not ready", reasons=[fault.explained for fault in faults])
        else:
            logger().info("ready again", reasons=[], after=self._reasons)
        self._reasons = reasons


def operations_router(probe: ReadinessProbe, metrics: PrometheusMetrics, access: MetricsAccess) -> Router:
    """Return the routes that machines ask."""

    @get("/", opt={PUBLIC: True})
    async def about() -> About:
        """Say what answers here; clicks land on it until TALLYSTICK_APP_URL names the app."""
        return About("tallystick", __version__, PATH)

    @get("/healthz", opt={PUBLIC: True})
    async def healthz() -> Health:
        """Say that the process answers."""
        return Health()

    @get("/readyz", opt={PUBLIC: True}, responses={503: ResponseSpec(Readiness, description="Not ready, and why")})
    async def readyz() -> Response[Readiness]:
        """Say whether requests should be sent here."""
        reasons = await probe.reasons()
        if reasons:
            return Response(Readiness("not ready", reasons), status_code=503)
        return Response(Readiness("ready", []))

    @get(
        METRICS_PATH,
        opt={PUBLIC: True, REFUSALS: (MetricsRefused, Unauthenticated, RouteNotFound)},
        media_type="text/plain",
    )
    async def scrape(request: ApiRequest) -> Response[bytes]:
        """Return the measurements in the text format of Prometheus; with a token, or on the machine itself."""
        access.check(context_of(request.scope))
        body, content_type = metrics.exposition()
        return Response(body, media_type=content_type)

    return Router("", route_handlers=[about, healthz, readyz, scrape], tags=["Operations"])


def administration_router(reads: SlowReads, caller_guard: CallerGuard, clock: Clock) -> Router:
    """Return the routes of administrators."""

    async def count() -> list[Invariant]:
        return list(await reads(lambda stores: stores.invariants.count()))

    # Counted anew for each request, but one at a time, and for half of the time at most where a count takes long.
    shared_count = SharedAnswer(count, clock, fresh_seconds=0.0, stale_seconds=0.0)

    @get("/invariants", opt={PERMISSION: "admin:read"})
    async def invariants() -> PromiseReport:
        """Count broken promises; slow on large tables.

        One count runs at a time, on a connection of its own. Who asks meanwhile gets the last one: see `age_seconds`.
        """
        counted = await shared_count()
        kept = not any(invariant.violations for invariant in counted.value)
        return PromiseReport(kept, counted.value, counted.computed_at, round(counted.age_seconds, 3))

    return Router("/api/admin", route_handlers=[invariants], guards=[caller_guard.guard], tags=["Administration"])
