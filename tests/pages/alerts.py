"""The rules of Prometheus, rendered from the table of alerts.

`.venv/bin/python -m tests.pages.alerts` writes `docker/prometheus/rules.yml` anew.
"""

import json
from collections.abc import Iterator

from tallystick.adapters.telemetry.alert import BURNS, Burn, Objective
from tallystick.adapters.telemetry.alert_table import ALERTS, OBJECTIVES
from tests.pages.files import DOCS, write

PAGE = DOCS.parent / "docker/prometheus/rules.yml"
FOLDER = "docs/runbooks"
RUNBOOKS = f"{{{{ with $externalLabels.runbooks }}}}{{{{ . }}}}{{{{ else }}}}{FOLDER}{{{{ end }}}}"
"""The address of the pages, from the external label `runbooks` of Prometheus; without it, the folder in the repository.
"""


def render() -> str:
    """Return the file of rules: ratios of each objective, burn rates, and thresholds."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Written by `python -m tests.pages.alerts` from the tables in src/adapters/telemetry: change them instead."
    yield "groups:"
    yield "  - name: tallystick-objectives"
    yield "    rules:"
    for objective in OBJECTIVES:
        for window in dict.fromkeys(window for burn in BURNS for window in (burn.short, burn.long)):
            yield from _ratio(objective, window)
    yield "  - name: tallystick-burn-rates"
    yield "    rules:"
    for objective in OBJECTIVES:
        for burn in BURNS:
            yield from _burn(objective, burn)
    yield "  - name: tallystick-thresholds"
    yield "    rules:"
    for alert in ALERTS:
        yield from _alert(alert.name, alert.condition, alert.lasts, alert.severity, alert.summary, alert.runbook)


def _ratio(objective: Objective, window: str) -> Iterator[str]:
    bad, total = (text.format(window=window) for text in (objective.bad, objective.total))
    yield f"      - record: {ratio_of(objective, window)}"
    yield f"        expr: {json.dumps(f'({bad}) / ({total})')}"


def ratio_of(objective: Objective, window: str) -> str:
    """Return the name of the recorded share of bad events."""
    return f"tallystick:{objective.name.lower()}:bad_ratio_{window}"


def burn_name(objective: Objective, burn: Burn) -> str:
    """Return the name of the alert for one burn rate."""
    return f"{objective.name}BudgetBurn{burn.long}"


def _burn(objective: Objective, burn: Burn) -> Iterator[str]:
    limit = f"{burn.factor * objective.share:.6g}"
    condition = f"{ratio_of(objective, burn.long)} > {limit} and {ratio_of(objective, burn.short)} > {limit}"
    yield from _alert(burn_name(objective, burn), condition, "0m", burn.severity, objective.summary, objective.runbook)


def _alert(name: str, condition: str, lasts: str, severity: str, summary: str, runbook: str) -> Iterator[str]:
    yield f"      - alert: {name}"
    yield f"        expr: {json.dumps(condition)}"
    if lasts != "0m":
        yield f"        for: {lasts}"
    yield f"        labels: {{severity: {severity}}}"
    yield "        annotations:"
    yield f"          summary: {json.dumps(summary)}"
    yield f"          runbook_url: {json.dumps(f'{RUNBOOKS}/{runbook}.md')}"


if __name__ == "__main__":
    write(PAGE, render())
