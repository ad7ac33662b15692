"""Loads of points on a filled database, by HTTP and by `pgbench`, and a check that all acknowledged work is stored."""

from itertools import repeat
from pathlib import Path
from random import Random

from bench.client import WrongAnswer
from bench.comparisons import BATCH_CONNECTIONS, MOST_BATCHES_PER_SECOND, Comparison
from bench.database import FIRST_USER, Database
from bench.drivers import Slot, send
from bench.messages import Signer
from bench.pgbench import ORDERS, Script, accruals, awards, drive
from bench.servers import Server

JACKPOT = f"user_{FIRST_USER}"
"""The player of the comparison in which all awards go to one player."""

_MOST_PER_SECOND = 12_000


class Players:
    """A database, and the signer of its requests."""

    def __init__(self, database: Database, signer: Signer, folder: Path) -> None:
        self._database, self._signer, self._folder = database, signer, folder
        self._random = Random(database.users)
        self._acknowledged = 0

    @property
    def comparisons(self) -> tuple[Comparison, Comparison, Comparison]:
        """Awards spread over players, awards of one player, and batches of events."""
        return (
            Comparison("award points", "/s", self._awards, self._direct_awards, (8, 16, 32, 64)),
            Comparison("award one player", "/s", self._hot_awards, self._direct_hot_awards, (1, 4, 16, 64)),
            Comparison("accrue by batch", "events/s", self._batches, self._direct_batches, (1, 2, 4, 8)),
        )

    def check(self) -> None:
        """Check that all acknowledged work is stored, and that no promise is broken."""
        counted = "SELECT sum(version) FROM tallystick.ledger_accounts WHERE unit = 'points'"
        stored = int(self._database.run(counted)) - self._database.users
        if stored != self._acknowledged:
            raise WrongAnswer(f"{self._acknowledged} accruals were acknowledged, and {stored} are stored")
        self._database.check()

    def pages(self, server: Server, seconds: float, player_id: str) -> Slot:
        """Read the newest page of a player's entries repeatedly."""
        return send(server, [self._signer.entries(player_id)] * 64, b'"next_cursor":', seconds=seconds, repeats=True)

    def _awards(self, server: Server, seconds: float) -> Slot:
        return self._awarded(server, seconds, self._drawn(int(_MOST_PER_SECOND * seconds)))

    def _hot_awards(self, server: Server, seconds: float) -> Slot:
        return self._awarded(server, seconds, list(repeat(JACKPOT, int(_MOST_PER_SECOND * seconds))))

    def _awarded(self, server: Server, seconds: float, player_ids: list[str]) -> Slot:
        slot = send(server, self._signer.awards(player_ids), b'"balance_after":', seconds=seconds)
        self._acknowledged += slot.requests
        return slot

    def _batches(self, server: Server, seconds: float) -> Slot:
        number = max(BATCH_CONNECTIONS, int(MOST_BATCHES_PER_SECOND * seconds))
        requests = [self._signer.accruals(self._drawn(ORDERS)) for _ in range(number)]
        slot = send(server, requests, b'"accrued"', seconds=seconds, connections=BATCH_CONNECTIONS)
        self._acknowledged += slot.requests * ORDERS
        return slot._replace(requests=slot.requests * ORDERS)

    def _direct_awards(self, clients: int, seconds: int) -> Slot:
        return self._directly(awards(self._database), clients, seconds)

    def _direct_hot_awards(self, clients: int, seconds: int) -> Slot:
        return self._directly(awards(self._database, JACKPOT), clients, seconds)

    def _direct_batches(self, clients: int, seconds: int) -> Slot:
        return self._directly(accruals(self._database), clients, seconds)

    def _directly(self, script: Script, clients: int, seconds: int) -> Slot:
        slot = drive(self._database, self._folder, script, clients=clients, seconds=seconds)
        self._acknowledged += slot.requests
        return slot

    def _drawn(self, number: int) -> list[str]:
        users = self._random.choices(range(FIRST_USER, FIRST_USER + self._database.users), k=number)
        return [f"user_{user}" for user in users]
