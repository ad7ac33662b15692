"""The dashboards: they are up to date, and each of their queries is PromQL over metrics of the table."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import promql_parser
import pytest

from tallystick.adapters.telemetry.alert import metrics_in
from tallystick.adapters.telemetry.metric import Panel
from tallystick.adapters.telemetry.metric_table import METRICS
from tests.pages.dashboards import FOLDER, render

BOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in render().items()}


def queries(board: dict[str, Any]) -> Iterator[str]:
    """Yield every query of a dashboard."""
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])


def test_the_files_are_up_to_date() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.json")}

    assert written == render(), "write the dashboards anew: .venv/bin/python -m tests.pages.dashboards"


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_is_promql_over_metrics_of_the_table(name: str) -> None:
    found = [query.replace("$__rate_interval", "5m") for query in queries(BOARDS[name])]

    assert found
    for query in found:
        promql_parser.parse(query)
        assert metrics_in(query) <= {metric.exposed for metric in METRICS.values()}, query
        assert metrics_in(query), query


def test_a_query_that_is_no_promql_or_names_another_metric_is_found() -> None:
    with pytest.raises(ValueError, match="paren"):
        promql_parser.parse("sum(rate(tallystick_refusals_total[5m])")
    assert not metrics_in("tallystick_nonsense_total") <= {metric.exposed for metric in METRICS.values()}


def test_every_metric_is_on_the_dashboard_that_its_row_names() -> None:
    assert {f"{panel.replace(' ', '-')}.json" for panel in get_args(Panel)} == BOARDS.keys()
    for metric in METRICS.values():
        board = BOARDS[f"{metric.panel.replace(' ', '-')}.json"]
        assert any(metric.exposed in metrics_in(query) for query in queries(board)), metric.name
