"""Metrics of codes, referrals and the identity provider."""

from typing import get_args

from tallystick.adapters.telemetry.metric import Metric
from tallystick.domain.tokens import TokenFault

REFERRALS = (
    Metric(
        name="time_to_code_seconds",
        kind="histogram",
        unit="seconds",
        help="From the arrival of the first request or delivery about a user to the commit of their code.",
        panel="referrals",
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
    ),
    Metric(
        name="missing_codes",
        kind="gauge",
        unit="users",
        help="Living users without a canonical code.",
        panel="referrals",
    ),
    Metric(
        name="collision_retries",
        kind="counter",
        unit="candidates",
        help="Candidates for a code that belonged to a user already.",
        panel="referrals",
    ),
    Metric(
        name="double_mint_attempts",
        kind="counter",
        unit="mints",
        help="Mints for users who had a code already: webhook and first read happened at the same time.",
        panel="referrals",
    ),
    Metric(
        name="referral_api_mint_attempts",
        kind="counter",
        unit="requests",
        help="Reads through GET /api/referral that found no code and wrote none.",
        panel="referrals",
    ),
    Metric(
        name="attribution_overwrite_attempts",
        kind="counter",
        unit="attributions",
        help="Attributions for users who had an inviter already; they changed nothing.",
        panel="referrals",
    ),
    Metric(
        name="resolver_outcomes",
        kind="counter",
        unit="requests",
        help="Codes asked for, by the kind of code; `legacy` is one that only the legacy metadata knows.",
        labels={"outcome": ("canonical", "alias", "legacy", "unknown")},
        panel="referrals",
    ),
    Metric(
        name="alias_hits",
        kind="counter",
        unit="codes",
        help="Codes resolved through an alias.",
        panel="referrals",
    ),
    Metric(
        name="webhook_lag_seconds",
        kind="histogram",
        unit="seconds",
        help="From the arrival of a delivery of the identity provider to its commit.",
        panel="referrals",
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
    ),
    Metric(
        name="webhook_delivery_seconds",
        kind="histogram",
        unit="seconds",
        help="From the sender's stamp of a delivery to its arrival; stamps are whole seconds of the sender's clock.",
        panel="referrals",
        buckets=(1, 2, 5, 10, 30, 60, 120, 300),
    ),
    Metric(
        name="webhook_out_of_order",
        kind="counter",
        unit="deliveries",
        help="Deliveries that came after one they should have preceded.",
        panel="referrals",
    ),
    Metric(
        name="webhook_refusals",
        kind="counter",
        unit="deliveries",
        help="Deliveries without a valid signature, or of unknown shape.",
        labels={"reason": ("signature", "shape")},
        panel="referrals",
    ),
    Metric(
        name="webhook_replays",
        kind="counter",
        unit="deliveries",
        help="Deliveries that had been accepted before.",
        panel="referrals",
    ),
    Metric(
        name="token_refusals",
        kind="counter",
        unit="requests",
        help="Tokens and sessions that were refused with 401, by what was wrong with them.",
        labels={"reason": get_args(TokenFault)},
        panel="overview",
    ),
    Metric(
        name="identity_key_fetches",
        kind="counter",
        unit="fetches",
        help="Fetches of the identity provider's keys, by their outcome.",
        labels={"outcome": ("fetched", "failed")},
        panel="overview",
    ),
    Metric(
        name="identity_keys_fetched_timestamp_seconds",
        kind="gauge",
        unit="seconds",
        help="The time of the last successful fetch of the identity provider's keys, in seconds since 1970.",
        panel="overview",
    ),
)
