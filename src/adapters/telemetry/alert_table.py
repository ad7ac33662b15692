"""All alerts and objectives: the thresholds of the metrics, from which the rules of Prometheus are written."""

from tallystick.adapters.telemetry.alert import Alert, Objective


def _slow(metric: str) -> str:
    return f"histogram_quantile(0.95, sum by (le) (rate({metric}_bucket[5m]))) > 1"


def _spike(total: str, floor: float) -> str:
    """Return a condition for a rate that is four times that of the day, and above a floor a second."""
    return f"sum(rate({total}[5m])) > {floor} and sum(rate({total}[5m])) > 4 * sum(rate({total}[1d] offset 10m))"


_CONFLICTS = 'tallystick_http_request_seconds_count{status="409"}'
_LIMITED = 'tallystick_http_request_seconds_count{status="429"}'
_LAST_LOOK = (
    "(tallystick_invariants_checked_timestamp_seconds == on () group_left () "
    "max(tallystick_invariants_checked_timestamp_seconds))"
)
"""The instance that looked last: an older look of another one may have found what was repaired since."""
_RESOLVED = "tallystick_resolver_outcomes_total"

OBJECTIVES = (
    Objective(
        name="Requests",
        share=0.001,
        bad='sum(rate(tallystick_http_request_seconds_count{{status=~"5.."}}[{window}]))',
        total="sum(rate(tallystick_http_request_seconds_count[{window}]))",
        summary="Requests are answered with 5xx faster than 99.9 % in 30 days allows.",
        runbook="requests-fail",
    ),
    Objective(
        name="TimeToCode",
        share=0.05,
        bad=(
            "sum(rate(tallystick_time_to_code_seconds_count[{window}])) - "
            'sum(rate(tallystick_time_to_code_seconds_bucket{{le="1.0"}}[{window}]))'
        ),
        total="sum(rate(tallystick_time_to_code_seconds_count[{window}]))",
        summary="More than 5 % of the users wait over a second for their code.",
        runbook="time-to-code",
    ),
    Objective(
        name="WebhookLag",
        share=0.05,
        bad=(
            "sum(rate(tallystick_webhook_lag_seconds_count[{window}])) - "
            'sum(rate(tallystick_webhook_lag_seconds_bucket{{le="1.0"}}[{window}]))'
        ),
        total="sum(rate(tallystick_webhook_lag_seconds_count[{window}]))",
        summary="More than 5 % of the deliveries take over a second to be committed.",
        runbook="webhook-lag",
    ),
    Objective(
        name="Resolver",
        share=0.001,
        bad='sum(rate(tallystick_resolver_outcomes_total{{outcome="failed"}}[{window}]))',
        total="sum(rate(tallystick_resolver_outcomes_total[{window}]))",
        summary="Look-ups of codes fail faster than 99.9 % in 30 days allows.",
        runbook="resolver-errors",
    ),
)

ALERTS = (
    Alert(
        name="SlowTimeToCode",
        condition=_slow("tallystick_time_to_code_seconds"),
        lasts="5m",
        severity="ticket",
        summary="The 95th percentile of the time to a code is over a second.",
        runbook="time-to-code",
    ),
    Alert(
        name="SlowWebhooks",
        condition=_slow("tallystick_webhook_lag_seconds"),
        lasts="5m",
        severity="ticket",
        summary="The 95th percentile of the lag of webhooks is over a second.",
        runbook="webhook-lag",
    ),
    Alert(
        name="MissingCodes",
        condition="sum(tallystick_missing_codes) > 0",
        lasts="2m",
        severity="page",
        summary="Users asked for a code, or came by webhook, and have none after 10 seconds.",
        runbook="missing-codes",
    ),
    Alert(
        name="MintRetries",
        condition=(
            'sum(rate(tallystick_mint_retries_bucket{le="1.0"}[30m])) < '
            "0.99 * sum(rate(tallystick_mint_retries_count[30m]))"
        ),
        lasts="10m",
        severity="ticket",
        summary="More than 1 % of the mints need two or more further candidates: codes run out.",
        runbook="mint-retries",
    ),
    Alert(
        name="ResolverErrors",
        condition=f'sum(increase({_RESOLVED}{{outcome="failed"}}[5m])) > 5',
        lasts="2m",
        severity="page",
        summary="Look-ups of codes fail.",
        runbook="resolver-errors",
    ),
    Alert(
        name="MirrorFailures",
        condition="sum(increase(tallystick_metadata_mirror_write_failures_total[15m])) > 0",
        lasts="5m",
        severity="ticket",
        summary="New codes were not mirrored to the legacy metadata.",
        runbook="mirror-failures",
    ),
    Alert(
        name="ConflictSpike",
        condition=_spike(_CONFLICTS, 1),
        lasts="10m",
        severity="ticket",
        summary="Answers with 409 are four times as frequent as in the last day.",
        runbook="conflict-spike",
    ),
    Alert(
        name="LimitSpike",
        condition=_spike(_LIMITED, 1),
        lasts="10m",
        severity="ticket",
        summary="Answers with 429 are four times as frequent as in the last day.",
        runbook="limit-spike",
    ),
    Alert(
        name="InvariantViolated",
        condition=f"max by (promise) (tallystick_invariant_violations and on (instance) {_LAST_LOOK}) > 0",
        lasts="1m",
        severity="page",
        summary="Stored rows break the promise {{ $labels.promise }}.",
        runbook="invariant-violated",
    ),
    Alert(
        name="InvariantsNotChecked",
        condition=(
            'max(tallystick_scheduled_job_success_timestamp_seconds{schedule="check_invariants"} > 0) < '
            "time() - 3 * max(tallystick_invariants_interval_seconds > 0)"
        ),
        lasts="10m",
        severity="ticket",
        summary="No instance has looked at the invariants for three intervals.",
        runbook="invariants-not-checked",
    ),
    Alert(
        name="InvariantsUnchecked",
        condition=f"max(tallystick_invariants_unchecked and on (instance) {_LAST_LOOK}) > 0",
        lasts="1m",
        severity="ticket",
        summary="The last look at the invariants could not judge every promise.",
        runbook="invariants-not-checked",
    ),
    Alert(
        name="InvariantPassTooLong",
        condition=(
            "min(max by (promise) (tallystick_invariant_pass_began_timestamp_seconds)) < time() - 604800 "
            "and max(tallystick_invariants_interval_seconds) > 0"
        ),
        lasts="10m",
        severity="ticket",
        summary="For a week, no pass of looks has come through all rows of a promise.",
        runbook="invariants-not-checked",
    ),
    Alert(
        name="NegativeBalanceAttempted",
        condition="sum(increase(tallystick_negative_balance_attempts_total[15m])) > 0",
        lasts="0m",
        severity="page",
        summary="The database refused a write that would have made a balance negative.",
        runbook="negative-balance",
    ),
    Alert(
        name="PendingAccrualsOld",
        condition="max(tallystick_pending_accruals_oldest_seconds) > 900",
        lasts="5m",
        severity="ticket",
        summary="Points have waited for more than 15 minutes to be credited.",
        runbook="pending-accruals",
    ),
    Alert(
        name="PoolExhausted",
        condition="sum by (instance) (tallystick_pool_connections_waiting) > 0",
        lasts="5m",
        severity="page",
        summary="Requests have waited for a connection to the database for five minutes.",
        runbook="pool-exhausted",
    ),
    Alert(
        name="EventLoopLag",
        condition=(
            "histogram_quantile(0.99, "
            "sum by (instance, le) (rate(tallystick_event_loop_lag_seconds_bucket[5m]))) > 0.25"
        ),
        lasts="5m",
        severity="ticket",
        summary="The event loop of {{ $labels.instance }} is late by more than a quarter of a second.",
        runbook="event-loop-lag",
    ),
    Alert(
        name="MixedVersions",
        condition="count(count by (version) (tallystick_build_info)) > 1",
        lasts="1h",
        severity="ticket",
        summary="Instances of different versions have run beside each other for an hour.",
        runbook="mixed-versions",
    ),
    Alert(
        name="MissedNightlyJob",
        condition=(
            "max by (schedule) (tallystick_scheduled_job_success_timestamp_seconds"
            '{schedule!="check_invariants"} > 0) < time() - 93600'
        ),
        lasts="10m",
        severity="ticket",
        summary="The scheduled job {{ $labels.schedule }} has not succeeded for 26 hours.",
        runbook="missed-nightly-job",
    ),
    Alert(
        name="NotReady",
        condition="tallystick_ready == 0",
        lasts="5m",
        severity="page",
        summary="{{ $labels.instance }} has not been ready for five minutes.",
        runbook="not-ready",
    ),
    Alert(
        name="ClockDifference",
        condition="max by (instance) (abs(tallystick_clock_difference_seconds)) > 5",
        lasts="10m",
        severity="ticket",
        summary="The clocks of {{ $labels.instance }} and of the database differ by more than 5 seconds.",
        runbook="clock-difference",
    ),
    Alert(
        name="EventGaps",
        condition="sum(increase(tallystick_event_gaps_total[15m])) > 0",
        lasts="0m",
        severity="page",
        summary="A stream met events whose numbers were not consecutive.",
        runbook="event-gaps",
    ),
)
