"""The dashboards of Grafana, rendered from the tables of metrics and objectives.

`.venv/bin/python -m tests.pages.dashboards` writes `docker/grafana/dashboards/*.json` anew.
"""

from collections.abc import Iterator
from typing import get_args

from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel as Chart
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from tallystick.adapters.telemetry.alert import Objective
from tallystick.adapters.telemetry.alert_table import OBJECTIVES
from tallystick.adapters.telemetry.metric import Metric, Panel
from tallystick.adapters.telemetry.metric_table import METRICS
from tests.pages.files import DOCS, write

FOLDER = DOCS.parent / "docker/grafana/dashboards"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
_WINDOW = "$__rate_interval"
_UNITS = {"seconds": "s", "bytes": "bytes"}
_WIDTH, _HEIGHT = 12, 8
_MORE: dict[Panel, tuple[str, ...]] = {
    "overview": ("time_to_code_seconds", "webhook_lag_seconds", "missing_codes", "resolver_outcomes"),
    "money": ("refusals",),
    "invites": ("refusals",),
    "rooms": ("limit_hits",),
}
"""Metrics of other dashboards that are shown here too."""
_ONLY: dict[Panel, str] = {
    "money": '{code=~"INSUFFICIENT_FUNDS|ALREADY_COLLECTED|SELF_PURCHASE|BALANCE_LIMIT_EXCEEDED|ACCOUNT_FROZEN"}',
    "invites": '{code=~"ALREADY_USED|INVITE_.*|CODE_TAKEN"}',
    "rooms": '{group=~"stream|send"}',
}
_INVITES = (
    (
        "Uses an hour",
        'sum(increase(tallystick_http_request_seconds_count{route="/api/invites/redeem",status=~"2.."}[1h]))',
    ),
    (
        "Users who signed up by an invite an hour",
        'sum(increase(tallystick_http_request_seconds_count{route="/api/auth/complete-phone-signup",status=~"2.."}[1h]))',
    ),
    (
        "Conflicts a second",
        'sum(rate(tallystick_http_request_seconds_count{route=~"/api/invites.*",status="409"}[5m]))',
    ),
)


def render() -> dict[str, str]:
    """Return the dashboards as JSON, by the name of the file."""
    return {f"{panel.replace(' ', '-')}.json": _dashboard(panel) for panel in get_args(Panel)}


def _dashboard(panel: Panel) -> str:
    board = (
        Dashboard(f"Tallystick: {panel}")
        .uid(f"tallystick-{panel.replace(' ', '-')}")
        .tags(["tallystick"])
        .refresh("30s")
        .time("now-6h", "now")
        .with_variable(DatasourceVariable("source").label("Source").type("prometheus"))
    )
    for chart in _charts(panel):
        board = board.with_panel(chart.datasource(_SOURCE).span(_WIDTH).height(_HEIGHT))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _charts(panel: Panel) -> Iterator[Chart]:
    if panel == "overview":
        for objective in OBJECTIVES:
            yield _objective(objective)
    if panel == "invites":
        for title, query in _INVITES:
            yield Chart().title(title).with_target(_query(query, ""))
    for name in _MORE.get(panel, ()):
        yield _chart(METRICS[name], _ONLY.get(panel, ""))
    for metric in METRICS.values():
        if metric.panel == panel:
            yield _chart(metric, "")


def _objective(objective: Objective) -> Chart:
    bad, total = (text.format(window=_WINDOW) for text in (objective.bad, objective.total))
    chart = Chart().title(f"{objective.name}: share of bad events").unit("percentunit")
    chart = chart.description(f"{objective.summary} At most {objective.share:.2%} may be bad.")
    return chart.with_target(_query(f"({bad}) / ({total})", "bad"))


def _chart(metric: Metric, only: str) -> Chart:
    """Return the chart of one metric: a rate, a value, or percentiles."""
    chart = Chart().title(metric.exposed).description(metric.help).unit(_UNITS.get(metric.unit, "short"))
    by = ", ".join(metric.labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind == "counter":
        return chart.with_target(_query(f"sum{_by(by)} (rate({metric.exposed}{only}[{_WINDOW}]))", legend))
    if metric.kind == "gauge":
        total = "sum" if metric.merge == "livesum" else "max"
        return chart.with_target(_query(f"{total}{_by(by)} ({metric.exposed}{only})", legend))
    for percent in (50, 95, 99):
        grouped = f"sum by (le) (rate({metric.exposed}_bucket{only}[{_WINDOW}]))"
        chart = chart.with_target(_query(f"histogram_quantile({percent / 100}, {grouped})", f"{percent} %"))
    return chart


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _query(expression: str, legend: str) -> Dataquery:
    return Dataquery().expr(expression).legend_format(legend or "value")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, text in render().items():
        write(FOLDER / file, text)
