"""Commands on overlays, and the batch that decides them under the locks of their sessions and of the log."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import msgspec

from tallystick.application.bounds import Capacity
from tallystick.application.ports import Randomness
from tallystick.application.topics import TopicBatch
from tallystick.application.transactions import Stores
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
    overlay_facts,
    put_overlay,
    remove_overlay,
    version_ref,
)
from tallystick.domain.refusals import Failure
from tallystick.domain.topics import TopicEvent, TopicEventId
from tallystick.domain.users import UserDeleted, UserId

NOTHING_EARLIER: Mapping[TopicEventId, TopicEvent] = MappingProxyType({})


class PutOverlay(msgspec.Struct, frozen=True):
    """Show an overlay in a session for some time; it replaces the one that is shown."""

    session_id: OverlaySessionId
    actor_id: UserId
    event_id: str
    """The id of the event. It is made before the transaction: a retry after a lost commit finds its own event."""
    payload: str
    ttl_seconds: int
    is_manager: bool = False


class RemoveOverlay(msgspec.Struct, frozen=True):
    """End the overlay of a session now."""

    session_id: OverlaySessionId
    actor_id: UserId
    event_id: str
    """The id of the event, as that of a version that is put."""
    is_manager: bool = False


class RemovedOverlay(msgspec.Struct, frozen=True):
    """The version that was removed."""

    session_id: OverlaySessionId
    version: int


class OverlayBatch:
    """The locked overlays that a batch is decided on, kept current while it is decided."""

    def __init__(
        self,
        held: dict[OverlaySessionId, Overlay],
        log: TopicBatch,
        deleted: Collection[UserId] = frozenset(),
        earlier: Mapping[TopicEventId, TopicEvent] = NOTHING_EARLIER,
    ) -> None:
        self._stored, self._log, self._at = held, log, log.at(OVERLAYS)
        self._deleted, self._earlier = deleted, earlier
        self._changed: dict[OverlaySessionId, Overlay] = {}
        self._events: list[TopicEvent] = []

    @classmethod
    async def lock(
        cls, stores: Stores, session_ids: Collection[OverlaySessionId], randomness: Randomness
    ) -> "OverlayBatch":
        """Lock the overlays of sessions, and behind them their log."""
        return cls(await stores.overlays.lock(session_ids), await lock_log(stores, randomness))

    @classmethod
    async def open(
        cls,
        stores: Stores,
        commands: Sequence[PutOverlay] | Sequence[RemoveOverlay],
        deleted: Collection[UserId],
        randomness: Randomness,
    ) -> "OverlayBatch":
        """Lock the overlays of commands and their log, and find the events that earlier tries stored."""
        held = await stores.overlays.lock({command.session_id for command in commands})
        log = await lock_log(stores, randomness)
        earlier = await stores.topics.find({_event_id(command) for command in commands})
        return cls(held, log, deleted, earlier)

    @property
    def has_events(self) -> bool:
        """True once something has changed."""
        return bool(self._events)

    def put(self, command: PutOverlay, shown: Capacity, sessions: Capacity) -> ShownOverlay | Failure:
        """Decide one command, and keep what it changes. UserDeleted, NotYourOverlay, BoundReached."""
        earlier = self._facts_of_earlier_try(command)
        if earlier is not None and earlier.version is not None and earlier.expires_at is not None:
            return ShownOverlay(command.session_id, earlier.version, earlier.expires_at, command.payload, self._at)
        if command.actor_id in self._deleted:
            return UserDeleted()
        expires_at = end_of(self._at, command.ttl_seconds)
        wanted = Overlay(command.session_id, command.actor_id, 0, command.payload, expires_at)
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
        self._keep(overlay, events, command.actor_id, command.event_id)
        return ShownOverlay(overlay.session_id, overlay.version, expires_at, command.payload, self._at)

    def remove(self, command: RemoveOverlay) -> RemovedOverlay | Failure:
        """Decide one command, and keep what it changes. UserDeleted, OverlayNotFound, NotYourOverlay."""
        earlier = self._facts_of_earlier_try(command)
        if earlier is not None and earlier.ended_version is not None:
            return RemovedOverlay(command.session_id, earlier.ended_version)
        if command.actor_id in self._deleted:
            return UserDeleted()
        try:
            overlay, events = remove_overlay(
                self._held(command.session_id),
                actor_id=command.actor_id,
                at=self._at,
                is_manager=command.is_manager,
            )
        except Failure as failure:
            return failure
        self._keep(overlay, events, command.actor_id, command.event_id)
        return RemovedOverlay(overlay.session_id, overlay.version)

    def _facts_of_earlier_try(self, command: PutOverlay | RemoveOverlay) -> OverlayFacts | None:
        event = self._earlier.get(_event_id(command))
        return overlay_facts(event) if event is not None else None

    def _held(self, session_id: OverlaySessionId) -> Overlay | None:
        return self._changed.get(session_id) or self._stored.get(session_id)

    def expire(self, held: Overlay) -> None:
        """End an overlay whose time is over."""
        event = OverlayEvent("overlay_expired", held.version, None)
        self._keep(ended(held), [event], held.owner_id or UserId(""))

    def disown(self, owner_id: UserId) -> None:
        """End the overlays of a user that are shown, and let their sessions belong to nobody."""
        for held in [each for each in self._stored.values() if each.owner_id == owner_id]:
            overlay = msgspec.structs.replace(ended(held), owner_id=None)
            events: list[OverlayEvent] = []
            if held.expires_at is not None:
                kind: OverlayEventKind = "overlay_removed" if self._at < held.expires_at else "overlay_expired"
                events = [OverlayEvent(kind, held.version, None)]
            self._keep(overlay, events, owner_id)

    def _keep(
        self, overlay: Overlay, events: Sequence[OverlayEvent], actor_id: UserId, event_id: str | None = None
    ) -> None:
        """Keep an overlay with its events. The last one has the id: a version may expire before the next one begins."""
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
            own_id = event_id if event is events[-1] else None
            self._events.append(
                self._log.next_event(OVERLAYS, event.kind, ref, actor_id=actor_id, payload=payload, event_id=own_id)
            )

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


def _event_id(command: PutOverlay | RemoveOverlay) -> TopicEventId:
    return TopicEventId(OVERLAYS, command.event_id)
