"""Clicks on share links, gathered: a click waits for nothing, and what it leaves is stored a little later."""

from tallystick.application.ports import Clock, Metrics
from tallystick.application.transactions import Transactions
from tallystick.domain.codes import Code

MAX_CODES = 10_000
"""How many codes wait at once, and of how many it is known that they are stored."""


class Clicks:
    """The clicked codes of this process that are not stored yet; best effort, and the same for every code."""

    def __init__(
        self, transactions: Transactions, clock: Clock, metrics: Metrics, *, capacity: int = MAX_CODES
    ) -> None:
        self._transactions, self._clock, self._metrics = transactions, clock, metrics
        self._capacity = capacity
        self._waiting: set[Code] = set()
        self._stored: dict[Code, None] = {}

    def note(self, code: Code) -> None:
        """Note a click; what does not fit is counted and forgotten."""
        if code in self._stored or code in self._waiting:
            return
        if len(self._waiting) >= self._capacity:
            self._metrics.count("clicks_forgotten")
        else:
            self._waiting.add(code)

    async def flush(self) -> None:
        """Store what waits; where that fails, it waits for the next time, and the failure is counted and raised."""
        if not self._waiting:
            return
        taken, self._waiting = self._waiting, set()
        try:
            async with self._transactions.begin() as stores:
                stored = await stores.clicks.keep(taken, self._clock.now())
        except BaseException as error:
            if isinstance(error, Exception):  # a cancelled task did not fail
                self._metrics.count("click_write_failures")
            for code in taken:
                self.note(code)
            raise
        # What no run brings along may be planned later: only what is stored need not be sent again.
        self._stored |= dict.fromkeys(stored)
        while len(self._stored) > self._capacity:
            del self._stored[next(iter(self._stored))]
