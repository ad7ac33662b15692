"""Loads of wallets on a filled database, by HTTP and by `pgbench`, and a check that all acknowledged work is stored."""

from itertools import count
from pathlib import Path
from random import Random

from bench.client import WrongAnswer
from bench.comparisons import BATCH_CONNECTIONS, MOST_BATCHES_PER_SECOND, Comparison
from bench.database import FIRST_REWARD, FIRST_USER, REWARD_PREFIX, REWARDS, Database
from bench.drivers import Slot, send
from bench.messages import Signer
from bench.pgbench import ORDERS, batches, drive, purchases, redemptions
from bench.servers import Server

_MOST_PER_SECOND = 15_000
"""The most requests that are prepared for each second."""
_SEATS = 1_000_000
_COLLECTED_BY_CHANCE = 0.02
"""The largest share of orders that may be refused because the buyer has the reward already."""


class Shop:
    """A database, and the signer of its requests."""

    def __init__(self, database: Database, signer: Signer, folder: Path) -> None:
        self._database, self._signer, self._folder = database, signer, folder
        self._random = Random(database.users)
        self._numbers = count(1)
        self._acknowledged = 0

    @property
    def comparisons(self) -> tuple[Comparison, Comparison, Comparison]:
        """Purchases spread over users, redemptions of one invite, and batches of orders."""
        return (
            Comparison("buy a reward", "/s", self.purchases, self._direct_purchases, (8, 16, 32, 64)),
            Comparison("redeem one hot invite", "/s", self._redemptions, self._direct_redemptions, (4, 8, 16, 64)),
            Comparison("buy by batch", "orders/s", self._batches, self._direct_batches, (1, 2, 4, 8)),
        )

    def purchases(self, server: Server, seconds: float, per_second: float = 0.0) -> Slot:
        """Buy any reward for any user; at a steady rate if one is given."""
        number = int((per_second or _MOST_PER_SECOND) * seconds)
        requests = self._signer.purchases(self._orders(number))
        holds = b'"balance_after":'
        slot = send(server, requests, holds, seconds=seconds, per_second=per_second, refusal=b"ALREADY_COLLECTED")
        self._acknowledged += slot.requests
        return slot

    def tidy(self) -> None:
        """Vacuum and checkpoint now, so that the database does not do it during the next turns."""
        self._database.run("VACUUM (ANALYZE);\nCHECKPOINT;", "superuser")

    def check(self) -> None:
        """Check that all acknowledged work is stored, and that no promise is broken."""
        stored = int(self._database.run("SELECT count(*) FROM tallystick.collected_rewards")) - self._database.users
        if not (1 - _COLLECTED_BY_CHANCE) * self._acknowledged <= stored <= self._acknowledged:
            raise WrongAnswer(f"{self._acknowledged} purchases were acknowledged, and {stored} are stored")
        self._database.check()

    def _direct_purchases(self, clients: int, seconds: int) -> Slot:
        slot = drive(self._database, self._folder, purchases(self._database), clients=clients, seconds=seconds)
        self._acknowledged += slot.requests
        return slot

    def _redemptions(self, server: Server, seconds: float) -> Slot:
        code = self._new_invite()
        number = min(int(_MOST_PER_SECOND * seconds), self._database.users)
        users = self._random.sample(range(FIRST_USER, FIRST_USER + self._database.users), number)
        requests = self._signer.redemptions((f"user_{user}" for user in users), code)
        slot = send(server, requests, b'"remaining":', seconds=seconds)
        self._check_seats(code, slot)
        return slot

    def _direct_redemptions(self, clients: int, seconds: int) -> Slot:
        code = self._new_invite()
        script = redemptions(self._database, clients)
        variables: dict[str, str | int] = {"code": code, "place": 0}
        slot = drive(self._database, self._folder, script, clients=clients, seconds=seconds, variables=variables)
        self._check_seats(code, slot)
        return slot

    def _batches(self, server: Server, seconds: float) -> Slot:
        number = max(BATCH_CONNECTIONS, int(MOST_BATCHES_PER_SECOND * seconds))
        requests = [self._signer.batch(self._orders(ORDERS)) for _ in range(number)]
        slot = send(server, requests, b'"purchased"', seconds=seconds, connections=BATCH_CONNECTIONS)
        self._acknowledged += slot.requests * ORDERS
        return slot._replace(requests=slot.requests * ORDERS)

    def _direct_batches(self, clients: int, seconds: int) -> Slot:
        slot = drive(self._database, self._folder, batches(self._database), clients=clients, seconds=seconds)
        self._acknowledged += slot.requests
        return slot

    def _orders(self, number: int) -> list[tuple[str, str]]:
        users = self._random.choices(range(FIRST_USER, FIRST_USER + self._database.users), k=number)
        rewards = self._random.choices(range(FIRST_REWARD, FIRST_REWARD + REWARDS), k=number)
        return [(f"user_{user}", f"{REWARD_PREFIX}{reward}") for user, reward in zip(users, rewards, strict=True)]

    def _new_invite(self) -> str:
        """Make an invite for one turn, so that each turn begins with an unused invite."""
        code = f"HOT{next(self._numbers):05}"
        self._database.run(
            "INSERT INTO tallystick.invites (code, invite_id, owner_id, max_uses, created_at) "
            f"VALUES ('{code}', 'invite {code}', 'owner_1', {_SEATS}, now())"
        )
        return code

    def _check_seats(self, code: str, slot: Slot) -> None:
        used = int(self._database.run(f"SELECT current_uses FROM tallystick.invites WHERE code = '{code}'"))
        if used != slot.requests:
            raise WrongAnswer(f"{slot.requests} seats were acknowledged, and {used} are taken")
