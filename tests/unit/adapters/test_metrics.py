"""The page of the metrics: its names, its series, its aliases, and the findings of Prometheus' linter."""

import re
import shutil
import subprocess
from collections.abc import AsyncIterator

import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from tallystick.adapters.telemetry.metric import PREFIX
from tallystick.adapters.telemetry.metric_table import ALIASES, METRICS
from tallystick.adapters.telemetry.metrics import OTHER, PrometheusMetrics
from tallystick.entrypoints.wiring import build
from tests.http.services import settings
from tests.pages.files import DOCS
from tests.pages.metrics import PAGE, render

AT_FIRST_USE = {"http_request_seconds", "http_problems", "store_call_seconds", "store_rows", "store_errors"}
"""Their labels have too many values to begin with; `refusals` counts each code from the start."""


OTHER_NAMES = {f"tallystick_{name}" for name in ("app", "flags", "owner", "service", "stream", "topics")}
"""Other names in the docs: roles, connections and a cookie."""


@pytest.fixture
async def metrics() -> AsyncIterator[PrometheusMetrics]:
    """Return the metrics of a service that has just been built."""
    container = build(settings(), "memory")
    yield await container.get(PrometheusMetrics)
    await container.close()


def families(metrics: PrometheusMetrics) -> dict[str, Family]:
    """Return the families of the page by name; of counters without `_total`."""
    return {family.name: family for family in text_string_to_metric_families(metrics.exposition()[0].decode())}


def values(family: Family) -> dict[tuple[str, ...], float]:
    """Return a counter or a gauge by its label values, or the counts of a histogram."""
    names = {family.name, f"{family.name}_total", f"{family.name}_count"}
    return {tuple(sample.labels.values()): sample.value for sample in family.samples if sample.name in names}


async def test_the_page_has_the_metrics_of_the_table_and_their_aliases_and_no_others(
    metrics: PrometheusMetrics,
) -> None:
    assert families(metrics).keys() == {metric.family for metric in METRICS.values()} | {a.family for a in ALIASES}
    assert all(metric.family.startswith(PREFIX) for metric in METRICS.values())


async def test_every_counter_and_histogram_with_a_closed_set_of_labels_is_at_zero_from_the_start(
    metrics: PrometheusMetrics,
) -> None:
    page = families(metrics)
    begun = {
        metric.name: values(page[metric.family])
        for metric in METRICS.values()
        if metric.kind != "gauge" and metric.name not in {*AT_FIRST_USE, "process_cpu_seconds"}
    }

    assert {name for name, found in begun.items() if not found} == set()
    assert {number for found in begun.values() for number in found.values()} == {0.0}
    assert ("purchase_rewards",) in begun["group_commit_shed"]
    assert {("INSUFFICIENT_FUNDS",), ("INTERNAL_ERROR",)} <= begun["refusals"].keys()
    assert {("loyalty",), ("resolver",)} & begun["limit_hits"].keys()


async def test_an_unknown_label_value_adds_no_series(metrics: PrometheusMetrics) -> None:
    before = len(values(families(metrics)["tallystick_limit_hits"]))
    for number in range(3):
        metrics.count("limit_hits", label=f"group-{number}")

    after = values(families(metrics)["tallystick_limit_hits"])

    assert after[OTHER,] == 3.0
    assert len(after) == before + 1


async def test_a_problem_is_counted_with_its_route_and_by_its_code(metrics: PrometheusMetrics) -> None:
    metrics.problem("/api/me", "UNAUTHENTICATED")

    page = families(metrics)

    assert values(page["tallystick_http_problems"]) == {("UNAUTHENTICATED", "/api/me"): 1.0}
    assert values(page["tallystick_refusals"])["UNAUTHENTICATED",] == 1.0


async def test_an_alias_shows_the_same_observations_in_its_own_unit(metrics: PrometheusMetrics) -> None:
    metrics.observe("time_to_code_seconds", 0.25)
    metrics.count("collision_retries", 3)
    metrics.gauge("missing_codes", 2)

    page = families(metrics)

    assert values(page["collision_retry_count"]) == {(): 3.0}
    assert values(page["missing_code_count"]) == {(): 2.0}
    shown = {sample.name: sample.value for sample in page["time_to_code_ms"].samples}
    assert (shown["time_to_code_ms_sum"], shown["time_to_code_ms_count"]) == (250.0, 1.0)
    buckets = {sample.labels["le"]: sample.value for sample in page["time_to_code_ms"].samples if "le" in sample.labels}
    assert (buckets["100.0"], buckets["250.0"], buckets["+Inf"]) == (0.0, 1.0, 1.0)


def test_promtool_finds_nothing_but_in_the_aliases(metrics: PrometheusMetrics) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is part of Debian's package prometheus"
    metrics.request("GET", "/healthz", 200, 0.1)
    metrics.problem("/api/me", "UNAUTHENTICATED")
    page = metrics.exposition()[0]

    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False, timeout=60)

    found = {line.partition(" ")[0] for line in checked.stderr.decode().splitlines()}
    assert found <= {alias.family for alias in ALIASES}
    assert b"_created" not in page


def test_the_page_of_the_docs_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "metrics have changed; write their page anew: .venv/bin/python -m tests.pages.metrics"
    )


def test_the_docs_name_metrics_that_exist() -> None:
    exposed = {metric.exposed for metric in METRICS.values()}

    named = {
        name
        for page in DOCS.rglob("*.md")
        for name in re.findall(r"`(tallystick_\w+)", page.read_text(encoding="utf-8"))
    }

    assert named - exposed <= OTHER_NAMES
    assert exposed <= named
