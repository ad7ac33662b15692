"""Flags in memory, which only this process can switch."""

import asyncio
from collections.abc import Sequence

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.application.ports import TopicSignal
from tallystick.domain.flags import Flag, FlagBook, Switch


class MemoryFlagBook(FlagBook):
    """The switches of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def all(self) -> dict[Flag, Switch]:
        return {switch.flag: switch for switch in self._view.flags.values()}

    async def store(self, switches: Sequence[Switch]) -> None:
        self._view.require_writable()
        if len({switch.flag for switch in switches}) != len(switches):
            raise ConstraintViolated("a flag is stored twice at once")
        for switch in switches:
            if switch.enabled and switch.flag.locked is not None:
                raise ConstraintViolated("flags_mint_in_referral_api_stays_off")
            self._view.flags.put(switch.flag, switch)


class SilentSignal(TopicSignal):
    """A signal that never comes: all users of this store are in one process."""

    async def listen(self) -> None:
        await asyncio.Event().wait()

    async def wait(self) -> frozenset[str]:
        return await asyncio.Future()

    async def notify(self, payload: str) -> None:
        pass
