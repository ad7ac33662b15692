"""Metrics of credits, rewards and points."""

from tallystick.adapters.telemetry.metric import Metric

MONEY = (
    Metric(
        name="idempotency_hits",
        kind="counter",
        unit="requests",
        help="Requests answered with the first reply to their key.",
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
