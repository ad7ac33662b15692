"""Comparisons: the same work by HTTP and by `pgbench`, in turns."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from bench.drivers import Slot
from bench.pgbench import best
from bench.report import Say
from bench.servers import Server

ONE, TWO, DIRECT = "1 worker", "2 workers", "pgbench"
BATCH_CONNECTIONS = 8
MOST_BATCHES_PER_SECOND = 60
"""The most batches that are prepared for each second."""
GROWTH_AIM = 0.8
_TRY_SECONDS = 2

Turn = Callable[[], Slot]


class Comparison(NamedTuple):
    """One kind of work: by HTTP for some seconds, or by `pgbench` with some clients for some seconds."""

    name: str
    unit: str
    by_http: Callable[[Server, float], Slot]
    directly: Callable[[int, int], Slot]
    clients: tuple[int, ...]
    """The numbers of `pgbench` clients to try; without time to try, the second one is used."""


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
