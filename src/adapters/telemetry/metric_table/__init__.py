"""All metrics: the only list of their names, from which the registry, the pages, the dashboards and the alerts come."""

from collections.abc import Mapping

from tallystick.adapters.telemetry.metric import Alias, Metric
from tallystick.adapters.telemetry.metric_table.database import DATABASE
from tallystick.adapters.telemetry.metric_table.money import MONEY
from tallystick.adapters.telemetry.metric_table.moving_in import MOVING_IN
from tallystick.adapters.telemetry.metric_table.process import PROCESS
from tallystick.adapters.telemetry.metric_table.referrals import REFERRALS
from tallystick.adapters.telemetry.metric_table.requests import REQUESTS
from tallystick.adapters.telemetry.metric_table.rooms import ROOMS

METRICS: Mapping[str, Metric] = {
    metric.name: metric for metric in (*REQUESTS, *PROCESS, *MONEY, *REFERRALS, *ROOMS, *DATABASE, *MOVING_IN)
}
"""Every metric by its name."""

ALIASES = (
    Alias("time_to_code_seconds", "time_to_code_ms", factor=1000),
    Alias("webhook_lag_seconds", "webhook_lag_ms", factor=1000),
    Alias("collision_retries", "collision_retry_count"),
    Alias("missing_codes", "missing_code_count"),
    Alias("alias_hits", "alias_hit_count"),
    Alias("double_mint_attempts", "double_mint_attempts"),
    Alias("metadata_mirror_write_failures", "metadata_mirror_write_failures"),
)
"""Names that existing dashboards use; the release after the next one drops them."""
