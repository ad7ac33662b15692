"""Contests: one thing to do, by HTTP and directly, in turns."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from bench.drivers import Slot
from bench.pgbench import best
from bench.report import Say
from bench.servers import Server

ONE, TWO, DIRECT = "1 worker", "2 workers", "pgbench"
BATCH_CONNECTIONS = 8
MOST_BATCHES_PER_SECOND = 60
"""How many batches a second are prepared at most."""
GROWTH_AIM = 0.8
_TRY_SECONDS = 2

Turn = Callable[[], Slot]


class Contest(NamedTuple):
    """One thing to do, by HTTP for so many seconds, or directly with so many clients for so many seconds."""

    name: str
    unit: str
    by_http: Callable[[Server, float], Slot]
    directly: Callable[[int, int], Slot]
    clients: tuple[int, ...]
    """How many of `pgbench` are tried; the second is taken where there is no time to try."""


def best_clients(say: Say, contest: Contest, *, is_tried: bool) -> tuple[int, str]:
    """Return how many clients of `pgbench` do most, and what was found."""
    if not is_tried:
        return contest.clients[1], f"pgbench with {contest.clients[1]} clients, no other number was tried"
    slots: dict[int, list[Slot]] = {}
    for clients in contest.clients:
        say(f"{contest.name}: pgbench with clients: {clients}")
        slots[clients] = [contest.directly(clients, _TRY_SECONDS)]
    found = ", ".join(f"{slots[clients][0].per_second:,.0f} with {clients}" for clients in slots)
    return best(slots), f"pgbench by its number of clients: {found}"


def in_turns(say: Say, doing: str, turns: Mapping[str, Turn], rounds: int) -> dict[str, list[Slot]]:
    """Let everybody work in turns, now from one end and now from the other."""
    slots: dict[str, list[Slot]] = {name: [] for name in turns}
    for number in range(rounds):
        say(f"{doing}, round {number + 1} of {rounds}")
        for name in list(turns)[:: -1 if number % 2 else 1]:
            slots[name].append(turns[name]())
    return slots


def client_cost(slots: list[Slot]) -> str:
    """Say what our client took of the machine."""
    spent = sum(slot.client_cpu_seconds for slot in slots) / sum(len(slot.latencies_ms) for slot in slots)
    return f"our client took {spent * 1e6:.0f} us of each HTTP request, on the same cores"
