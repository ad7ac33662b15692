"""Group commit: commands that arrive while a batch is being committed form the next batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from tallystick.application.ports import Clock, Metrics, Randomness
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
"""A use case over many commands: outcomes in order, refusals and replays as values; running it again is safe."""


_APART_AT_ONCE = 4
_Verdict = Literal["done", "again", "rival", "held", "stop"]
_VERDICTS: Mapping[type[StoreFailure], _Verdict] = {WriteConflict: "rival", LockHeld: "held", StoreUnavailable: "stop"}


class Single(Protocol[C_contra, R_co]):
    """A use case as a caller sees it: one command in, its result out, its refusal raised."""

    async def __call__(self, command: C_contra, /) -> R_co: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much may wait, for how long, and how often a batch is tried."""

    lanes: int = 4
    batch_size: int = 256
    queue_length: int = 4096
    patience_seconds: float = 8.0
    """How long after its arrival a command may still be tried."""
    retries: int = 5
    first_pause_seconds: float = 0.05


@dataclass(slots=True)
class _Waiting(Generic[C, R]):
    command: C
    reply: asyncio.Future[R]
    deadline: float
    maybe_stored: bool = False
    """A commit of this command was lost sight of: from then on no failure may claim that nothing was done."""
    failure: StoreFailure | None = None
    """How the store failed this command the last time that it was tried."""

    def answer(self, outcome: R | Exception) -> None:
        """Answer with what the batch came to: a result, a refusal, or an earlier answer."""
        if self.reply.done():  # the caller went away; the effect stands all the same
            return
        if isinstance(outcome, Exception):
            self.reply.set_exception(outcome)
        else:
            self.reply.set_result(outcome)

    def shed(self, detail: str, cause: Cause) -> None:
        """Answer that nothing was done, and why: the last failure of the store, or this cause where there is none."""
        failure = self.failure or StoreFailure(cause=cause)
        self.fail(Overloaded(f"{detail}; nothing was done, ask again", cause=failure.cause, sqlstate=failure.sqlstate))

    def fail(self, error: Exception) -> None:
        """Answer with an error; OutcomeUnknown where a commit may have stored the command, unless it was refused."""
        is_definite = isinstance(error, Refusal) or not self.maybe_stored
        self.answer(error if is_definite else OutcomeUnknown())


class GroupCommit(Generic[C, R]):
    """Runs a batch use case for single callers.

    - Commands of one key are handled in the order of arrival and never run in two batches at once.
    - A batch that was aborted as a whole is run again as a whole, with full jitter, while its callers have patience.
    - A batch that fails for an unforeseen reason is halved until only the command that fails it fails.
    - A batch that waits in vain for a row that somebody holds is settled key by key.
    - Past the queue's length, and after `close()`, callers are refused with Overloaded at once.
    - A caller who goes away takes nothing with them.
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
    ) -> None:
        self._batch = batch
        self._key = key
        self._clock = clock
        self._randomness = randomness
        self._metrics = metrics
        self._name = name
        self._bounds = bounds or Bounds()
        self._lanes: list[deque[_Waiting[C, R]]] = [deque() for _ in range(self._bounds.lanes)]
        self._workers: list[asyncio.Task[None] | None] = [None] * self._bounds.lanes
        self._queued = 0
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, command: C, /) -> R:
        """Return the command's result, after its commit; raise its Failure, Overloaded or OutcomeUnknown."""
        if self._closed or self._queued >= self._bounds.queue_length:
            self._metrics.count("group_commit_shed", label=self._name)
            raise Overloaded(cause="shutdown" if self._closed else "queue_full")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # which costs a system call: once is enough
        reply: asyncio.Future[R] = self._loop.create_future()
        number = hash(self._key(command)) % len(self._lanes)
        self._lanes[number].append(_Waiting(command, reply, self._clock.monotonic() + self._bounds.patience_seconds))
        self._queued += 1
        if self._workers[number] is None:
            self._start(number)
        return await reply

    async def close(self, *, grace_seconds: float) -> None:
        """Take no more commands; finish those that wait within the grace, and refuse the rest."""
        self._closed = True
        workers = [worker for worker in self._workers if worker is not None]
        if workers:
            await asyncio.wait(workers, timeout=grace_seconds)
        for lane in self._lanes:
            while lane:
                lane.popleft().shed("shutting down", "shutdown")
                self._queued -= 1
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def _start(self, number: int) -> None:
        self._workers[number] = asyncio.create_task(self._work(number), name=f"{self._name} lane {number}")

    async def _work(self, number: int) -> None:
        lane = self._lanes[number]
        taken: Sequence[_Waiting[C, R]] = ()
        try:
            while lane:
                # What has arrived comes in first: under load this makes few large batches of many small ones.
                await asyncio.sleep(0)
                taken = [lane.popleft() for _ in range(min(len(lane), self._bounds.batch_size))]
                self._queued -= len(taken)
                await self._settle(self._in_time(taken))
        except asyncio.CancelledError:
            for waiting in taken:
                waiting.fail(OutcomeUnknown())
            raise
        finally:
            self._workers[number] = None
            if lane and not self._closed:
                self._start(number)

    def _in_time(self, taken: Sequence[_Waiting[C, R]], *, wait: float = 0.0) -> Sequence[_Waiting[C, R]]:
        """Return those who can wait that long, and shed the others."""
        until = self._clock.monotonic() + wait
        if until < min(waiting.deadline for waiting in taken):
            return taken
        for waiting in taken:
            if waiting.deadline <= until:
                self._metrics.count("group_commit_shed", label=self._name)
                waiting.shed("it waited too long", "waited")
        return [waiting for waiting in taken if waiting.deadline > until]

    async def _settle(self, taken: Sequence[_Waiting[C, R]]) -> None:
        """Give every caller an answer, whatever happens: run the batch, again while it is aborted, or in halves."""
        if not taken:
            return
        self._metrics.observe("group_commit_batch_size", len(taken), label=self._name)
        pause = self._bounds.first_pause_seconds
        verdict: _Verdict = "again"
        for tries_left in range(self._bounds.retries, -1, -1):
            verdict = await self._try(taken)
            if verdict == "done":
                return
            wait = pause * self._randomness.fraction()
            taken = self._in_time(taken, wait=wait)
            if verdict in {"held", "stop"} or not taken or not tries_left:
                break
            self._metrics.count("group_commit_retries", label=self._name)
            await asyncio.sleep(wait)
            pause *= 2
        # A rival whom the rule does not see, however often it looks, is met by one command: the others go on.
        if verdict == "rival" and len(taken) > 1:
            await self._split(taken, None)
            return
        if verdict == "held" and await self._settle_apart(taken):
            return
        for waiting in taken:
            waiting.shed("the database cannot take it now", "database")

    async def _try(self, taken: Sequence[_Waiting[C, R]]) -> _Verdict:
        """Run the batch once: everybody has an answer, or it may be run again, or there is no use in that now."""
        try:
            outcomes = await self._run(taken)
        except CommitUncertain as failure:
            for waiting in taken:
                waiting.maybe_stored, waiting.failure = True, failure
            return "again"
        except (TransactionAborted, StoreUnavailable) as failure:
            for waiting in taken:
                waiting.failure = failure
            return _VERDICTS.get(type(failure), "again")
        except Exception as error:  # noqa: BLE001  the boundary between the batch and its callers
            await self._split(taken, error)
            return "done"
        for waiting, outcome in zip(taken, outcomes, strict=True):
            waiting.answer(outcome)
        return "done"

    async def _run(self, taken: Sequence[_Waiting[C, R]]) -> Sequence[R | Exception]:
        outcomes = await self._batch([waiting.command for waiting in taken])
        if len(outcomes) != len(taken):
            raise AssertionError(f"{self._name}: {len(outcomes)} outcomes for {len(taken)} commands")
        return outcomes

    async def _settle_apart(self, taken: Sequence[_Waiting[C, R]]) -> bool:
        """Settle each key by itself, a few at a time; False where there is one alone.

        Somebody holds a row, and whose command wants it is not known: whoever wants another one is through at once.
        """
        by_key: dict[Hashable, list[_Waiting[C, R]]] = {}
        for waiting in taken:
            by_key.setdefault(self._key(waiting.command), []).append(waiting)
        if len(by_key) == 1:
            return False
        self._metrics.count("group_commit_splits", label=self._name)
        few = asyncio.Semaphore(_APART_AT_ONCE)

        async def settle(group: Sequence[_Waiting[C, R]]) -> None:
            async with few:
                await self._settle(group)

        await asyncio.gather(*(settle(group) for group in by_key.values()))
        return True

    async def _split(self, taken: Sequence[_Waiting[C, R]], error: Exception | None) -> None:
        """One command fails the others, by a constraint or by a bug; which one is known only where there is one."""
        if len(taken) == 1 and error is not None:
            taken[0].fail(error)
            return
        self._metrics.count("group_commit_splits", label=self._name)
        middle = len(taken) // 2
        await self._settle(taken[:middle])
        await self._settle(taken[middle:])
