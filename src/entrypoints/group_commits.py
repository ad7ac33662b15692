"""Group commits: the queues in front of the batch use cases of a process, and how they are closed."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from dishka import Provider, Scope

from tallystick.application.group_commit import Batch, Bounds, C, GroupCommit, R, Single
from tallystick.application.idempotency import AnswerOnce
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.tracing import Tracer
from tallystick.domain.bounds import UserBounds
from tallystick.entrypoints.http.replies import WireEncoder

Close = Callable[..., Awaitable[None]]
"""Called with `grace_seconds`."""


class BatchUseCase:
    """A use case over many commands, and how single commands reach it.

    The type checker compares the types of a row where it is written; later they are known at run time alone.
    """

    def __init__(
        self,
        use_case: Callable[..., Batch[C, R]],
        name: str,
        *,
        key: Callable[[C], Hashable],
        bounds: Bounds | None = None,
        reply: Callable[[R], object] | None = None,
    ) -> None:
        """Name the class of the use case and its label in the metrics.

        Commands of one `key` run in their order, never in two batches at once. `reply` makes the wire struct of a
        result, where the wire differs, so that the reply to an idempotency key can be stored with the effect.
        """
        self.use_case: Callable[..., Batch[Any, Any]] = use_case
        self.name, self.bounds = name, bounds
        self.key: Callable[[Any], Hashable] = key
        self.reply: Callable[[Any], object] | None = reply
        self.command, self.result = _types_of(use_case)

    @property
    def single(self) -> Any:
        """The type that routers ask for: the use case for one command."""
        generic: Any = Single
        return generic[self.command, self.result]


class GroupCommits:
    """Every group commit of the process, so that they are closed before the parts that they use."""

    def __init__(self, clock: Clock, randomness: Randomness, metrics: Metrics, tracer: Tracer) -> None:
        self._clock, self._randomness, self._metrics, self._tracer = clock, randomness, metrics, tracer
        self._first: list[Close] = []
        self._afterwards: list[Close] = []

    def open(self, row: BatchUseCase, batch: Batch[C, R]) -> GroupCommit[C, R]:
        """Return a group commit for a use case, made as its row says."""
        commit = GroupCommit(
            batch,
            key=row.key,
            clock=self._clock,
            randomness=self._randomness,
            metrics=self._metrics,
            name=row.name,
            bounds=row.bounds,
            tracer=self._tracer,
        )
        self._first.append(commit.close)
        return commit

    def close_afterwards(self, close: Close) -> None:
        """Close something that group commits give work to once they are closed."""
        self._afterwards.append(close)

    async def close(self, *, grace_seconds: float) -> None:
        """Finish or reject the queued commands of every group commit at once, then what they gave work to.

        Both share the grace.
        """
        until = self._clock.monotonic() + grace_seconds
        await asyncio.gather(*(close(grace_seconds=grace_seconds) for close in self._first))
        left = max(0.0, until - self._clock.monotonic())
        await asyncio.gather(*(close(grace_seconds=left) for close in self._afterwards))


def provider_of(rows: Sequence[BatchUseCase]) -> Provider:
    """Return the provider of the use cases, of each as a `Single`, and of the store of their replies."""
    provider = Provider(scope=Scope.APP)
    for row in rows:
        provider.provide(row.use_case)
        provider.provide(_opening(row))
    encode = WireEncoder({row.result: row.reply for row in rows if row.reply is not None})

    def once(bounds: UserBounds) -> AnswerOnce:
        return AnswerOnce(encode, bounds)

    provider.provide(once)
    return provider


def _opening(row: BatchUseCase) -> Callable[[Batch[Any, Any], GroupCommits], GroupCommit[Any, Any]]:
    def opened(batch: Batch[Any, Any], commits: GroupCommits) -> GroupCommit[Any, Any]:
        return commits.open(row, batch)

    # The types of a row are known at run time alone, and dishka reads annotations.
    opened.__annotations__ = {"batch": row.use_case, "commits": GroupCommits, "return": row.single}
    return opened


def _types_of(use_case: Any) -> tuple[Any, Any]:
    """Return the types of one command and of its result, by the annotations of a use case."""
    hints = get_type_hints(use_case.__call__)
    outcomes = hints.pop("return")
    (commands,) = hints.values()
    (command,), (outcome,) = get_args(commands), get_args(outcomes)
    kinds = get_args(outcome) if get_origin(outcome) in {Union, UnionType} else (outcome,)
    return command, Union[tuple(kind for kind in kinds if not _is_error(kind))]  # noqa: UP007  a union of a tuple


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)
