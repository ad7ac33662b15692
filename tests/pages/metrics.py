"""The page that documents every metric, rendered from the table of metrics.

`.venv/bin/python -m tests.pages.metrics` writes `docs/metrics.md` anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from tallystick.adapters.telemetry.metric import Metric, Open, Panel
from tallystick.adapters.telemetry.metric_table import ALIASES, METRICS
from tests.pages.files import DOCS, write

PAGE = DOCS / "metrics.md"

OPENING = """\
# Metrics

`GET /metrics` answers in the text format of Prometheus; [operations](operations.md#metrics) describes who may read it.
Every name begins with `tallystick_`, and times are in seconds. Series exist at zero from the start, except those of a
route template, of an operation of a store or of a class of errors, which appear with the first observation. The values
of all labels come from closed sets. A value outside its set is counted as `other`.

Several workers of one server answer with one page: counters and histograms are sums over all workers. The values of a
gauge are joined as its row says.
"""

RENAMED_OPENING = """\
## Renamed metrics

Before, names had no prefix. Rename the metrics in your dashboards and alerts. The names with *yes* in the last column
are still exposed beside the new ones. The release after the next one drops them. `promtool check metrics` complains of
three of these old names, and of nothing else.
"""

RENAMED: Mapping[str, str] = {
    "alias_hit_count_total": "alias_hits",
    "collision_retry_count_total": "collision_retries",
    "double_mint_attempts_total": "double_mint_attempts",
    "identity_keys_fetched_at_seconds": "identity_keys_fetched_timestamp_seconds",
    "legacy_drift_count_total": "legacy_drift_found",
    "metadata_mirror_write_failures_total": "metadata_mirror_write_failures",
    "missing_code_count": "missing_codes",
    "time_to_code_ms": "time_to_code_seconds",
    "webhook_lag_ms": "webhook_lag_seconds",
}
"""The names that changed by more than the prefix, and those that have an alias."""

_JOINED = {
    "mostrecent": "the latest value of any worker",
    "livesum": "the sum over living workers",
    "livemax": "the largest of living workers",
    "livemin": "the smallest of living workers",
}
_SETS: Mapping[Open, str] = {
    "batch use cases": "name of a batch use case",
    "codes of failures": "`code` of a problem document",
    "route templates": "route template, or `unmatched`",
    "HTTP methods": "method, or `OTHER`",
    "HTTP statuses": "status; 0 for a request that was cut off",
    "versions": "version",
    "store operations": "store and method, such as `ledger.lock`",
    "classes of errors": "class of the program or of its packages",
}


def render() -> str:
    """Return the page."""
    return "\n".join(_parts()).rstrip("\n") + "\n"


def _parts() -> Iterator[str]:
    yield OPENING
    for panel in get_args(Panel):
        rows = [_row(metric) for metric in METRICS.values() if metric.panel == panel]
        if rows:
            yield f"## {panel.capitalize()}\n"
            yield _table(("name", "kind", "meaning"), rows)
    yield RENAMED_OPENING
    aliases = {_exposed(alias.family, METRICS[alias.metric]) for alias in ALIASES}
    yield _table(
        ("before", "now", "also exposed under the old name"),
        [(f"`{old}`", f"`{METRICS[new].exposed}`", "yes" if old in aliases else "no") for old, new in RENAMED.items()],
    )
    yield "Every other metric kept its name behind the new prefix."


def _exposed(family: str, metric: Metric) -> str:
    return f"{family}_total" if metric.kind == "counter" else family


def _row(metric: Metric) -> tuple[str, str, str]:
    kind = metric.kind if "seconds" in metric.name or not metric.unit else f"{metric.kind} of {metric.unit}"
    parts = [metric.help, *(f"`{label}`: {_values(values)}." for label, values in metric.labels.items())]
    if metric.kind == "gauge" and metric.merge != "mostrecent":
        parts.append(f"Of several workers: {_JOINED[metric.merge]}.")
    return f"`{metric.exposed}`", kind, " ".join(parts)


def _values(values: tuple[str, ...] | Open) -> str:
    return ", ".join(f"`{value}`" for value in values) if isinstance(values, tuple) else _SETS[values]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    write(PAGE, render())
