"""A metric as an operator knows it: its name, unit, meaning, labels, and the dashboard that shows it."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

PREFIX = "tallystick_"
Kind = Literal["counter", "gauge", "histogram"]
Panel = Literal["overview", "money", "referrals", "invites", "loyalty", "rooms", "database", "moving in"]
Merge = Literal["mostrecent", "livesum", "livemax", "livemin"]
"""How the values of a gauge from several workers of one server become one value."""
Open = Literal[
    "batch use cases",
    "codes of failures",
    "route templates",
    "HTTP methods",
    "HTTP statuses",
    "store operations",
    "classes of errors",
    "versions",
]
"""Sets of label values that the code of other packages bounds."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric."""

    name: str
    """Without the prefix, and of a counter without `_total`."""
    kind: Kind
    unit: str
    """The unit of the value, such as `seconds` or `requests`."""
    help: str
    panel: Panel
    labels: Mapping[str, tuple[str, ...] | Open] = {}
    """The values of each label."""
    buckets: Sequence[float] = ()
    merge: Merge = "mostrecent"

    @property
    def family(self) -> str:
        """The name with the prefix, as Prometheus' metadata has it."""
        return PREFIX + self.name

    @property
    def exposed(self) -> str:
        """The name that queries use; of a histogram without `_bucket`, `_sum` and `_count`."""
        return self.family + ("_total" if self.kind == "counter" else "")


class Alias(msgspec.Struct, frozen=True):
    """The name that a metric had before, which is exposed for one more release."""

    metric: str
    """The name of the metric that replaces it, without the prefix."""
    family: str
    """Of a counter without `_total`."""
    factor: int = 1
    """How many of the alias' units are one unit of the metric."""
