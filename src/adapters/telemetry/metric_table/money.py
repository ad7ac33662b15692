"""Metrics of credits, rewards and points."""

from tallystick.adapters.telemetry.metric import Metric
from tallystick.application.invariants import PROMISES

MONEY = (
    Metric(
        name="idempotency_hits",
        kind="counter",
        unit="requests",
        help="Requests answered with the first reply to their key.",
        panel="money",
    ),
    Metric(
        name="negative_balance_attempts",
        kind="counter",
        unit="writes",
        help="Writes that would have made a balance negative, and were refused by the database: a bug.",
        panel="money",
    ),
    Metric(
        name="invariant_violations",
        kind="gauge",
        unit="rows",
        help="Rows that break a promise, as far as the looks have found them; no series before the first look.",
        labels={"promise": tuple(PROMISES)},
        panel="money",
    ),
    Metric(
        name="invariant_pass_began_timestamp_seconds",
        kind="gauge",
        unit="seconds",
        help=(
            "The time since which every row of a promise was looked at, in seconds since 1970; "
            "that of the beginning, until the first pass has ended."
        ),
        labels={"promise": tuple(PROMISES)},
        panel="money",
    ),
    Metric(
        name="invariants_checked_timestamp_seconds",
        kind="gauge",
        unit="seconds",
        help="The time of the last look at the invariants, in seconds since 1970; 0 before the first one.",
        panel="money",
    ),
    Metric(
        name="invariants_unchecked",
        kind="gauge",
        unit="promises",
        help="Promises that the last look could not judge: rows are hidden, or the count took too long.",
        panel="money",
    ),
    Metric(
        name="invariants_interval_seconds",
        kind="gauge",
        unit="seconds",
        help="The time between two looks at the invariants; 0 where no look is scheduled.",
        panel="money",
    ),
    Metric(
        name="accrual_outcomes",
        kind="counter",
        unit="accruals",
        help="Points that were to be credited, by outcome.",
        labels={"outcome": ("credited", "repeated", "refused", "pending", "recovered")},
        panel="loyalty",
    ),
    Metric(
        name="pending_accruals",
        kind="gauge",
        unit="accruals",
        help="Pending accruals that need an operator; those that wait for a phone or for the daily cap are left out.",
        panel="loyalty",
    ),
    Metric(
        name="pending_accruals_oldest_seconds",
        kind="gauge",
        unit="seconds",
        help="For how long the oldest of them has waited; 0 where none waits.",
        panel="loyalty",
    ),
)
