"""Metrics of a team that moves in: the legacy metadata and imported codes."""

from tallystick.adapters.telemetry.metric import Metric

MOVING_IN = (
    Metric(
        name="legacy_drift_found",
        kind="counter",
        unit="codes",
        help="Codes that only the legacy metadata knew, by the part that found them.",
        labels={"met_by": ("resolver", "referrals", "mints", "reconcile")},
        panel="moving in",
    ),
    Metric(
        name="legacy_drift",
        kind="gauge",
        unit="codes",
        help="Differences between code book and legacy metadata that the last reconciliation left.",
        panel="moving in",
    ),
    Metric(
        name="metadata_mirror_write_failures",
        kind="counter",
        unit="users",
        help="Users whose new code was not mirrored to the legacy metadata; the nightly reconciliation repairs it.",
        panel="moving in",
    ),
    Metric(
        name="click_write_failures",
        kind="counter",
        unit="writes",
        help="Failed writes of clicks, which are tried again every second.",
        panel="moving in",
    ),
    Metric(
        name="clicks_forgotten",
        kind="counter",
        unit="clicks",
        help="Clicked codes that were dropped because too many waited.",
        panel="moving in",
    ),
)
