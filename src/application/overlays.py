"""Overlays: put and removed by users, and ended at their time by any instance, each version by one event."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import msgspec

from tallystick.application.bounds import Capacity
from tallystick.application.ports import Randomness
from tallystick.application.topics import AnnounceTopics, Appending, TopicBatch, announce_nothing
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.overlays import (
    OVERLAYS,
    Overlay,
    OverlayEvent,
    OverlayEventKind,
    OverlayFacts,
    OverlaySessionId,
    ShownOverlay,
    end_of,
    ended,
    put_overlay,
    remove_overlay,
    version_ref,
)
from tallystick.domain.refusals import Failure
from tallystick.domain.topics import TopicEvent
from tallystick.domain.users import UserDeleted, UserId

SWEEP_OVERLAYS = 100
"""How many overlays one transaction of a sweep ends at most."""
_STEP_OVERLAYS = 100
"""How many overlays one step of an erasure locks at most."""

NoteOverlay = Callable[[], None]
"""Says that the nearest end of an overlay may have changed."""


def note_nothing() -> None:
    """Note nothing: no sweep runs beside these commits."""


class PutOverlay(msgspec.Struct, frozen=True):
    """Show an overlay in a session for some time; it replaces the one that is shown."""

    session_id: OverlaySessionId
    actor_id: UserId
    change_id: str
    """The id of this command: run again after a lost commit, it finds its own effect."""
    payload: str
    ttl_seconds: int
    is_manager: bool = False


class RemoveOverlay(msgspec.Struct, frozen=True):
    """End the overlay of a session now."""

    session_id: OverlaySessionId
    actor_id: UserId
    change_id: str
    is_manager: bool = False


class RemovedOverlay(msgspec.Struct, frozen=True):
    """The version that was removed."""

    session_id: OverlaySessionId
    version: int


class PutOverlays:
    """Put overlays. The clock of the store says until when they are shown."""

    def __init__(
        self,
        transactions: Transactions,
        randomness: Randomness,
        bounds: UserBounds = DEFAULT_BOUNDS,
        announce: AnnounceTopics = announce_nothing,
        note: NoteOverlay = note_nothing,
    ) -> None:
        self._transactions, self._randomness, self._bounds = transactions, randomness, bounds
        self._announce, self._note = announce, note

    async def __call__(self, commands: Sequence[PutOverlay]) -> list[ShownOverlay | Failure]:
        actors = {command.actor_id for command in commands}
        async with self._transactions.begin() as stores:
            deleted = await stores.users.deleted(actors)
            shown = await Capacity.open(stores, "overlays", actors - deleted, self._bounds)
            sessions = await Capacity.open(stores, "overlay_sessions", actors - deleted, self._bounds, locked=True)
            batch = await OverlayBatch.lock(stores, {each.session_id for each in commands}, self._randomness)
            outcomes = [
                UserDeleted() if command.actor_id in deleted else batch.put(command, shown, sessions)
                for command in commands
            ]
            await batch.record(stores)
        if batch.has_events:
            self._announce({OVERLAYS})
            self._note()
        return outcomes


class RemoveOverlays:
    """End overlays before their time."""

    def __init__(
        self, transactions: Transactions, randomness: Randomness, announce: AnnounceTopics = announce_nothing
    ) -> None:
        self._transactions, self._randomness, self._announce = transactions, randomness, announce

    async def __call__(self, commands: Sequence[RemoveOverlay]) -> list[RemovedOverlay | Failure]:
        async with self._transactions.begin() as stores:
            deleted = await stores.users.deleted({command.actor_id for command in commands})
            batch = await OverlayBatch.lock(stores, {each.session_id for each in commands}, self._randomness)
            outcomes = [UserDeleted() if command.actor_id in deleted else batch.remove(command) for command in commands]
            await batch.record(stores)
        if batch.has_events:
            self._announce({OVERLAYS})
        return outcomes


class ExpireOverlays:
    """End the overlays whose time is over. Any number of instances may do this at once."""

    def __init__(
        self, transactions: Transactions, randomness: Randomness, announce: AnnounceTopics = announce_nothing
    ) -> None:
        self._transactions, self._randomness, self._announce = transactions, randomness, announce

    async def __call__(self) -> int:
        """End up to a hundred overlays, and return how many were ended."""
        async with self._transactions.begin() as stores:
            claimed = await stores.overlays.claim_ended(limit=SWEEP_OVERLAYS)
            if claimed:
                # A command that puts another version waits for the claimed rows.
                batch = OverlayBatch(
                    {each.session_id: each for each in claimed}, await lock_log(stores, self._randomness)
                )
                for each in claimed:
                    batch.expire(each)
                await batch.record(stores)
        if claimed:
            self._announce({OVERLAYS})
        return len(claimed)


class OverlayBatch:
    """The locked overlays that a batch is decided on, kept current while it is decided."""

    def __init__(self, held: dict[OverlaySessionId, Overlay], log: TopicBatch) -> None:
        self._stored, self._log, self._at = held, log, log.at(OVERLAYS)
        self._changed: dict[OverlaySessionId, Overlay] = {}
        self._events: list[TopicEvent] = []

    @classmethod
    async def lock(
        cls, stores: Stores, session_ids: Collection[OverlaySessionId], randomness: Randomness
    ) -> "OverlayBatch":
        """Lock the overlays of sessions, and behind them their log."""
        held = await stores.overlays.lock(session_ids) if session_ids else {}
        return cls(held, await lock_log(stores, randomness))

    @property
    def has_events(self) -> bool:
        """True once something has changed."""
        return bool(self._events)

    def put(self, command: PutOverlay, shown: Capacity, sessions: Capacity) -> ShownOverlay | Failure:
        """Decide one command, and keep what it changes. NotYourOverlay, BoundReached."""
        expires_at = end_of(self._at, command.ttl_seconds)
        wanted = Overlay(command.session_id, command.actor_id, 0, command.change_id, command.payload, expires_at)
        held = self._held(command.session_id)
        try:
            overlay, events = put_overlay(held, wanted, at=self._at, is_manager=command.is_manager)
            is_new = held is None or held.owner_id is None
            if is_new and not sessions.has_room(command.actor_id):
                raise sessions.refusal
            is_another = any(event.kind == "overlay_shown" for event in events)
            if is_another and not shown.take(command.actor_id):
                raise shown.refusal
            if is_new:
                sessions.take(command.actor_id)
        except Failure as failure:
            return failure
        self._keep(overlay, events, command.actor_id)
        end = overlay.expires_at or expires_at
        return ShownOverlay(overlay.session_id, overlay.version, end, command.payload, self._at)

    def remove(self, command: RemoveOverlay) -> RemovedOverlay | Failure:
        """Decide one command, and keep what it changes. OverlayNotFound, NotYourOverlay."""
        try:
            overlay, events = remove_overlay(
                self._held(command.session_id),
                actor_id=command.actor_id,
                change_id=command.change_id,
                at=self._at,
                is_manager=command.is_manager,
            )
        except Failure as failure:
            return failure
        self._keep(overlay, events, command.actor_id)
        return RemovedOverlay(overlay.session_id, overlay.version)

    def _held(self, session_id: OverlaySessionId) -> Overlay | None:
        return self._changed.get(session_id) or self._stored.get(session_id)

    def expire(self, held: Overlay) -> None:
        """End an overlay whose time is over."""
        event = OverlayEvent("overlay_expired", held.version, None)
        self._keep(ended(held, held.change_id), [event], held.owner_id or UserId(""))

    def disown(self, owner_id: UserId) -> None:
        """End the overlays of a user that are shown, and let their sessions belong to nobody."""
        for held in [each for each in self._stored.values() if each.owner_id == owner_id]:
            overlay = msgspec.structs.replace(ended(held, held.change_id), owner_id=None)
            events: list[OverlayEvent] = []
            if held.expires_at is not None:
                kind: OverlayEventKind = "overlay_removed" if self._at < held.expires_at else "overlay_expired"
                events = [OverlayEvent(kind, held.version, None)]
            self._keep(overlay, events, owner_id)

    def _keep(self, overlay: Overlay, events: Sequence[OverlayEvent], actor_id: UserId) -> None:
        self._changed[overlay.session_id] = overlay
        for event in events:
            begun = event.begun
            named = event.ended if event.ended is not None else overlay.version
            facts = OverlayFacts(
                overlay.session_id,
                event.ended,
                begun.version if begun is not None else None,
                begun.expires_at if begun is not None else None,
            )
            payload = msgspec.json.encode(facts).decode()
            ref = version_ref(overlay.session_id, named)
            self._events.append(self._log.next_event(OVERLAYS, event.kind, ref, actor_id=actor_id, payload=payload))

    async def record(self, stores: Stores) -> None:
        """Store the overlays that changed, and the events that say so."""
        in_order = [self._changed[session_id] for session_id in sorted(self._changed)]
        if added := [overlay for overlay in in_order if overlay.session_id not in self._stored]:
            await stores.overlays.add(added)
        if replaced := [overlay for overlay in in_order if overlay.session_id in self._stored]:
            await stores.overlays.replace(replaced)
        if self._events:
            await stores.topics.append(self._events)


async def lock_log(stores: Stores, randomness: Randomness) -> TopicBatch:
    """Lock the topic of overlays, which the first overlay of a service makes."""
    log = await TopicBatch.lock(stores, [OVERLAYS], randomness)
    if OVERLAYS in log:
        return log
    await stores.topics.add(OVERLAYS, "overlays")
    return await TopicBatch.lock(stores, [OVERLAYS], randomness)


async def leave_overlays(
    stores: Stores, user_id: UserId, _at: datetime, after: str, _limit: int, appending: Appending
) -> str | None:
    """End the first overlays of a deleted user behind a session; return the last session, None where that was all."""
    sessions = await stores.overlays.of_owner(user_id, after=after, limit=_STEP_OVERLAYS)
    if sessions:
        batch = await OverlayBatch.lock(stores, sessions, appending.randomness)
        batch.disown(user_id)
        await batch.record(stores)
        if batch.has_events:
            appending.changed.add(OVERLAYS)
    return sessions[-1] if len(sessions) == _STEP_OVERLAYS else None
