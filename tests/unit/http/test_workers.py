"""Workers of a server: replaced when they have ended or hang, and left alone while they start."""

import socket
from dataclasses import dataclass, field
from typing import cast

import pytest
import uvicorn
from uvicorn.supervisors import multiprocess

from tallystick.entrypoints.http.internals import STARTING_SECONDS, Workers


@dataclass
class Child:
    """The process of a worker, as the operating system shows it."""

    lives: bool = True

    def is_alive(self) -> bool:
        return self.lives


@dataclass(eq=False)
class Worker:
    """A worker that answers no ping."""

    pid: int
    process: Child = field(default_factory=Child)
    exitcode: int | None = None

    def is_alive(self, timeout: float) -> bool:
        del timeout
        return False

    def start(self) -> None: ...

    def kill(self) -> None:
        self.process.lives = False

    def join(self) -> None: ...


class Clock:
    """A clock that stands still."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def ended() -> list[int]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch, ended: list[int], clock: Clock) -> Workers:
    """Return two workers, 1 and 2; the one that replaces another is 3."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(multiprocess, "Process", lambda *_: Worker(3))
    with socket.socket() as listener:
        workers = Workers(uvicorn.Config("none", workers=2), listener, ended.append, clock)
    workers.processes = cast("list[multiprocess.Process]", [Worker(1), Worker(2)])
    return workers


def ids(workers: Workers) -> list[int]:
    return sorted(worker.pid or 0 for worker in workers.processes)


def test_a_worker_that_still_starts_is_not_replaced(workers: Workers, clock: Clock, ended: list[int]) -> None:
    workers.keep_subprocess_alive()
    clock.seconds += STARTING_SECONDS - 1
    workers.keep_subprocess_alive()

    assert (ids(workers), ended) == ([1, 2], [])


def test_a_worker_that_hangs_behind_its_start_is_replaced(workers: Workers, clock: Clock, ended: list[int]) -> None:
    workers.processes.pop()
    workers.keep_subprocess_alive()
    clock.seconds += STARTING_SECONDS
    workers.keep_subprocess_alive()

    assert (ids(workers), ended) == ([3], [1])


def test_a_worker_that_ends_while_it_starts_is_replaced_at_once_and_named_once(
    workers: Workers, ended: list[int]
) -> None:
    cast("Worker", workers.processes[0]).process.lives = False

    for _ in range(3):
        workers.keep_subprocess_alive()

    assert (ids(workers), ended) == ([2, 3], [1])
