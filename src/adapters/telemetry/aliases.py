"""The metrics once more under the names that they had before."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tallystick.adapters.telemetry.metric import PREFIX, Alias
from tallystick.adapters.telemetry.metric_table import ALIASES

_BY_FAMILY = {PREFIX + alias.metric: alias for alias in ALIASES}


class WithAliases(Collector):
    """The families of a collector, each followed by its alias if it has one."""

    def __init__(self, source: Collector) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        for family in self._source.collect():
            yield family
            alias = _BY_FAMILY.get(family.name)
            if alias is not None:
                yield _under(alias, family)


def _under(alias: Alias, family: Metric) -> Metric:
    renamed = Metric(alias.family, f"Replaced by {family.name}. {family.documentation}", family.type)
    renamed.samples = [
        Sample(
            alias.family + sample.name.removeprefix(family.name),
            {name: _scaled(value, alias.factor) if name == "le" else value for name, value in sample.labels.items()},
            # Buckets and counts count observations; only the sum has the unit.
            sample.value * alias.factor if sample.name == f"{family.name}_sum" else sample.value,
        )
        for sample in family.samples
    ]
    return renamed


def _scaled(bound: str, factor: int) -> str:
    return bound if bound == "+Inf" else str(round(float(bound) * factor, 6))
