"""Comparisons: the same work by HTTP and by `pgbench`, in turns."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

from bench.drivers import Slot
from bench.pgbench import best
from bench.report import Row, Say, rates
from bench.servers import Server

ONE, TWO, DIRECT = "1 worker", "2 workers", "pgbench"
BATCH_CONNECTIONS = 8
MOST_BATCHES_PER_SECOND = 60
"""The most batches that are prepared for each second."""
GROWTH_AIM = 0.8
_TRY_SECONDS = 2
_LOADED_AT_ONCE = 500_000
_LOADING_SECONDS = 600.0

Turn = Callable[[], Slot]


class Comparison(NamedTuple):
    """One kind of work: by HTTP for some seconds, or by `pgbench` with some clients for some seconds."""

    name: str
    unit: str
    by_http: Callable[[Server, float], Slot]
    directly: Callable[[int, int], Slot]
    clients: tuple[int, ...]
    """The numbers of `pgbench` clients to try; without time to try, the second one is used."""


class Paces(Protocol):
    """The rounds and durations of a plan."""

    @property
    def rounds(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def warm_seconds(self) -> float: ...
    @property
    def direct_seconds(self) -> int: ...
    @property
    def direct_warm_seconds(self) -> int: ...
    @property
    def tries_clients(self) -> bool: ...


class History(NamedTuple):
    """A history of which a page is read: how its rows are loaded, and how its pages are read."""

    rows: str
    """The name of its rows, such as "entries"."""
    load: Callable[[int, int], None]
    """Add the rows above one number, up to another."""
    pages: Turn


def against_pgbench(
    say: Say, comparison: Comparison, servers: Mapping[str, Server], paces: Paces, at_least: float
) -> list[Row]:
    """Run one comparison; a row for each server."""
    say(f"{comparison.name}: warming")
    comparison.directly(comparison.clients[1], paces.direct_warm_seconds)
    clients, tried = best_clients(say, comparison, is_tried=paces.tries_clients)
    turns: dict[str, Turn] = {DIRECT: lambda: comparison.directly(clients, paces.direct_seconds)}
    for name, server in servers.items():
        comparison.by_http(server, paces.warm_seconds)
        turns[name] = partial(comparison.by_http, server, paces.seconds)
    slots = in_turns(say, comparison.name, turns, paces.rounds)
    return [
        rates(
            f"{comparison.name}, {name}",
            slots[name],
            DIRECT,
            slots[DIRECT],
            at_least=at_least,
            unit=comparison.unit,
            note=f"{tried}; {client_cost(slots[name])}",
        )
        for name in servers
    ]


def few_and_many(
    say: Say, of: str, few: History, many: History, *, fewest: int, most: int, loaded: Callable[[], object], rounds: int
) -> Row:
    """Read pages of a small and of a large history in turns; the large one has `most` rows, or those of ten minutes."""
    few.load(0, fewest)
    began, number = time.monotonic(), 0
    while number < most and time.monotonic() - began < _LOADING_SECONDS:
        say(f"loading {many.rows}: {number:,} of {most:,}")
        many.load(number, number + _LOADED_AT_ONCE)
        number += _LOADED_AT_ONCE
    loaded()
    turns = {"few": few.pages, "many": many.pages}
    in_turns(say, "pages, warming", turns, 1)
    slots = in_turns(say, "pages", turns, rounds)
    what, against = f"page of {of} {number:,} {many.rows}", f"of {fewest:,} {few.rows}"
    note = f"50 {many.rows} a page, 1 worker"
    return rates(what, slots["many"], against, slots["few"], at_least=GROWTH_AIM, note=note)


def best_clients(say: Say, comparison: Comparison, *, is_tried: bool) -> tuple[int, str]:
    """Return the number of `pgbench` clients with the highest rate, and a note about the search."""
    if not is_tried:
        return comparison.clients[1], f"pgbench with {comparison.clients[1]} clients, no other number was tried"
    slots: dict[int, list[Slot]] = {}
    for clients in comparison.clients:
        say(f"{comparison.name}: pgbench with clients: {clients}")
        slots[clients] = [comparison.directly(clients, _TRY_SECONDS)]
    found = ", ".join(f"{slots[clients][0].per_second:,.0f} with {clients}" for clients in slots)
    return best(slots), f"pgbench by its number of clients: {found}"


def in_turns(say: Say, doing: str, turns: Mapping[str, Turn], rounds: int) -> dict[str, list[Slot]]:
    """Run all turns, alternately in this order and in the reverse order."""
    slots: dict[str, list[Slot]] = {name: [] for name in turns}
    for number in range(rounds):
        say(f"{doing}, round {number + 1} of {rounds}")
        for name in list(turns)[:: -1 if number % 2 else 1]:
            slots[name].append(turns[name]())
    return slots


def client_cost(slots: list[Slot]) -> str:
    """Return a note on the processor time of our client."""
    spent = sum(slot.client_cpu_seconds for slot in slots) / sum(len(slot.latencies_ms) for slot in slots)
    return f"our client took {spent * 1e6:.0f} us of each HTTP request, on the same cores"
