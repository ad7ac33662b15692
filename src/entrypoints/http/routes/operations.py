"""Operations: health, readiness, metrics and invariants, for operators and their machines."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal, get_args

import msgspec
from litestar import Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from tallystick import __version__
from tallystick.adapters.telemetry.logs import logger
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.invariant_reports import ReportInvariants
from tallystick.application.invariants import Invariant
from tallystick.application.ports import Clock, Metrics
from tallystick.application.readiness import Blocked, CheckName, Fault, Purpose, ReadinessCheck
from tallystick.application.shared_answers import SharedAnswer
from tallystick.domain.refusals import Unauthenticated
from tallystick.entrypoints.http.authentication import PUBLIC
from tallystick.entrypoints.http.caller_guard import PERMISSION, CallerGuard
from tallystick.entrypoints.http.document.documented_routes import DOCUMENTED_REPLY
from tallystick.entrypoints.http.document.pages import PATH
from tallystick.entrypoints.http.metrics_access import PATH as METRICS_PATH
from tallystick.entrypoints.http.metrics_access import MetricsAccess
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.refusals import MetricsRefused, RouteNotFound
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import ApiRequest

_READY_SECONDS = 1.0
_NOT_READY: Sequence[Blocked] = ("requests", "writes")


class About(msgspec.Struct, frozen=True):
    """The name and the version of the service."""

    service: str
    version: str
    """The version of the service."""
    documentation: str


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"
    """Always `ok`."""


class Readiness(msgspec.Struct, frozen=True):
    """Whether this instance takes requests, and the reasons if it does not."""

    status: Literal["ready", "not ready"]
    """Whether requests are taken."""
    reasons: list[str]
    notes: list[str]
    """Sentences for the operator of an instance, ready or not."""


class PromiseReport(msgspec.Struct, frozen=True):
    """Every promise with its number of violations, at the time of the last count."""

    kept: bool
    items: list[Invariant]
    """Every promise."""
    checked_at: datetime
    """The time at which the count began."""
    age_seconds: float
    """The age of the count, in seconds."""


class ReadinessProbe:
    """Checks everything that the service depends on, at most once a second; not ready while draining.

    Changes of the answer are logged, with details that callers do not see.
    """

    def __init__(self, checks: Sequence[ReadinessCheck], clock: Clock, metrics: Metrics) -> None:
        self._checks, self._clock = checks, clock
        self._turn = asyncio.Lock()
        self._answered_at = float("-inf")
        self._faults: list[Fault] = []
        self._draining = False
        # They are read by sampling, because `drain` runs in a handler of a signal, which must take no lock.
        metrics.watch("ready", self._is_ready)
        for topic in get_args(CheckName):
            metrics.watch("readiness_faults", partial(self._has_fault, topic), label=topic)
        metrics.watch("readiness_faults", lambda: self._draining, label="shutdown")

    def _is_ready(self) -> bool:
        return not self._draining and not _reasons(self._faults) and self._answered_at > float("-inf")

    def _has_fault(self, topic: CheckName) -> bool:
        return any(fault.topic == topic and fault.blocks != "nothing" for fault in self._faults)

    def drain(self) -> None:
        """Answer "not ready" from now on: the process is about to end."""
        self._draining = True

    async def reasons(self, purpose: Purpose | None = None) -> list[str]:
        """Return the reasons against readiness, or against requests that only read; none when ready."""
        if self._draining:
            return ["the process is shutting down"]
        async with self._turn:
            if self._clock.monotonic() - self._answered_at >= _READY_SECONDS:
                found = [fault for check in self._checks for fault in await check()]
                self._answered_at = self._clock.monotonic()
                self._turn_to(found)
        return _reasons(self._faults, ("requests",) if purpose == "reads" else _NOT_READY)

    @property
    def notes(self) -> list[str]:
        """Sentences for the operator, of the last look."""
        return _reasons(self._faults, ("nothing",))

    def _turn_to(self, faults: list[Fault]) -> None:
        before, self._faults = self._faults, faults
        reasons, earlier = _reasons(faults), _reasons(before)
        if reasons and reasons != earlier:
            logger().warning("not ready", reasons=[fault.explained for fault in faults if fault.blocks != "nothing"])
        elif reasons != earlier:
            logger().info("ready again", reasons=[], after=earlier)
        if self.notes != _reasons(before, ("nothing",)):
            logger().info("readiness notes", notes=self.notes)


def _reasons(faults: Sequence[Fault], blocked: Sequence[Blocked] = _NOT_READY) -> list[str]:
    return [fault.reason for fault in faults if fault.blocks in blocked]


def operations_router(probe: ReadinessProbe, metrics: PrometheusMetrics, access: MetricsAccess) -> Router:
    """Return the routes that machines ask."""

    @get("/", opt={PUBLIC: True})
    async def describe_service() -> About:
        """Return name and version; clicks land on this page until TALLYSTICK_APP_URL names the app."""
        return About("tallystick", __version__, PATH)

    @get("/healthz", opt={PUBLIC: True})
    async def check_health() -> Health:
        """Answer 200 while the process answers."""
        return Health()

    @get("/readyz", opt={PUBLIC: True}, responses={503: ResponseSpec(Readiness, description="Not ready, and why")})
    async def check_readiness(
        purpose: Annotated[Purpose | None, QueryParameter(name="for")] = None,
    ) -> Response[Readiness]:
        """Return whether this instance takes requests.

        With `for=reads`, whether it takes requests that change nothing: it does while the database is read-only.
        """
        reasons = await probe.reasons(purpose)
        if reasons:
            return Response(Readiness("not ready", reasons, probe.notes), status_code=503)
        return Response(Readiness("ready", [], probe.notes))

    @get(
        METRICS_PATH,
        opt={
            PUBLIC: True,
            FAILURES: (MetricsRefused, Unauthenticated, RouteNotFound),
            DOCUMENTED_REPLY: {"text/plain": str},
        },
        media_type="text/plain",
    )
    async def get_metrics(request: ApiRequest) -> Response[bytes]:
        """Return the metrics in the text format of Prometheus.

        The caller has the token of metrics, or is on the same machine.
        """
        access.check(context_of(request.scope))
        body, content_type = metrics.exposition()
        return Response(body, media_type=content_type)

    return Router(
        "", route_handlers=[describe_service, check_health, check_readiness, get_metrics], tags=["Operations"]
    )


def administration_router(report: ReportInvariants, caller_guard: CallerGuard, clock: Clock) -> Router:
    """Return the routes of administrators."""
    # Each request counts again, but one at a time; slow counts run for half of the time at most.
    shared_count = SharedAnswer(report, clock, fresh_seconds=0.0, stale_seconds=0.0)

    @get("/invariants", opt={PERMISSION: "admin:read"})
    async def count_violations() -> PromiseReport:
        """Count violations of the promises; slow on large tables.

        One count runs at a time, on a connection of its own. Requests during a count get the last result; see
        `age_seconds`.
        """
        counted = await shared_count()
        kept = all(invariant.is_kept for invariant in counted.value)
        return PromiseReport(kept, counted.value, counted.computed_at, round(counted.age_seconds, 3))

    return Router("/api/admin", route_handlers=[count_violations], guards=[caller_guard.guard], tags=["Administration"])
