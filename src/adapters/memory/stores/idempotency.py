"""Idempotent replies in memory."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.memory.tables import View
from tallystick.application.idempotency import (
    FingerprintKeys,
    IdempotencyKeys,
    KeyClaim,
    ReplyTotals,
    RequestKey,
    StoredReply,
)
from tallystick.application.transactions import WriteConflict
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.users import UserId


class MemoryIdempotencyKeys(IdempotencyKeys):
    """The replies of a view. Only one transaction runs at a time, so that no other one answers the same key."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def claim(self, keys: Sequence[RequestKey]) -> list[KeyClaim]:
        self._view.require_writable()
        stored = [self._view.replies.get((key.caller, key.key)) for key in keys]
        return ["fresh" if reply is None else reply[1] for reply in stored]

    async def totals(self, callers: Collection[UserId]) -> dict[UserId, ReplyTotals]:
        return {caller: total for caller in callers if (total := self._view.reply_totals.get(caller)) is not None}

    async def record(
        self, replies: Sequence[tuple[RequestKey, StoredReply]], bounds: UserBounds = DEFAULT_BOUNDS
    ) -> None:
        self._view.require_writable()
        before = await self.totals({key.caller for key, _ in replies})
        if any(total.bytes >= bounds.reply_bytes for total in before.values()):
            raise WriteConflict("reply_totals")
        for key, reply in replies:
            self._count(key.caller, 1, len(reply.body))
            if self._total(key.caller).replies > bounds.replies:
                raise WriteConflict("reply_totals")
            if (key.caller, key.key) in self._view.replies:
                raise WriteConflict("idempotency_keys_pkey")
            self._view.replies.put((key.caller, key.key), (key, reply))

    async def forget(self, *, before: datetime, limit: int) -> int:
        self._view.require_writable()
        old = [key for key, _ in self._view.replies.values() if key.at < before]
        for key in old[:limit]:
            self._remove(key.caller, key.key)
        return len(old[:limit])

    async def drop(self, caller: UserId, *, after: str, limit: int) -> str | None:
        self._view.require_writable()
        held = sorted(key.key for key, _ in self._view.replies.values() if key.caller == caller and key.key > after)
        for key in held[:limit]:
            self._remove(caller, key)
        if len(held) < limit:
            self._view.reply_totals.remove(caller)
            return None
        return held[limit - 1]

    def _remove(self, caller: UserId, key: str) -> None:
        stored = self._view.replies.get((caller, key))
        if stored is not None:
            self._count(caller, -1, -len(stored[1].body))
            self._view.replies.remove((caller, key))

    def _total(self, caller: UserId) -> ReplyTotals:
        return self._view.reply_totals.get(caller) or ReplyTotals()

    def _count(self, caller: UserId, replies: int, size: int) -> None:
        total = self._total(caller)
        self._view.reply_totals.put(caller, ReplyTotals(total.replies + replies, total.bytes + size))


class MemoryFingerprintKeys(FingerprintKeys):
    """The fingerprint key of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def find(self) -> bytes | None:
        return self._view.fingerprint_keys.get("requests")

    async def keep(self, fresh: bytes, *, where_replies_are_stored: bytes) -> None:
        self._view.require_writable()
        if await self.find() is None:
            has_replies = any(True for _ in self._view.replies.values())
            self._view.fingerprint_keys.put("requests", where_replies_are_stored if has_replies else fresh)
