"""Metrics for Prometheus; every series exists from the first scrape on."""

import os
from collections.abc import Mapping, Sequence
from typing import get_args

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from tallystick.application.limit_groups import LIMIT_GROUPS
from tallystick.application.ports import CounterName, GaugeName, HistogramName, Metrics
from tallystick.domain.refusals import Cause
from tallystick.domain.streams import EndReason
from tallystick.domain.tokens import TokenFault

_COUNTERS: Mapping[CounterName, tuple[str, str]] = {
    "accrual_outcomes": ("Points that were to be credited, by what became of them.", "outcome"),
    "alias_hit_count": ("Codes resolved through an alias.", ""),
    "attribution_overwrite_attempts": ("Attributions that would have replaced an inviter, and did not.", ""),
    "click_write_failures": ("Flushes of clicked codes that failed and are tried again.", ""),
    "clicks_forgotten": ("Clicked codes that were too many to be kept until the next flush.", ""),
    "collision_retry_count": ("Candidates for a code that were somebody's already.", ""),
    "double_mint_attempts": ("Mints for users who had a code already.", ""),
    "event_gaps": ("Pages of events whose numbers were not consecutive; it must stay 0.", ""),
    "group_commit_retries": ("Batches run again after they were aborted as a whole.", "use_case"),
    "group_commit_shed": ("Commands refused because too many waited, or for too long.", "use_case"),
    "group_commit_splits": ("Batches halved because one command failed the others.", "use_case"),
    "idempotency_hits": ("Requests answered with the first reply to their key.", ""),
    "identity_key_fetches": ("Fetches of the identity provider's keys, by what became of them.", "outcome"),
    "legacy_drift_count": ("Differences between code book and legacy metadata, by who met them.", "met_by"),
    "limit_hits": ("Requests refused by a rate limit.", "group"),
    "limit_storage_failures": ("Requests whose shared counters were out of reach.", "group"),
    "metadata_mirror_write_failures": ("Users whose code could not be mirrored to the legacy metadata.", ""),
    "referral_api_mint_attempts": ("Reads through GET /api/referral that found no code and wrote none.", ""),
    "resolver_outcomes": ("Codes asked for, by what they stood for.", "outcome"),
    "store_errors": ("Calls of a store that failed, by the class of the error.", "error"),
    "store_rows": ("Rows that calls of a store returned or were given, by operation.", "operation"),
    "stream_ends": ("Streams that the server ended, by the reason that the client was given.", "reason"),
    "token_refusals": ("Tokens and sessions that were refused with 401, by what was wrong with them.", "reason"),
    "unavailable_replies": ("Requests answered with 503, by cause.", "cause"),
    "webhook_out_of_order": ("Deliveries that came after one they should have preceded.", ""),
    "webhook_refusals": ("Deliveries without a valid signature, or of unknown shape.", "reason"),
    "webhook_replays": ("Deliveries that had been taken before.", ""),
}
_HISTOGRAMS: Mapping[HistogramName, tuple[str, str, Sequence[float]]] = {
    "group_commit_batch_size": ("Commands a batch.", "use_case", (1, 2, 4, 8, 16, 32, 64, 128, 256)),
    "store_call_seconds": (
        "Calls of a store, by operation: store and method.",
        "operation",
        (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5),
    ),
    "time_to_code_ms": (
        "From the first word of a user to their committed code.",
        "",
        (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 60000),
    ),
    "webhook_lag_ms": (
        "From the sending of a delivery to its commit; signed times are whole seconds.",
        "",
        (25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 60000, 300000),
    ),
}
_GAUGES: Mapping[GaugeName, str] = {
    "identity_keys_fetched_at_seconds": "When the identity provider's keys were last fetched, in seconds since 1970.",
    "clock_difference_seconds": "How far this machine's clock is ahead of the database's; readiness turns red past 30.",
    "legacy_drift": "Differences between code book and legacy metadata, as the last reconciliation left them.",
    "missing_code_count": "Living users without a canonical code.",
    "pending_accruals": "Points of slips and referrals that wait for being credited, by event.",
    "pending_accruals_oldest_seconds": "For how long the oldest of them has waited; 0 where none waits.",
    "pending_erasures": "Deleted users whose rows are still being erased.",
    "pending_erasures_oldest_seconds": "For how long the first of them has waited; 0 where none waits.",
}
_LABELS: Mapping[str, Sequence[str]] = {
    "identity_key_fetches": ("fetched", "failed"),
    "token_refusals": get_args(TokenFault),
    "resolver_outcomes": ("canonical", "alias", "legacy", "unknown"),
    "legacy_drift_count": ("resolver", "referrals", "mints", "reconcile"),
    "accrual_outcomes": ("credited", "repeated", "refused", "pending", "recovered"),
    "limit_hits": tuple(LIMIT_GROUPS),
    "unavailable_replies": get_args(Cause),
    "stream_ends": get_args(EndReason),
    "webhook_refusals": ("signature", "shape"),
}
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


disable_created_metrics()  # type: ignore[no-untyped-call]  # the package has no types here
# Each counter and histogram would have a second series with the time of its creation.


class PrometheusMetrics(Metrics):
    """Counters, histograms and gauges of one process, or of all workers of a server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, about, [label] if label else [], registry=self._registry)
            for name, (about, label) in _COUNTERS.items()
        }
        self._histograms = {
            name: Histogram(name, about, [label] if label else [], buckets=buckets, registry=self._registry)
            for name, (about, label, buckets) in _HISTOGRAMS.items()
        }
        self._gauges = {
            name: Gauge(name, about, registry=self._registry, multiprocess_mode="mostrecent")
            for name, about in _GAUGES.items()
        }
        self._requests = Histogram(
            "http_request_seconds",
            "Requests by route template; unmatched paths are one route.",
            ["method", "route", "status"],
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._problems = Counter(
            "http_problems",
            "Problem documents answered, by route template and code.",
            ["route", "code"],
            registry=self._registry,
        )
        # To look a child up by its labels takes a lock and costs more than to count.
        self._request_children: dict[tuple[str, str, int], Histogram] = {}
        self._counter_children: dict[tuple[CounterName, str], Counter] = {}
        self._histogram_children: dict[tuple[HistogramName, str], Histogram] = {}
        for name, labels in _LABELS.items():
            for label in labels:
                self._counters[name].labels(label)  # type: ignore[index]  # keys of one table are keys of the other

    def count(self, name: CounterName, amount: int = 1, *, label: str = "") -> None:
        if amount:
            child = self._counter_children.get((name, label))
            if child is None:
                counter = self._counters[name]
                child = self._counter_children[name, label] = counter.labels(label) if label else counter
            child.inc(amount)

    def observe(self, name: HistogramName, value: float, *, label: str = "") -> None:
        child = self._histogram_children.get((name, label))
        if child is None:
            histogram = self._histograms[name]
            child = self._histogram_children[name, label] = histogram.labels(label) if label else histogram
        child.observe(value)

    def gauge(self, name: GaugeName, value: float) -> None:
        self._gauges[name].set(value)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        child = self._request_children.get((method, route, status))
        if child is None:
            child = self._requests.labels(method, route, str(status))
            self._request_children[method, route, status] = child
        child.observe(seconds)

    def problem(self, route: str, code: str) -> None:
        """Count one answered problem document."""
        self._problems.labels(route, code).inc()

    def exposition(self) -> tuple[bytes, str]:
        """Return the page for a scrape, and its content type."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the package has no types here
        return generate_latest(registry), CONTENT_TYPE_LATEST.partition("; charset")[0]  # which the server adds
