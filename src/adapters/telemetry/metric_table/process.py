"""Metrics of a process: its version, its event loop, its readiness and its resources."""

from typing import get_args

from tallystick.adapters.telemetry.metric import Metric
from tallystick.application.readiness import CheckName

PROCESS = (
    Metric(
        name="build_info",
        kind="gauge",
        unit="",
        help="The version that runs, and its Python; always 1.",
        labels={"version": "versions", "python": "versions"},
        panel="overview",
        merge="livemax",
    ),
    Metric(
        name="ready",
        kind="gauge",
        unit="",
        help="1 while the process takes requests, as GET /readyz says; 0 before the first check.",
        panel="overview",
        merge="livemin",
    ),
    Metric(
        name="readiness_faults",
        kind="gauge",
        unit="",
        help="1 for each topic with a fault that keeps the process from being ready.",
        labels={"topic": (*get_args(CheckName), "shutdown")},
        panel="overview",
        merge="livemax",
    ),
    Metric(
        name="requests_in_flight",
        kind="gauge",
        unit="requests",
        help="Requests that are being answered; streams are left out.",
        panel="overview",
        merge="livesum",
    ),
    Metric(
        name="event_loop_lag_seconds",
        kind="histogram",
        unit="seconds",
        help="By how much a pause of a quarter of a second took longer, because the event loop was busy.",
        panel="overview",
        buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    ),
    Metric(
        name="flags_age_seconds",
        kind="gauge",
        unit="seconds",
        help="The time since the flags were last read from the database.",
        panel="overview",
        merge="livemax",
    ),
    Metric(
        name="process_cpu_seconds",
        kind="counter",
        unit="seconds",
        help="Processor time that the process used.",
        panel="overview",
    ),
    Metric(
        name="process_resident_memory_bytes",
        kind="gauge",
        unit="bytes",
        help="Memory that the process holds.",
        panel="overview",
        merge="livesum",
    ),
    Metric(
        name="process_open_files",
        kind="gauge",
        unit="files",
        help="Open files and sockets of the process.",
        panel="overview",
        merge="livesum",
    ),
    Metric(
        name="process_start_time_seconds",
        kind="gauge",
        unit="seconds",
        help="The start of the process, in seconds since 1970.",
        panel="overview",
        merge="livemax",
    ),
)
