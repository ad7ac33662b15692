"""Flags: stored switches, which every process follows."""

import asyncio
import contextlib
from collections.abc import Sequence

from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.transactions import Stores, StoreUnavailable, TransactionAborted, Transactions
from tallystick.domain.flags import Flag, Flags, FlagState, Pins, Switch, state_of, switch
from tallystick.domain.refusals import Failure


class FollowedFlags(Flags):
    """The flags as this process knows them: pinned, else as they were stored at the last read."""

    def __init__(self, transactions: Transactions, pins: Pins) -> None:
        self._transactions, self.pins = transactions, pins
        self._turn = asyncio.Lock()
        self._learn({})

    def enabled(self, flag: Flag) -> bool:
        """Return whether the flow is switched on."""
        return self._enabled[flag]

    async def refresh(self) -> None:
        """Read the stored switches; the known state stays where they cannot be read.

        Raises TransactionAborted or StoreUnavailable.
        """
        # One at a time: a read that began earlier must not overwrite the result of a later one.
        async with self._turn, self._transactions.reading() as stores:
            self._learn(await stores.flags.all())

    def _learn(self, switches: dict[Flag, Switch]) -> None:
        self._enabled = {flag: state_of(flag, switches.get(flag), self.pins).enabled for flag in Flag}


class SwitchFlags:
    """Switch flags. This process follows at once, the others after a notification."""

    def __init__(self, transactions: Transactions, flags: FollowedFlags, once: AnswerOnce) -> None:
        self._transactions, self._flags, self._once = transactions, flags, once

    async def __call__(self, wanted: Sequence[Keyed[Switch]]) -> list[FlagState | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, wanted, lambda fresh: self._switch(stores, fresh))
        with contextlib.suppress(TransactionAborted, StoreUnavailable):
            await self._flags.refresh()
        return outcomes

    async def _switch(self, stores: Stores, wanted: Sequence[Switch]) -> list[FlagState | Failure]:
        book, changed = await stores.flags.all(), dict[Flag, Switch]()
        outcomes: list[FlagState | Failure] = []
        for each in wanted:
            before = book.get(each.flag)
            try:
                after = switch(each, before, self._flags.pins)
            except Failure as failure:
                outcomes.append(failure)
                continue
            if after is not before:
                book[each.flag] = changed[each.flag] = after
            outcomes.append(state_of(each.flag, after, self._flags.pins))
        if changed:
            await stores.flags.store(list(changed.values()))
        return outcomes
