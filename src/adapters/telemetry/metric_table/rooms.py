"""Metrics of streams and their topics."""

from typing import get_args

from tallystick.adapters.telemetry.metric import Metric
from tallystick.domain.streams import EndReason

ROOMS = (
    Metric(
        name="stream_ends",
        kind="counter",
        unit="streams",
        help="Streams that ended, by the reason that the client was given; `client_left` for closed connections.",
        labels={"reason": get_args(EndReason)},
        panel="rooms",
    ),
    Metric(
        name="open_streams",
        kind="gauge",
        unit="streams",
        help="Streams that are open.",
        panel="rooms",
        merge="livesum",
    ),
    Metric(
        name="event_gaps",
        kind="counter",
        unit="pages",
        help="Pages of events whose numbers were not consecutive; it must stay 0.",
        panel="rooms",
    ),
)
