"""Metrics of requests and rate limits."""

from typing import get_args

from tallystick.adapters.telemetry.metric import Metric
from tallystick.application.limit_groups import LIMIT_GROUPS
from tallystick.domain.refusals import Cause

REQUESTS = (
    Metric(
        name="http_request_seconds",
        kind="histogram",
        unit="seconds",
        help="Requests by method, route template and status; unmatched paths are one route, and streams are left out.",
        labels={"method": "HTTP methods", "route": "route templates", "status": "HTTP statuses"},
        panel="overview",
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    ),
    Metric(
        name="http_problems",
        kind="counter",
        unit="requests",
        help="Problem documents answered, by route template and code; a pair appears with its first answer.",
        labels={"route": "route templates", "code": "codes of failures"},
        panel="overview",
    ),
    Metric(
        name="refusals",
        kind="counter",
        unit="requests",
        help="Refusals and failures answered, by code; every code is there from the start.",
        labels={"code": "codes of failures"},
        panel="overview",
    ),
    Metric(
        name="unavailable_replies",
        kind="counter",
        unit="requests",
        help="Requests answered with 503, by cause.",
        labels={"cause": get_args(Cause)},
        panel="overview",
    ),
    Metric(
        name="limit_hits",
        kind="counter",
        unit="requests",
        help="Requests refused by a rate limit.",
        labels={"group": tuple(LIMIT_GROUPS)},
        panel="overview",
    ),
    Metric(
        name="limit_storage_failures",
        kind="counter",
        unit="requests",
        help="Requests that the shared counters did not count, because they could not be reached.",
        labels={"group": tuple(LIMIT_GROUPS)},
        panel="overview",
    ),
    Metric(
        name="limit_storage_paused",
        kind="gauge",
        unit="",
        help="1 while requests do not wait for the shared counters, because these failed three times in a row. It "
        "stays 1 until the next request that asks them succeeds.",
        panel="overview",
        merge="livemax",
    ),
    Metric(
        name="trace_spans_dropped",
        kind="counter",
        unit="spans",
        help="Spans of traces that were not sent to the collector, by reason.",
        labels={"reason": ("queue_full", "not_sent")},
        panel="overview",
    ),
)
