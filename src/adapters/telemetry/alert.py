"""Alerts: conditions on metrics, each with the runbook that tells an operator what to do."""

import re
from typing import Literal

import msgspec

from tallystick.adapters.telemetry.metric import PREFIX

Severity = Literal["page", "ticket"]
"""A page wakes somebody; a ticket waits for the next working day."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert on one threshold."""

    name: str
    condition: str
    """PromQL; the alert fires while it returns series."""
    lasts: str
    """How long the condition has to hold, such as `5m`."""
    severity: Severity
    summary: str
    """One sentence, in the annotation of the alert."""
    runbook: str
    """The name of the page in docs/runbooks."""


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """A service level objective: at most this share of events may be bad in 30 days."""

    name: str
    share: float
    """The share of events that may be bad, such as 0.001."""
    bad: str
    """PromQL of the rate of bad events over `{window}`."""
    total: str
    """PromQL of the rate of all events over `{window}`."""
    summary: str
    runbook: str


class Burn(msgspec.Struct, frozen=True):
    """How fast an error budget is used up: over a long window, and still over a short one."""

    factor: float
    long: str
    short: str
    severity: Severity


BURNS = (
    Burn(14.4, "1h", "5m", "page"),
    Burn(6, "6h", "30m", "page"),
    Burn(3, "1d", "2h", "ticket"),
    Burn(1, "3d", "6h", "ticket"),
)
"""A month's budget would be gone in 2 days, 5 days, 10 days and 30 days."""


def metrics_in(expression: str) -> set[str]:
    """Return the names of the service's metrics in PromQL, without the suffixes of a histogram."""
    names = re.findall(rf"\b{PREFIX}\w+", expression)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
