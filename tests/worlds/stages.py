"""Stage rooms over one backend, in verbs and builders that name only what matters."""

from collections.abc import Mapping, Sequence

from tallystick.application.idempotency import Keyed
from tallystick.application.stage_rooms import SyncRoster, SyncRosters
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.stage_rooms import RoleName, RoomId, Roster, RosterSlot
from tallystick.domain.users import UserId
from tests.worlds.wallets import result
from tests.worlds.world import World

ROLES: Mapping[str, int] = {"captain": 1, "player": 4}


def slots(*texts: str) -> tuple[RosterSlot, ...]:
    """Return slots from texts such as `captain 1 ada`."""
    parts = (text.split() for text in texts)
    return tuple(RosterSlot(RoleName(role), int(slot), UserId(player)) for role, slot, player in parts)


class Stages:
    """Stage rooms of a world, and the use case over them."""

    def __init__(self, world: World, bounds: UserBounds = DEFAULT_BOUNDS) -> None:
        self.world = world
        self.sync_rosters = SyncRosters(world.transactions, world.once, bounds)

    def command(
        self,
        room: str,
        *texts: str,
        seen: int = 0,
        by: str = "owner",
        roles: Mapping[str, int] = ROLES,
        is_manager: bool = False,
    ) -> SyncRoster:
        allowed = {RoleName(role): count for role, count in roles.items()}
        return SyncRoster(RoomId(room), UserId(by), seen, allowed, slots(*texts), is_manager)

    async def sync_together(self, *commands: SyncRoster) -> Sequence[object]:
        return await self.sync_rosters([Keyed(command) for command in commands])

    async def sync(self, command: SyncRoster) -> Roster:
        return result((await self.sync_rosters([Keyed(command)]))[0])

    async def roster(self, room: str) -> Roster | None:
        async with self.world.transactions.begin() as stores:
            return (await stores.stage_rooms.lock([RoomId(room)])).get(RoomId(room))
