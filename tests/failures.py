"""Every failure of the product, found in all of its modules."""

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module

import tallystick
from tallystick.domain.refusals import Failure, Incomplete, OutcomeUnknown, Refusal, Unavailable
from tallystick.entrypoints.http.refusals import InternalError

BRANCHES: tuple[type[Failure], ...] = (Refusal, Unavailable, OutcomeUnknown, Incomplete, InternalError)
ABSTRACT: frozenset[type[Failure]] = frozenset({Refusal, Unavailable, Incomplete})
"""Branches that only group failures: no request is answered with them."""
_RUNS_WHEN_IMPORTED = "tallystick.entrypoints.asgi"


@cache
def every_failure() -> tuple[type[Failure], ...]:
    """Return every failure that a request may be answered with, by name."""
    for module in pkgutil.walk_packages(tallystick.__path__, "tallystick."):
        if module.name != _RUNS_WHEN_IMPORTED:
            import_module(module.name)
    return tuple(sorted(set(_below(Failure)) - ABSTRACT, key=lambda kind: kind.__name__))


def _below(kind: type[Failure]) -> Iterator[type[Failure]]:
    for failure in kind.__subclasses__():
        if failure.__module__.startswith("tallystick."):
            yield failure
            yield from _below(failure)
