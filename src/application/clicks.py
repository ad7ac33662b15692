"""Clicks on share links: gathered in memory, and stored a little later, so that a click waits for no write."""

from tallystick.application.ports import Clock, Metrics
from tallystick.application.transactions import Transactions
from tallystick.domain.codes import Code

MAX_CODES = 10_000
"""The capacity of each of the two sets: codes that wait to be stored, and codes that are known to be stored."""


class Clicks:
    """The clicked codes of this process that are not stored yet. Best effort; the work is the same for every code."""

    def __init__(
        self, transactions: Transactions, clock: Clock, metrics: Metrics, *, capacity: int = MAX_CODES
    ) -> None:
        self._transactions, self._clock, self._metrics = transactions, clock, metrics
        self._capacity = capacity
        self._waiting: set[Code] = set()
        self._stored: dict[Code, None] = {}

    def note(self, code: Code) -> None:
        """Note a click; a click beyond the capacity is counted and dropped."""
        if code in self._stored or code in self._waiting:
            return
        if len(self._waiting) >= self._capacity:
            self._metrics.count("clicks_forgotten")
        else:
            self._waiting.add(code)

    async def flush(self) -> None:
        """Store the waiting codes. After a failure they wait for the next flush; the failure is counted and raised."""
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
        # A code that no run imports now may be part of a later plan: only stored codes are not sent again.
        self._stored |= dict.fromkeys(stored)
        while len(self._stored) > self._capacity:
            del self._stored[next(iter(self._stored))]
