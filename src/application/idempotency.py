"""Idempotency keys: a repeated request gets the first reply again, which is stored in the transaction of its effect."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from tallystick.domain.bounds import DEFAULT_BOUNDS, BoundReached, UserBounds
from tallystick.domain.refusals import Failure, Refusal, Unavailable
from tallystick.domain.users import UserDeleted, UserId, Users

C = TypeVar("C")
R = TypeVar("R")


class RequestKey(msgspec.Struct, frozen=True):
    """One keyed request of one caller."""

    caller: UserId
    key: str
    fingerprint: bytes
    """A keyed hash of method, path and body: the same key must not be used for another request."""
    success_status: int
    correlation_id: str
    at: datetime


class StoredReply(msgspec.Struct, frozen=True):
    """A reply as it was sent."""

    fingerprint: bytes
    status: int
    body: bytes


class Keyed(msgspec.Struct, Generic[C], frozen=True):
    """A command with the idempotency key of its request; None where the request has none."""

    command: C
    key: RequestKey | None = None


class IdempotencyMismatch(Refusal):
    """The key was used for another request."""

    code = "IDEMPOTENCY_MISMATCH"

    def __init__(
        self, detail: str = "this Idempotency-Key was used for another request; a new request needs a new key"
    ) -> None:
        super().__init__(detail)


class IdempotencyInProgress(Unavailable):
    """The first request with the key is still running."""

    code = "IDEMPOTENCY_IN_PROGRESS"

    def __init__(self) -> None:
        super().__init__("the first request with this Idempotency-Key is still running; ask again in a moment")


class Replayed(Exception):
    """The request was answered before with this reply."""

    def __init__(self, reply: StoredReply) -> None:
        super().__init__("answered before")
        self.reply = reply


KeyClaim = Literal["fresh", "running"] | StoredReply


class ReplyTotals(NamedTuple):
    """The number and the bytes of the stored replies of a caller."""

    replies: int = 0
    bytes: int = 0


class IdempotencyKeys(Protocol):
    """Replies by caller and key, kept for eight days."""

    async def claim(self, keys: Sequence[RequestKey]) -> list[KeyClaim]:
        """Lock keys until the end of the transaction; return which are fresh, running elsewhere, or answered before."""

    async def totals(self, callers: Collection[UserId]) -> dict[UserId, ReplyTotals]:
        """Return the totals of callers, as the last claim saw them; callers without replies are left out."""

    async def record(
        self, replies: Sequence[tuple[RequestKey, StoredReply]], bounds: UserBounds = DEFAULT_BOUNDS
    ) -> None:
        """Store the replies of claimed keys; WriteConflict where a caller has reached a bound since the claim."""

    async def forget(self, *, before: datetime, limit: int) -> int:
        """Drop at most `limit` replies that are older than `before`, and return how many."""

    async def drop(self, caller: UserId, *, after: str, limit: int) -> str | None:
        """Drop the first replies of a caller after a key; return the last key, None where there are no more."""


class FingerprintKeys(Protocol):
    """The key of request fingerprints, which is the same for all instances and never changes."""

    async def find(self) -> bytes | None:
        """Return the key; None before the first keyed request."""

    async def keep(self, fresh: bytes, *, where_replies_are_stored: bytes) -> None:
        """Store the key, unless one is stored: `fresh`, or the other one where replies are stored already."""


class ReplyStores(Protocol):
    """The stores of a transaction that `AnswerOnce` needs."""

    @property
    def idempotency(self) -> IdempotencyKeys: ...

    @property
    def users(self) -> Users: ...


class ReplyEncoder(Protocol):
    """Renders an outcome as the bytes that are sent."""

    def __call__(self, outcome: object, key: RequestKey, /) -> StoredReply | None:
        """Return the reply to store for a success or a refusal; None where replies are not stored."""


class AnswerOnce:
    """Runs the commands of a batch that were not answered before, and stores their replies with their effects."""

    def __init__(self, encode: ReplyEncoder, bounds: UserBounds = DEFAULT_BOUNDS) -> None:
        self._encode, self._bounds = encode, bounds

    async def __call__(
        self,
        stores: ReplyStores,
        requests: Sequence[Keyed[C]],
        work: Callable[[Sequence[C]], Awaitable[Sequence[R | Failure]]],
    ) -> list[R | Failure | Replayed]:
        """Return the outcomes in order.

        A repeated key yields Replayed, IdempotencyMismatch or IdempotencyInProgress; UserDeleted where the caller was
        deleted since. A new key yields BoundReached where its reply cannot be stored: the command is not run.
        """
        asked: dict[tuple[UserId, str], RequestKey] = {}
        for request in requests:
            if request.key is not None:
                asked.setdefault((request.key.caller, request.key.key), request.key)
        if not asked:
            return list(await work([request.command for request in requests]))
        claims = dict(zip(asked, await stores.idempotency.claim(list(asked.values())), strict=True))
        full = await self._without_room(stores, asked, claims)
        first = [
            number
            for number, request in enumerate(requests)
            if _is_to_run(request, claims, asked)
            and (request.key is None or (request.key.caller, request.key.key) not in full)
        ]
        worked = await work([requests[number].command for number in first]) if first else []
        outcomes = dict(zip(first, worked, strict=True))
        replies: dict[tuple[UserId, str], StoredReply] = {}
        for number in first:
            key = requests[number].key
            if key is None or not _may_be_stored(outcomes[number]):
                continue
            reply = self._encode(outcomes[number], key)
            if reply is not None:
                replies[key.caller, key.key] = reply
        await stores.idempotency.record([(asked[name], reply) for name, reply in replies.items()], self._bounds)
        repeated = {r.key.caller for n, r in enumerate(requests) if n not in outcomes and r.key is not None}
        deleted = await stores.users.deleted(repeated) if repeated else set[UserId]()
        return [
            outcomes[number] if number in outcomes else _repeated(request.key, claims, replies, deleted, full)
            for number, request in enumerate(requests)
        ]

    async def _without_room(
        self,
        stores: ReplyStores,
        asked: Mapping[tuple[UserId, str], RequestKey],
        claims: Mapping[tuple[UserId, str], KeyClaim],
    ) -> dict[tuple[UserId, str], BoundReached]:
        """Return the new keys whose callers may store no more replies."""
        fresh = [name for name in asked if claims[name] == "fresh"]
        totals = await stores.idempotency.totals({caller for caller, _ in fresh})
        full: dict[tuple[UserId, str], BoundReached] = {}
        for name in fresh:
            held = totals.get(name[0], ReplyTotals())
            if held.replies >= self._bounds.replies:
                full[name] = BoundReached("replies", limit=self._bounds.replies)
            elif held.bytes >= self._bounds.reply_bytes:
                full[name] = BoundReached("reply_bytes", limit=self._bounds.reply_bytes)
            else:
                totals[name[0]] = held._replace(replies=held.replies + 1)
        return full


def _may_be_stored(outcome: object) -> bool:
    """Return whether a retry with the same key gets this outcome again: any other failure lets the retry run."""
    return isinstance(outcome, Refusal) or not isinstance(outcome, Failure)


def _is_to_run(
    request: Keyed[C], claims: Mapping[tuple[UserId, str], KeyClaim], asked: Mapping[tuple[UserId, str], RequestKey]
) -> bool:
    key = request.key
    # Where a batch has a key twice, `asked` holds the first request: only that one runs.
    return key is None or (claims[key.caller, key.key] == "fresh" and asked[key.caller, key.key] is key)


def _repeated(
    key: RequestKey | None,
    claims: Mapping[tuple[UserId, str], KeyClaim],
    replies: Mapping[tuple[UserId, str], StoredReply],
    deleted: set[UserId],
    full: Mapping[tuple[UserId, str], BoundReached],
) -> Failure | Replayed:
    if key is None:
        raise AssertionError("a command without a key always runs")
    if key.caller in deleted:
        return UserDeleted()
    name = (key.caller, key.key)
    if name in full:
        return full[name]
    claim = claims[name]
    reply = claim if isinstance(claim, StoredReply) else replies.get(name)
    if reply is None:
        return IdempotencyInProgress()
    return Replayed(reply) if reply.fingerprint == key.fingerprint else IdempotencyMismatch()
