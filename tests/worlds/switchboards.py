"""The flags of one process over some world: another one over the same world is another process."""

import asyncio
from collections.abc import Awaitable, Callable

from tallystick.application.flags import FollowedFlags, SwitchFlags
from tallystick.application.idempotency import Keyed
from tallystick.domain.flags import Flag, FlagState, Pins, Switch, state_of
from tests.worlds.wallets import result
from tests.worlds.world import World

LONGEST_WAIT = 6000
DEFAULTS = {flag: flag.default for flag in Flag}
LOCKED = {flag: flag.locked for flag in Flag if flag.locked is not None}


async def until_holds(ask: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until something holds: for a minute at least."""
    for _ in range(LONGEST_WAIT):
        if await ask():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never holds")


class Switchboard:
    """Flags that are switched and looked at, with some of them pinned."""

    def __init__(self, world: World, pins: dict[Flag, bool] | None = None) -> None:
        self._world, self.pins = world, Pins(pins or {})
        self.flags = FollowedFlags(world.transactions, self.pins)
        self.switch_flags = SwitchFlags(world.transactions, self.flags, world.once)

    def wanted(self, flag: Flag, *, on: bool, by: str = "ada") -> Switch:
        return Switch(flag, on, self._world.clock.now(), by)

    async def switch(self, flag: Flag, *, on: bool, by: str = "ada", key: str | None = None) -> FlagState:
        keyed = self._world.keyed(by, self.wanted(flag, on=on, by=by), key, flag, on)
        return result((await self.switch_flags([keyed]))[0])

    async def switch_together(self, *wanted: Switch) -> list[object]:
        """Return the outcomes of switches that were decided in one batch."""
        return list(await self.switch_flags([Keyed(each) for each in wanted]))

    async def stored(self) -> dict[Flag, Switch]:
        return await self._world.reads(lambda stores: stores.flags.all())

    async def state(self, flag: Flag) -> FlagState:
        return state_of(flag, (await self.stored()).get(flag), self.pins)

    def known(self) -> dict[Flag, bool]:
        """Return the flags as this process knows them."""
        return {flag: self.flags.enabled(flag) for flag in Flag}
