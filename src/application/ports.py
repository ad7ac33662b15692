"""Ports that belong to no capability: time, randomness, metrics, notifications and rate limits."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from tallystick.application.limit_groups import LimitGroup
from tallystick.domain.refusals import Unavailable

CounterName = Literal[
    "accrual_outcomes",
    "alias_hits",
    "attribution_overwrite_attempts",
    "click_write_failures",
    "clicks_forgotten",
    "collision_retries",
    "double_mint_attempts",
    "event_gaps",
    "group_commit_retries",
    "group_commit_shed",
    "group_commit_splits",
    "idempotency_hits",
    "identity_key_fetches",
    "legacy_drift_found",
    "limit_hits",
    "limit_storage_failures",
    "metadata_mirror_write_failures",
    "negative_balance_attempts",
    "referral_api_mint_attempts",
    "resolver_outcomes",
    "store_errors",
    "store_rows",
    "stream_ends",
    "token_refusals",
    "trace_spans_dropped",
    "unavailable_replies",
    "webhook_out_of_order",
    "webhook_replays",
    "webhook_refusals",
]
HistogramName = Literal[
    "event_loop_lag_seconds",
    "group_commit_batch_size",
    "mint_retries",
    "store_call_seconds",
    "time_to_code_seconds",
    "webhook_delivery_seconds",
    "webhook_lag_seconds",
]
GaugeName = Literal[
    "clock_difference_seconds",
    "flags_age_seconds",
    "group_commit_queue_age_seconds",
    "group_commit_queue_length",
    "identity_keys_fetched_timestamp_seconds",
    "invariant_pass_began_timestamp_seconds",
    "invariant_violations",
    "invariants_checked_timestamp_seconds",
    "invariants_interval_seconds",
    "invariants_unchecked",
    "legacy_drift",
    "limit_storage_paused",
    "missing_codes",
    "open_streams",
    "pending_accruals",
    "pending_accruals_oldest_seconds",
    "pending_erasures",
    "pending_erasures_oldest_seconds",
    "pool_connections_in_use",
    "pool_connections_limit",
    "pool_connections_waiting",
    "process_open_files",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "readiness_faults",
    "ready",
    "requests_in_flight",
    "scheduled_job_success_timestamp_seconds",
]


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Return the time in UTC, with microseconds."""

    def monotonic(self) -> float:
        """Return seconds that never decrease, for deadlines."""


class Randomness(Protocol):
    """The only source of random numbers."""

    def bytes(self, count: int) -> bytes:
        """Return bytes of a CSPRNG."""

    def fraction(self) -> float:
        """Return a number in [0, 1), for jitter."""


class Metrics(Protocol):
    """Metrics, named by outcome. Labels come from small closed sets, never from a user."""

    def count(self, name: CounterName, amount: int = 1, *, label: str = "") -> None:
        """Add to a counter."""

    def observe(self, name: HistogramName, value: float, *, label: str = "") -> None:
        """Add a value to a histogram."""

    def gauge(self, name: GaugeName, value: float, *, label: str = "") -> None:
        """Set a gauge."""

    def watch(self, name: GaugeName, read: Callable[[], float], *, label: str = "") -> None:
        """Read a gauge by this function from now on, about once a second; it must not block."""


class Allowance(msgspec.Struct, frozen=True):
    """The rest of a rate limit after a request."""

    allowed: bool
    policy: bytes
    """The limits of the group, in the form of the RateLimit-Policy header."""
    remaining: int
    reset_seconds: int


class LimiterUnavailable(Unavailable):
    """The shared counters of a group that must not go uncounted cannot be reached."""

    code = "LIMITER_UNAVAILABLE"
    _failure_cause = "limiter_storage"

    def __init__(self) -> None:
        super().__init__("requests cannot be counted at the moment; nothing was done, ask again")


class ChangeSignal(Protocol):
    """Notifications of changes by other processes. They can be missed, so that a listener also polls."""

    async def listen(self) -> None:
        """Listen until cancelled; reconnect where the connection is lost."""

    async def wait(self) -> frozenset[str]:
        """Wait for a notification, and return the payloads of all since the last wait.

        An empty payload stands for any change: listening has begun, and notifications may have been missed.
        """


class TopicSignal(ChangeSignal, Protocol):
    """Notifications of topics that have new events, between the processes of one service."""

    async def notify(self, payload: str) -> None:
        """Notify the others, outside of any transaction. StoreFailure where they cannot be reached."""


class RateLimiter(Protocol):
    """Counts requests by group and caller, never by the subject of the request."""

    async def hit(self, group: LimitGroup, identity: str) -> Allowance | None:
        """Count one request; None where the group is unlimited.

        LimiterUnavailable where the counters cannot be reached and the group must not go uncounted.
        """
