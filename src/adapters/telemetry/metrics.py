"""Metrics for Prometheus; every series whose labels are known exists from the first scrape on."""

import os
import platform
from collections.abc import Callable, Mapping
from itertools import product
from time import process_time
from typing import TypeVar

import msgspec
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from tallystick import __version__
from tallystick.adapters.telemetry.aliases import WithAliases
from tallystick.adapters.telemetry.metric import Metric, Open
from tallystick.adapters.telemetry.metric_table import METRICS
from tallystick.application.ports import CounterName, GaugeName, HistogramName, Metrics

OTHER = "other"
"""Stands for a label value that is not in the set of its label, so that no caller adds series."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # the package has no types here
# Each counter and histogram would have a second series with the time of its creation.


F = TypeVar("F", Counter, Gauge, Histogram)


class KnownLabels(msgspec.Struct, frozen=True):
    """Values of labels that the wiring of the service decides."""

    use_cases: tuple[str, ...] = ()
    """The names of the batch use cases."""
    codes: tuple[str, ...] = ()
    """The codes of all failures."""


class PrometheusMetrics(Metrics):
    """Counters, histograms and gauges of one process, or of all workers of a server."""

    def __init__(self, known: KnownLabels = KnownLabels()) -> None:  # noqa: B008  frozen
        self._registry = CollectorRegistry()
        self._sets: Mapping[Open, tuple[str, ...]] = {
            "batch use cases": known.use_cases,
            "codes of failures": known.codes,
        }
        self._counters = {
            metric.name: Counter(metric.family, metric.help, list(metric.labels), registry=self._registry)
            for metric in METRICS.values()
            if metric.kind == "counter"
        }
        self._histograms = {
            metric.name: Histogram(
                metric.family, metric.help, list(metric.labels), buckets=metric.buckets, registry=self._registry
            )
            for metric in METRICS.values()
            if metric.kind == "histogram"
        }
        self._gauges = {
            metric.name: Gauge(
                metric.family, metric.help, list(metric.labels), registry=self._registry, multiprocess_mode=metric.merge
            )
            for metric in METRICS.values()
            if metric.kind == "gauge"
        }
        # To look a child up by its labels takes a lock and costs more than to count.
        self._counter_children: dict[tuple[str, str], Counter] = {}
        self._histogram_children: dict[tuple[str, str], Histogram] = {}
        self._gauge_children: dict[tuple[str, str], Gauge] = {}
        self._request_children: dict[tuple[str, str, int], Histogram] = {}
        self._problem_children: dict[tuple[str, str], Counter] = {}
        self._watched: dict[tuple[GaugeName, str], Callable[[], float]] = {}
        self._cpu_seconds = 0.0
        for metric in METRICS.values():
            self._begin_at_zero(metric)
        self._gauges["build_info"].labels(__version__, platform.python_version()).set(1)

    def count(self, name: CounterName, amount: int = 1, *, label: str = "") -> None:
        if amount:
            child = self._counter_children.get((name, label))
            (child or self._counter_child(name, label)).inc(amount)

    def observe(self, name: HistogramName, value: float, *, label: str = "") -> None:
        child = self._histogram_children.get((name, label))
        (child or self._histogram_child(name, label)).observe(value)

    def gauge(self, name: GaugeName, value: float, *, label: str = "") -> None:
        child = self._gauge_children.get((name, label))
        (child or self._gauge_child(name, label)).set(value)

    def watch(self, name: GaugeName, read: Callable[[], float], *, label: str = "") -> None:
        self._watched[name, label] = read

    def sample(self) -> None:
        """Read the gauges that are watched, and the processor time of the process."""
        for (name, label), read in self._watched.items():
            self.gauge(name, read(), label=label)
        before, self._cpu_seconds = self._cpu_seconds, process_time()
        self._counters["process_cpu_seconds"].inc(self._cpu_seconds - before)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        child = self._request_children.get((method, route, status))
        if child is None:
            child = self._histograms["http_request_seconds"].labels(method, route, str(status))
            self._request_children[method, route, status] = child
        child.observe(seconds)

    def problem(self, route: str, code: str) -> None:
        """Count one answered problem document."""
        child = self._problem_children.get((route, code))
        if child is None:
            child = self._problem_children[route, code] = self._counters["http_problems"].labels(route, code)
        child.inc()
        (self._counter_children.get(("refusals", code)) or self._counter_child("refusals", code)).inc()

    def exposition(self) -> tuple[bytes, str]:
        """Return the page for a scrape, and its content type."""
        self.sample()
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the package has no types here
        page = generate_latest(WithAliases(registry))
        return page, CONTENT_TYPE_LATEST.partition("; charset")[0]  # which the server adds

    def _begin_at_zero(self, metric: Metric) -> None:
        """Make the children of a metric whose label values are known."""
        values = [self._values(value) for value in metric.labels.values()]
        if metric.kind == "counter":
            for labels in product(*values):
                self._counter_child(metric.name, *labels)
        elif metric.kind == "histogram":
            for labels in product(*values):
                self._histogram_child(metric.name, *labels)

    def _values(self, values: tuple[str, ...] | Open) -> tuple[str, ...]:
        return values if isinstance(values, tuple) else self._sets.get(values, ())

    def _counter_child(self, name: str, label: str = "") -> Counter:
        return self._child(self._counters, self._counter_children, name, label)

    def _histogram_child(self, name: str, label: str = "") -> Histogram:
        return self._child(self._histograms, self._histogram_children, name, label)

    def _gauge_child(self, name: str, label: str = "") -> Gauge:
        return self._child(self._gauges, self._gauge_children, name, label)

    def _child(self, families: Mapping[str, F], children: dict[tuple[str, str], F], name: str, label: str) -> F:
        """Return the child of a label, and keep it; the one of OTHER for a value that is not in the label's set."""
        family = families[name]
        sets = [self._values(values) for values in METRICS[name].labels.values()]
        if not sets:
            children[name, label] = family
            return family
        if sets[0] and label not in sets[0]:
            return family.labels(OTHER)
        children[name, label] = child = family.labels(label)
        return child


def forget_worker(process_id: int) -> None:
    """Drop the gauges of a worker that has ended, so that sums count living workers alone."""
    mark_process_dead(process_id)  # type: ignore[no-untyped-call]  # the package has no types here
