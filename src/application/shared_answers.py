"""Shared answers: an expensive result is computed once for all callers, one computation at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from tallystick.application.ports import Clock

T = TypeVar("T")


class Computed(msgspec.Struct, Generic[T], frozen=True):
    """An answer, the time when its computation began, and its age."""

    value: T
    computed_at: datetime
    age_seconds: float


class _Answer(msgspec.Struct, Generic[T], frozen=True):
    value: T
    computed_at: datetime
    began: float
    took_seconds: float


class SharedAnswer(Generic[T]):
    """Answers all callers from one computation.

    - Never two computations at once: callers get the last answer meanwhile, or wait for the running computation.
    - An answer younger than `fresh_seconds` is returned again. One whose computation took a second or longer is
      returned again for at least as long as it took, so that at most half of the time is spent on computing.
    - An older answer is returned while a new one is computed, until it is `stale_seconds` old.
    - A cancelled caller does not cancel the computation. An error reaches the waiting callers, and the next caller
      starts a new computation.
    """

    def __init__(
        self, compute: Callable[[], Awaitable[T]], clock: Clock, *, fresh_seconds: float, stale_seconds: float
    ) -> None:
        self._compute, self._clock = compute, clock
        self._fresh_seconds, self._stale_seconds = fresh_seconds, stale_seconds
        self._last: _Answer[T] | None = None
        self._running: asyncio.Task[_Answer[T]] | None = None

    async def __call__(self) -> Computed[T]:
        """Return an answer; errors are those of the computation."""
        last = self._last
        if last is not None:
            age = self._clock.monotonic() - last.began
            if age < max(self._fresh_seconds, last.took_seconds * 2 if last.took_seconds >= 1.0 else 0.0):
                return self._aged(last)
        running = self._running
        if running is None:
            running = self._running = asyncio.create_task(self._run(), name="shared answer")
            running.add_done_callback(self._finished)
        elif last is not None:
            return self._aged(last)
        if last is not None and self._clock.monotonic() - last.began < self._stale_seconds:
            return self._aged(last)
        return self._aged(await asyncio.shield(running))

    async def _run(self) -> _Answer[T]:
        computed_at, began = self._clock.now(), self._clock.monotonic()
        value = await self._compute()
        return _Answer(value, computed_at, began, self._clock.monotonic() - began)

    def _finished(self, task: "asyncio.Task[_Answer[T]]") -> None:
        self._running = None
        # Reading the exception marks it as retrieved, because no caller may be waiting.
        if not task.cancelled() and task.exception() is None:
            self._last = task.result()

    def _aged(self, answer: _Answer[T]) -> Computed[T]:
        return Computed(answer.value, answer.computed_at, max(0.0, self._clock.monotonic() - answer.began))
