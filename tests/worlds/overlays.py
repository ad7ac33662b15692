"""Overlays over one backend, in verbs and builders that name only what matters."""

from collections.abc import Callable

from tallystick.application.overlay_batch import PutOverlay, RemovedOverlay, RemoveOverlay
from tallystick.application.overlays import ExpireOverlays, NoteOverlay, PutOverlays, RemoveOverlays, note_nothing
from tallystick.application.topics import AnnounceTopics, announce_nothing
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.overlays import OVERLAYS, Overlay, OverlaySessionId, ShownOverlay, overlay_facts
from tallystick.domain.topics import TopicEvent
from tallystick.domain.users import UserId
from tests.worlds.wallets import result
from tests.worlds.world import World


class Screens:
    """Overlays of a world, and the use cases over them."""

    def __init__(
        self,
        world: World,
        bounds: UserBounds = DEFAULT_BOUNDS,
        announce: AnnounceTopics = announce_nothing,
        note: NoteOverlay = note_nothing,
    ) -> None:
        self.world = world
        self.put_overlays = PutOverlays(world.transactions, world.randomness, bounds, announce, note)
        self.remove_overlays = RemoveOverlays(world.transactions, world.randomness, announce)
        self.expire = ExpireOverlays(world.transactions, world.randomness, announce)

    def command(
        self,
        session: str = "s",
        payload: str = '"hello"',
        *,
        by: str = "ada",
        ttl: int = 300,
        is_manager: bool = False,
    ) -> PutOverlay:
        return PutOverlay(OverlaySessionId(session), UserId(by), self.world.new_id(), payload, ttl, is_manager)

    async def put(
        self, session: str = "s", payload: str = '"hello"', *, by: str = "ada", ttl: int = 300, is_manager: bool = False
    ) -> ShownOverlay:
        command = self.command(session, payload, by=by, ttl=ttl, is_manager=is_manager)
        return result((await self.put_overlays([command]))[0])

    def removal(self, session: str = "s", *, by: str = "ada", is_manager: bool = False) -> RemoveOverlay:
        return RemoveOverlay(OverlaySessionId(session), UserId(by), self.world.new_id(), is_manager)

    async def remove(self, session: str = "s", *, by: str = "ada", is_manager: bool = False) -> RemovedOverlay:
        return result((await self.remove_overlays([self.removal(session, by=by, is_manager=is_manager)]))[0])

    async def shown(self, session: str = "s") -> ShownOverlay | None:
        wanted = OverlaySessionId(session)
        return (await self.world.reads(lambda stores: stores.overlays.shown([wanted]))).get(wanted)

    async def held(self, session: str = "s") -> Overlay:
        """Return the row of a session, whether its overlay has ended or not."""
        async with self.world.transactions.begin() as stores:
            return (await stores.overlays.lock([OverlaySessionId(session)]))[OverlaySessionId(session)]

    async def events(self) -> list[TopicEvent]:
        return await self.world.reads(lambda stores: stores.topics.events(OVERLAYS, after=0, limit=10_000))

    async def log(self, is_wanted: Callable[[str], bool] = lambda _: True) -> list[str]:
        """Return the events as `shown s 1`, `updated s 1 2` or `expired s 2`, by session, ended and begun version."""
        lines = []
        for event in await self.events():
            facts = overlay_facts(event)
            numbers = [number for number in (facts.ended_version, facts.version) if number is not None]
            if is_wanted(facts.session_id):
                kind = event.kind.removeprefix("overlay_")
                lines.append(" ".join([kind, facts.session_id, *map(str, numbers)]))
        return lines
