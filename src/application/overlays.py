"""Overlays: put and removed by users, and ended at their time by any instance, each version by one event."""

from collections.abc import Callable, Sequence

from tallystick.application.bounds import Capacity
from tallystick.application.overlay_batch import OverlayBatch, PutOverlay, RemovedOverlay, RemoveOverlay, lock_log
from tallystick.application.ports import Randomness
from tallystick.application.topics import AnnounceTopics, announce_nothing
from tallystick.application.transactions import Transactions
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.overlays import OVERLAYS, ShownOverlay
from tallystick.domain.refusals import Failure

SWEEP_OVERLAYS = 100
"""How many overlays one transaction of a sweep ends at most."""

NoteOverlay = Callable[[], None]
"""Says that the nearest end of an overlay may have changed."""


def note_nothing() -> None:
    """Note nothing: no sweep runs beside these commits."""


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
            batch = await OverlayBatch.open(stores, commands, deleted, self._randomness)
            outcomes = [batch.put(command, shown, sessions) for command in commands]
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
            batch = await OverlayBatch.open(stores, commands, deleted, self._randomness)
            outcomes = [batch.remove(command) for command in commands]
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
