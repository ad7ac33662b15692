"""The rules of Prometheus: every alert fires where it should, and stays silent where it should."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tallystick.adapters.telemetry.alert import BURNS, Burn, Objective, metrics_in
from tallystick.adapters.telemetry.alert_table import ALERTS, OBJECTIVES
from tallystick.adapters.telemetry.metric_table import METRICS
from tallystick.entrypoints.cli.runbook_table import RUNBOOKS
from tests.pages.alerts import FOLDER, PAGE, burn_name, render
from tests.pages.files import DOCS


class Case(NamedTuple):
    """Series on which an alert fires, and series on which it does not."""

    firing: Mapping[str, str]
    quiet: Mapping[str, str]
    at: str = "20m"
    labels: Mapping[str, str] = {}
    """The labels of the alert that fires, beside its severity."""
    interval: str = "1m"


def buckets(metric: str, *, within: str, of: str, bound: str, labels: str = "") -> dict[str, str]:
    """Return a histogram of which a part is within a bound."""
    more = f",{labels}" if labels else ""
    series = {f'{metric}_bucket{{le="{le}"{more}}}': of for le in ("60.0", "+Inf")}
    return {f'{metric}_bucket{{le="{bound}"{more}}}': within, **series, f"{metric}_count{{{labels}}}": of}


TIME_TO_CODE, LAG = "tallystick_time_to_code_seconds", "tallystick_webhook_lag_seconds"
MINTS, LOOP = "tallystick_mint_retries", "tallystick_event_loop_lag_seconds"
SUCCESS = 'tallystick_scheduled_job_success_timestamp_seconds{schedule="check_invariants"}'
REQUESTS = "tallystick_http_request_seconds_count"
A = 'instance="a"'
ADDRESS = "https://docs.example.org/tallystick/runbooks"
"""The address of the runbooks that the groups of thresholds give Prometheus; those of burn rates give none."""
CASES: Mapping[str, Case] = {
    "SlowTimeToCode": Case(
        buckets(TIME_TO_CODE, within="0+9x30", of="0+10x30", bound="1.0"),
        buckets(TIME_TO_CODE, within="0+10x30", of="0+10x30", bound="1.0"),
    ),
    "SlowWebhooks": Case(
        buckets(LAG, within="0+9x30", of="0+10x30", bound="1.0"),
        buckets(LAG, within="0+10x30", of="0+10x30", bound="1.0"),
    ),
    "MissingCodes": Case({"tallystick_missing_codes": "1+0x30"}, {"tallystick_missing_codes": "0+0x30"}),
    "MintRetries": Case(
        buckets(MINTS, within="0+989x60", of="0+1000x60", bound="1.0"),
        buckets(MINTS, within="0+991x60", of="0+1000x60", bound="1.0"),
        at="50m",
    ),
    "ResolverErrors": Case(
        {'tallystick_resolver_outcomes_total{outcome="failed"}': "0+2x30"},
        {'tallystick_resolver_outcomes_total{outcome="failed"}': "0+0x30"},
    ),
    "MirrorFailures": Case(
        {"tallystick_metadata_mirror_write_failures_total": "0+1x30"},
        {"tallystick_metadata_mirror_write_failures_total": "7+0x30"},
    ),
    "ConflictSpike": Case(
        {f'{REQUESTS}{{status="409"}}': "0+24x360 8640+1200x10"},
        {f'{REQUESTS}{{status="409"}}': "0+1200x380"},
        at="1472m",
        interval="4m",
    ),
    "LimitSpike": Case(
        {f'{REQUESTS}{{status="429"}}': "0+24x360 8640+1200x10"},
        {f'{REQUESTS}{{status="429"}}': "0+1200x380"},
        at="1472m",
        interval="4m",
    ),
    "InvariantViolated": Case(
        {
            'tallystick_invariant_violations{instance="a",promise="seats_are_uses"}': "1+0x30",
            'tallystick_invariants_checked_timestamp_seconds{instance="a"}': "60+0x30",
            'tallystick_invariants_checked_timestamp_seconds{instance="b"}': "0+0x30",
        },
        # Rows that another instance found before were repaired.
        {
            'tallystick_invariant_violations{instance="a",promise="seats_are_uses"}': "1+0x30",
            'tallystick_invariants_checked_timestamp_seconds{instance="a"}': "60+0x30",
            'tallystick_invariant_violations{instance="b",promise="seats_are_uses"}': "0+0x30",
            'tallystick_invariants_checked_timestamp_seconds{instance="b"}': "90+0x30",
        },
        labels={"promise": "seats_are_uses"},
    ),
    "InvariantsNotChecked": Case(
        {SUCCESS: "1+0x80", "tallystick_invariants_interval_seconds": "1200+0x80"},
        {SUCCESS: "900+0x80", "tallystick_invariants_interval_seconds": "1200+0x80"},
        at="75m",
    ),
    "InvariantsUnchecked": Case(
        {
            'tallystick_invariants_unchecked{instance="a"}': "1+0x30",
            'tallystick_invariants_checked_timestamp_seconds{instance="a"}': "60+0x30",
        },
        {
            'tallystick_invariants_unchecked{instance="a"}': "1+0x30",
            'tallystick_invariants_unchecked{instance="b"}': "0+0x30",
            'tallystick_invariants_checked_timestamp_seconds{instance="a"}': "60+0x30",
            'tallystick_invariants_checked_timestamp_seconds{instance="b"}': "90+0x30",
        },
    ),
    "InvariantPassTooLong": Case(
        {
            'tallystick_invariant_pass_began_timestamp_seconds{instance="a",promise="seats_are_uses"}': "-604800+0x30",
            'tallystick_invariant_pass_began_timestamp_seconds{instance="a",promise="events_count_once"}': "0+0x30",
            "tallystick_invariants_interval_seconds": "1200+0x80",
        },
        # Another instance looked at the last rows since.
        {
            'tallystick_invariant_pass_began_timestamp_seconds{instance="a",promise="seats_are_uses"}': "-604800+0x30",
            'tallystick_invariant_pass_began_timestamp_seconds{instance="b",promise="seats_are_uses"}': "0+0x30",
            "tallystick_invariants_interval_seconds": "1200+0x80",
        },
    ),
    "NegativeBalanceAttempted": Case(
        {"tallystick_negative_balance_attempts_total": "0+0x15 1+0x15"},
        {"tallystick_negative_balance_attempts_total": "1+0x30"},
    ),
    "PendingAccrualsOld": Case(
        {"tallystick_pending_accruals_oldest_seconds": "901+0x30"},
        {"tallystick_pending_accruals_oldest_seconds": "900+0x30"},
    ),
    "PoolExhausted": Case(
        {f'tallystick_pool_connections_waiting{{{A},pool="requests"}}': "1+0x30"},
        {f'tallystick_pool_connections_waiting{{{A},pool="requests"}}': "1 0+0x30"},
        labels={"instance": "a"},
    ),
    "EventLoopLag": Case(
        buckets(LOOP, within="0+9x30", of="0+10x30", bound="0.25", labels=A),
        buckets(LOOP, within="0+10x30", of="0+10x30", bound="0.25", labels=A),
        labels={"instance": "a"},
    ),
    "MixedVersions": Case(
        {f'tallystick_build_info{{version="{version}"}}': "1+0x90" for version in (1, 2)},
        {f'tallystick_build_info{{instance="{each}",version="1"}}': "1+0x90" for each in "ab"},
        at="80m",
    ),
    "MissedNightlyJob": Case(
        {'tallystick_scheduled_job_success_timestamp_seconds{schedule="reconcile_metadata"}': "60+0x60"},
        {
            'tallystick_scheduled_job_success_timestamp_seconds{schedule="reconcile_metadata"}': "60+1800x60",
            'tallystick_scheduled_job_success_timestamp_seconds{schedule="trim_logs"}': "0+0x60",
        },
        at="28h",
        labels={"schedule": "reconcile_metadata"},
        interval="30m",
    ),
    "NotReady": Case(
        {f"tallystick_ready{{{A}}}": "0+0x30"}, {f"tallystick_ready{{{A}}}": "1+0x30"}, labels={"instance": "a"}
    ),
    "ClockDifference": Case(
        {f"tallystick_clock_difference_seconds{{{A}}}": "-6+0x30"},
        {f"tallystick_clock_difference_seconds{{{A}}}": "5+0x30"},
        labels={"instance": "a"},
    ),
    "EventGaps": Case({"tallystick_event_gaps_total": "0+0x15 1+0x15"}, {"tallystick_event_gaps_total": "1+0x30"}),
}
"""Every alert on a threshold, just past it and just before it."""
STEPS = {"5m": "1m", "30m": "5m", "2h": "20m", "6h": "20m"}
"""How far the samples are apart for a burn rate with this short window."""


def minutes(text: str) -> int:
    """Return a duration of Prometheus in minutes."""
    return int(text[:-1]) * {"m": 1, "h": 60, "d": 1440}[text[-1]]


def expected(
    severity: str, summary: str, runbook: str, labels: Mapping[str, str], *, address: str = FOLDER
) -> dict[str, Any]:
    """Return an alert that fires, as promtool compares it."""
    said = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda label: labels[label[1]], summary)
    return {
        "exp_labels": {"severity": severity, **labels},
        "exp_annotations": {"summary": said, "runbook_url": f"{address}/{runbook}.md"},
    }


class Group(NamedTuple):
    """Series, and the alerts that fire or do not fire on them. promtool takes a second for each."""

    interval: str
    series: dict[str, str]
    checks: list[dict[str, Any]]
    external_labels: Mapping[str, str] = {}

    def add(self, name: str, series: Mapping[str, str], at: str, fires: Sequence[dict[str, Any]]) -> None:
        """Add an alert with its own series."""
        assert all(self.series.get(each, values) == values for each, values in series.items()), name
        self.series.update(series)
        self.checks.append({"eval_time": at, "alertname": name, "exp_alerts": list(fires)})

    def written(self) -> dict[str, Any]:
        """Return the group as promtool reads it."""
        series = [{"series": name, "values": values} for name, values in self.series.items()]
        labels = dict(self.external_labels)
        tests = {"input_series": series, "alert_rule_test": self.checks}
        return {"interval": self.interval, "external_labels": labels, **tests}


def of_thresholds() -> list[Group]:
    """Return the groups of all thresholds: those that are passed, and those that are not."""
    groups: dict[tuple[str, bool], Group] = {}
    for alert in ALERTS:
        case = CASES[alert.name]
        firing = expected(alert.severity, alert.summary, alert.runbook, case.labels, address=ADDRESS)
        for is_firing, series in ((True, case.firing), (False, case.quiet)):
            group = groups.setdefault((case.interval, is_firing), Group(case.interval, {}, [], {"runbooks": ADDRESS}))
            group.add(alert.name, series, case.at, [firing] if is_firing else [])
    return list(groups.values())


def burning(objective: Objective, share: float, until: int, then: int) -> dict[str, str]:
    """Return series with a share of bad events up to a sample, and with none after it."""
    bad = round(1_000_000 * share)
    total, failed = f"0+1000000x{until + then}", f"0+{bad}x{until} {bad * until}+0x{then}"
    rest = 1_000_000 - bad
    good = f"0+{rest}x{until} {rest * until + 1_000_000}+1000000x{then}"
    if objective.name == "Requests":
        return {f'{REQUESTS}{{status="200"}}': good, f'{REQUESTS}{{status="503"}}': failed}
    if objective.name == "Resolver":
        metric = "tallystick_resolver_outcomes_total"
        return {f'{metric}{{outcome="canonical"}}': good, f'{metric}{{outcome="failed"}}': failed}
    metric = {"TimeToCode": TIME_TO_CODE, "WebhookLag": LAG}[objective.name]
    return {f"{metric}_count": total, f'{metric}_bucket{{le="1.0"}}': good}


def of_burn(burn: Burn) -> list[Group]:
    """Return the groups of one burn rate: just past it and then over, and just below it."""
    interval = STEPS[burn.short]
    step = minutes(interval)
    long, short = minutes(burn.long) // step + 1, minutes(burn.short) // step + 1
    now, later = f"{long * step}m", f"{(long + short) * step}m"
    past, below = Group(interval, {}, []), Group(interval, {}, [])
    for objective in OBJECTIVES:
        limit, name = burn.factor * objective.share, burn_name(objective, burn)
        firing = expected(burn.severity, objective.summary, objective.runbook, {})
        past.add(name, burning(objective, limit * 1.2, long, short), now, [firing])
        # The long window is still past the limit, and the short one says that it is over.
        past.add(name, burning(objective, limit * 1.2, long, short), later, [])
        below.add(name, burning(objective, limit * 0.8, long, short), now, [])
    return [past, below]


def promtool(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run promtool, a program of Debian's package prometheus."""
    program = shutil.which("promtool")
    assert program is not None, "promtool is part of Debian's package prometheus"
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def test_the_file_is_up_to_date_and_promtool_finds_nothing_in_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "alerts have changed; write the rules anew: .venv/bin/python -m tests.pages.alerts"
    )
    checked = promtool("check", "rules", PAGE)
    assert checked.returncode == 0, checked.stderr


def test_every_alert_fires_past_its_threshold_and_not_before_it(tmp_path: Path) -> None:
    assert CASES.keys() == {alert.name for alert in ALERTS}
    files = []
    groups = [*of_thresholds(), *(group for burn in BURNS for group in of_burn(burn))]
    for interval in dict.fromkeys(group.interval for group in groups):
        files.append(tmp_path / f"{interval}.yml")
        tests = [group.written() for group in groups if group.interval == interval]
        document = {"rule_files": [str(PAGE)], "evaluation_interval": interval, "tests": tests}
        files[-1].write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    tested = promtool("test", "rules", *files)

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_names_metrics_of_the_table_and_has_a_runbook() -> None:
    exposed = {metric.exposed for metric in METRICS.values()}
    conditions = [alert.condition for alert in ALERTS]
    conditions += [text.format(window="5m") for each in OBJECTIVES for text in (each.bad, each.total)]
    for condition in conditions:
        assert metrics_in(condition), condition
        assert metrics_in(condition) <= exposed, condition

    named = {each.runbook for each in (*ALERTS, *OBJECTIVES)}
    pages = {page.stem: page.read_text(encoding="utf-8") for page in (DOCS / "runbooks").glob("*.md")}
    commands = {each.page for each in RUNBOOKS}
    assert named <= pages.keys()
    assert pages.keys() - {"README"} <= named | commands
    for alert in ALERTS:
        assert f"`{alert.name}`" in pages[alert.runbook]
    for page in (text for name, text in pages.items() if name != "README"):
        assert [line for line in page.splitlines() if line.startswith("## ")] == ["## Meaning", "## Diagnose", "## Fix"]
