"""Group commit: commands that arrive while a batch is being committed form the next batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.tracing import SILENT, Span, Tracer
from tallystick.application.transactions import (
    CommitUncertain,
    LockHeld,
    StoreFailure,
    StoreUnavailable,
    TransactionAborted,
    WriteConflict,
)
from tallystick.domain.refusals import Cause, OutcomeUnknown, Overloaded, Refusal

C = TypeVar("C")
R = TypeVar("R")
C_contra = TypeVar("C_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

Batch = Callable[[Sequence[C]], Awaitable[Sequence[R | Exception]]]
"""A use case over many commands, safe to run again. It returns the outcomes in order: results, failures and replays."""

_CONCURRENT_KEYS = 4
"""How many keys of a divided batch run at the same time."""
_Attempt = Literal["answered", "retry", "conflict", "lock_held", "unavailable"]
_ATTEMPTS: Mapping[type[StoreFailure], _Attempt] = {
    WriteConflict: "conflict",
    LockHeld: "lock_held",
    StoreUnavailable: "unavailable",
}


class Single(Protocol[C_contra, R_co]):
    """A use case as a caller sees it: one command in, its result out, its failure raised."""

    async def __call__(self, command: C_contra, /) -> R_co: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds of a group commit: its queue, its batches and its retries."""

    lanes: int = 4
    batch_size: int = 256
    queue_length: int = 4096
    deadline_seconds: float = 8.0
    """How long after its arrival a command may still be tried."""
    retries: int = 5
    first_backoff_seconds: float = 0.05


@dataclass(slots=True)
class _Queued(Generic[C, R]):
    command: C
    reply: asyncio.Future[R]
    deadline: float
    span: Span | None
    """The span of the request that the command is part of."""
    maybe_stored: bool = False
    """True once a commit of this command was lost: from then on, no failure may claim that nothing was done."""
    failure: StoreFailure | None = None
    """The failure of the last attempt."""

    def answer(self, outcome: R | Exception) -> None:
        """Answer the caller with a result, a failure, or the reply of an earlier request."""
        if self.reply.done():  # the caller was cancelled; the effect stands all the same
            return
        if isinstance(outcome, Exception):
            self.reply.set_exception(outcome)
        else:
            self.reply.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """Answer with an error; OutcomeUnknown where a commit may have stored the command, unless it was refused."""
        is_definite = isinstance(error, Refusal) or not self.maybe_stored
        self.answer(error if is_definite else OutcomeUnknown())

    def shed(self, detail: str, cause: Cause) -> None:
        """Reject the command with Overloaded; the cause is that of the last failure, where the store failed."""
        failure = self.failure or StoreFailure(cause=cause)
        self.fail(Overloaded(f"{detail}; nothing was done, ask again", cause=failure.cause, sqlstate=failure.sqlstate))


class GroupCommit(Generic[C, R]):
    """Runs a batch use case for single callers.

    - Commands of one key run in the order of arrival, and never in two batches at once.
    - A batch that was aborted as a whole is retried as a whole, with full jitter, until its commands reach their
      deadline.
    - A batch that fails for an unforeseen reason is halved until only the command that causes the failure fails.
    - A batch that meets a lock which is held for too long is run again key by key, so that only commands that need the
      locked row fail.
    - A command is rejected with Overloaded at once where the queue is full, and after `close()`.
    - A caller who is cancelled does not cancel the command.
    """

    def __init__(
        self,
        batch: Batch[C, R],
        *,
        key: Callable[[C], Hashable],
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
        name: str,
        bounds: Bounds | None = None,
        tracer: Tracer = SILENT,
    ) -> None:
        self._use_case = batch
        self._key = key
        self._clock = clock
        self._randomness = randomness
        self._metrics = metrics
        self._tracer = tracer
        self._name = name
        self._bounds = bounds or Bounds()
        self._lanes: list[deque[_Queued[C, R]]] = [deque() for _ in range(self._bounds.lanes)]
        self._workers: list[asyncio.Task[None] | None] = [None] * self._bounds.lanes
        self._queue_length = 0
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        metrics.watch("group_commit_queue_length", lambda: self._queue_length, label=name)
        metrics.watch("group_commit_queue_age_seconds", self._queue_age, label=name)

    async def __call__(self, command: C, /) -> R:
        """Return the command's result, after its commit; raise its failure, Overloaded or OutcomeUnknown."""
        if self._closed or self._queue_length >= self._bounds.queue_length:
            self._metrics.count("group_commit_shed", label=self._name)
            raise Overloaded(cause="shutdown" if self._closed else "queue_full")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # it costs a system call: one is enough
        reply: asyncio.Future[R] = self._loop.create_future()
        lane = hash(self._key(command)) % len(self._lanes)
        deadline = self._clock.monotonic() + self._bounds.deadline_seconds
        self._lanes[lane].append(_Queued(command, reply, deadline, self._tracer.current()))
        self._queue_length += 1
        if self._workers[lane] is None:
            self._start_worker(lane)
        return await reply

    async def close(self, *, grace_seconds: float) -> None:
        """Take no more commands; run those in the queue within the grace period, and reject the rest."""
        self._closed = True
        workers = [worker for worker in self._workers if worker is not None]
        if workers:
            await asyncio.wait(workers, timeout=grace_seconds)
        for queue in self._lanes:
            while queue:
                queue.popleft().shed("shutting down", "shutdown")
                self._queue_length -= 1
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def _queue_age(self) -> float:
        """Return for how long the first command in the queue has waited."""
        deadlines = [lane[0].deadline for lane in self._lanes if lane]
        if not deadlines:
            return 0.0
        return self._clock.monotonic() - (min(deadlines) - self._bounds.deadline_seconds)

    def _start_worker(self, lane: int) -> None:
        self._workers[lane] = asyncio.create_task(self._work(lane), name=f"{self._name} lane {lane}")

    async def _work(self, lane: int) -> None:
        queue = self._lanes[lane]
        batch: Sequence[_Queued[C, R]] = ()
        try:
            while queue:
                # Commands that have arrived are queued first: under load, few large batches form instead of many
                # small ones.
                await asyncio.sleep(0)
                batch = [queue.popleft() for _ in range(min(len(queue), self._bounds.batch_size))]
                self._queue_length -= len(batch)
                await self._run_batch(self._in_time(batch))
        except asyncio.CancelledError:
            for queued in batch:
                queued.fail(OutcomeUnknown())
            raise
        finally:
            self._workers[lane] = None
            if queue and not self._closed:
                self._start_worker(lane)

    def _in_time(self, batch: Sequence[_Queued[C, R]], *, pause: float = 0.0) -> Sequence[_Queued[C, R]]:
        """Return the commands whose deadline is later than the end of a pause; shed the others."""
        until = self._clock.monotonic() + pause
        if until < min(queued.deadline for queued in batch):
            return batch
        for queued in batch:
            if queued.deadline <= until:
                self._metrics.count("group_commit_shed", label=self._name)
                queued.shed("it waited too long", "waited")
        return [queued for queued in batch if queued.deadline > until]

    async def _run_batch(self, batch: Sequence[_Queued[C, R]]) -> None:
        """Answer every command of a batch: run it, retry it while it is aborted, and divide it where that helps."""
        if not batch:
            return
        self._metrics.observe("group_commit_batch_size", len(batch), label=self._name)
        backoff = self._bounds.first_backoff_seconds
        attempt: _Attempt = "retry"
        for retries_left in range(self._bounds.retries, -1, -1):
            attempt = await self._try(batch)
            if attempt == "answered":
                return
            pause = backoff * self._randomness.fraction()
            batch = self._in_time(batch, pause=pause)
            if attempt in {"lock_held", "unavailable"} or not batch or not retries_left:
                break
            self._metrics.count("group_commit_retries", label=self._name)
            await asyncio.sleep(pause)
            backoff *= 2
        # A conflict that every retry meets again belongs to one command: the others succeed without it.
        if attempt == "conflict" and len(batch) > 1:
            await self._run_halves(batch)
            return
        if attempt == "lock_held" and await self._run_by_key(batch):
            return
        for queued in batch:
            queued.shed("the database cannot take it now", "database")

    async def _try(self, batch: Sequence[_Queued[C, R]]) -> _Attempt:
        """Run the batch once; return whether its commands were answered, or why not."""
        try:
            outcomes = await self._outcomes(batch)
        except CommitUncertain as failure:
            for queued in batch:
                queued.maybe_stored, queued.failure = True, failure
            return "retry"
        except (TransactionAborted, StoreUnavailable) as failure:
            for queued in batch:
                queued.failure = failure
            return _ATTEMPTS.get(type(failure), "retry")
        except Exception as error:  # noqa: BLE001  the boundary between the use case and its callers
            # A constraint or a bug fails all commands because of one. Only a batch of one shows which command it is.
            if len(batch) == 1:
                batch[0].fail(error)
            else:
                await self._run_halves(batch)
            return "answered"
        for queued, outcome in zip(batch, outcomes, strict=True):
            queued.answer(outcome)
        return "answered"

    async def _outcomes(self, batch: Sequence[_Queued[C, R]]) -> Sequence[R | Exception]:
        requests = [queued.span for queued in batch if queued.span is not None]
        with self._tracer.inside(self._name, requests) as span:
            if span is not None:
                span.note("tallystick.batch_size", len(batch))
            outcomes = await self._use_case([queued.command for queued in batch])
        if len(outcomes) != len(batch):
            raise AssertionError(f"{self._name}: {len(outcomes)} outcomes for {len(batch)} commands")
        return outcomes

    async def _run_by_key(self, batch: Sequence[_Queued[C, R]]) -> bool:
        """Run the commands of each key as a batch, a few keys at a time; False where all have the same key.

        The locked row belongs to one of the keys, and which one is not known.
        """
        by_key: dict[Hashable, list[_Queued[C, R]]] = {}
        for queued in batch:
            by_key.setdefault(self._key(queued.command), []).append(queued)
        if len(by_key) == 1:
            return False
        self._metrics.count("group_commit_splits", label=self._name)
        limit = asyncio.Semaphore(_CONCURRENT_KEYS)

        async def run(commands: Sequence[_Queued[C, R]]) -> None:
            async with limit:
                await self._run_batch(commands)

        await asyncio.gather(*(run(commands) for commands in by_key.values()))
        return True

    async def _run_halves(self, batch: Sequence[_Queued[C, R]]) -> None:
        self._metrics.count("group_commit_splits", label=self._name)
        middle = len(batch) // 2
        await self._run_batch(batch[:middle])
        await self._run_batch(batch[middle:])
