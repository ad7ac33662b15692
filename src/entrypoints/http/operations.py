"""What operators and their machines ask: alive, ready, measured, and are the promises kept."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Literal

import msgspec
from litestar import Response, Router, get
from litestar.openapi.datastructures import ResponseSpec

from adapters.telemetry.metrics import PrometheusMetrics
from application.invariants import Invariant
from application.ports import Clock
from application.reads import Reads
from entrypoints.http.authentication import PUBLIC
from entrypoints.http.documentation import PATH
from entrypoints.http.gate import PERMISSION, Gate

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
    """Every promise and how often it is broken."""

    kept: bool
    items: list[Invariant]


class ReadinessProbe:
    """Asks the store whether it can be served from, at most once a second, and says no while draining."""

    def __init__(self, breaches: Callable[[], Awaitable[list[str]]], clock: Clock) -> None:
        self._breaches, self._clock = breaches, clock
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
                self._reasons = await self._breaches()
                self._answered_at = self._clock.monotonic()
        return self._reasons


def operations_router(probe: ReadinessProbe, metrics: PrometheusMetrics) -> Router:
    """Return the routes that machines ask."""

    @get("/", opt={PUBLIC: True})
    async def about() -> About:
        """Say what answers here; clicks land on it until TALLYSTICK_APP_URL names the app."""
        return About("tallystick", version("tallystick"), PATH)

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

    @get("/metrics", opt={PUBLIC: True}, media_type="text/plain")
    async def scrape() -> Response[bytes]:
        """Return the measurements in the text format of Prometheus."""
        body, content_type = metrics.exposition()
        return Response(body, media_type=content_type)

    return Router("", route_handlers=[about, healthz, readyz, scrape], tags=["Operations"])


def administration_router(reads: Reads, gate: Gate) -> Router:
    """Return the routes of administrators."""

    @get("/invariants", opt={PERMISSION: "admin:read"})
    async def invariants() -> PromiseReport:
        """Count broken promises; slow on large tables."""
        counted = list(await reads(lambda stores: stores.invariants.count()))
        return PromiseReport(not any(invariant.violations for invariant in counted), counted)

    return Router("/api/admin", route_handlers=[invariants], guards=[gate.guard], tags=["Administration"])
