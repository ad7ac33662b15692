"""The scripts of the clients: several requests meet in each, so that each rule is raced for.

Amounts are distinct powers of two for each user, so that a balance says which of the user's awards it holds.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, get_args

from drills.clients import WORKERS, Clients, Request
from drills.journal import Kind, Operation, Reply

AWARDS = 12
"""How many awards a purse or a player gets: 2^0, 2^1 and so on."""
PRICE, ON_OFFER = 3, 5
FEW_CREDITS, MANY_CREDITS = 10, 100
"""Every other customer can pay only three of the five rewards that they ask for."""
SEATS, GUESTS = 2, 4
STAFF = "staff"
MERCHANT, INVITER, TALKER = "merchant", "inviter", "talker"

ScriptName = Literal["purse", "shop", "points", "seats", "mint", "arrival", "talk"]
SCRIPTS: tuple[ScriptName, ...] = get_args(ScriptName)


class Stock:
    """The rows that are stored before the drill begins: rewards, the code of an inviter, and a channel."""

    def __init__(self, rewards: list[str], code: str, channel: str) -> None:
        self.rewards, self.code, self.channel = rewards, code, channel


class Scripts:
    """The scripts, run in turns; each run has a number of its own and users of its own."""

    def __init__(self, clients: Clients, stock: Stock, names: Sequence[ScriptName]) -> None:
        self._clients, self._stock = clients, stock
        self._numbers = itertools.count()
        self._scripts: list[Callable[[int], Awaitable[None]]] = [getattr(self, name) for name in names]

    async def run(self) -> None:
        """Run scripts with all clients until they are stopped."""
        await asyncio.gather(*(self._run_one_after_the_other() for _ in range(WORKERS)))

    async def purse(self, number: int) -> None:
        """Grant a purse its awards, three at once, and send one of the three twice."""
        user = f"purse-{number}"
        for first in range(0, AWARDS, 3):
            operations = [award("grant", user, exponent) for exponent in range(first, first + 3)]
            await asyncio.gather(*(self._grant(operation) for operation in (*operations, operations[0])))

    async def shop(self, number: int) -> None:
        """Let a customer ask for five rewards at once, and for one of them again.

        The sixth request is for the first reward, with a key of its own. The last one is the first request again. Every
        other customer sends no keys.
        """
        user = f"customer-{number}"
        granted = await self._grant(Operation("grant", user, f"{user}.start", (FEW_CREDITS, MANY_CREDITS)[number % 2]))
        if not granted:
            return
        offered = self._stock.rewards[:ON_OFFER]
        orders = [(reward, "first") for reward in offered] + [(offered[0], "second")]
        is_keyed = number % 4 < 2
        await asyncio.gather(*(self._buy(user, reward, key, is_keyed=is_keyed) for reward, key in orders))
        if is_keyed:
            await self._buy(user, *orders[0], is_keyed=True)

    async def points(self, number: int) -> None:
        """Accrue points for two players by batches that share events, and send one batch twice."""
        players = [f"player-{number}-{place}" for place in range(2)]
        for player in players:
            if not await self._arrive(player, None):
                return
        for first in range(0, AWARDS, 4):
            for player in players:
                operations = [award("accrual", player, exponent) for exponent in range(first, first + 4)]
                await asyncio.gather(*(self._accrue(operation) for operation in (*operations, operations[0])))

    async def seats(self, number: int) -> None:
        """Let four guests ask at once for the two seats of an invite."""
        code = f"SEATS{number:06}"
        operation = Operation("invite", STAFF, code)
        body = {"code": code, "max_uses": SEATS}
        request = Request("/api/invites", body, sub=STAFF, permissions=["invites:create"], key=code)
        if (made := await self._clients.do(operation, request)) is None or made.status != 201:
            return
        guests = [f"guest-{number}-{guest}" for guest in range(GUESTS)]
        is_keyed = number % 4 < 2
        again = guests[:1] if is_keyed else []
        await asyncio.gather(*(self._redeem(guest, code, is_keyed=is_keyed) for guest in guests + again))

    async def mint(self, number: int) -> None:
        """Ask for the code of a new user twice at once."""
        user = f"sharer-{number}"
        request = Request("/api/my-referral-link", sub=user, method="GET")
        await asyncio.gather(*(self._clients.do(Operation("mint", user, ""), request) for _ in range(2)))

    async def arrival(self, number: int) -> None:
        """Bring a user by the inviter's code, beside two deliveries of one webhook about them."""
        user = f"arrived-{number}"
        delivery = f"msg-{number}"
        event = {"type": "user.created", "data": {"id": user}}
        delivered = Request(
            "/api/webhooks/auth", event, sub=user, delivery=delivery, read=lambda reply: Reply(reply.status, {})
        )
        deliveries = [self._clients.do(Operation("delivery", user, delivery), delivered) for _ in range(2)]
        await asyncio.gather(self._arrive(user, self._stock.code), *deliveries)

    async def talk(self, number: int) -> None:
        """Send three messages to the one channel at once, and one of them twice."""
        names = [f"{number}-{place % 3}" for place in range(4)]
        await asyncio.gather(*(self._say(name) for name in names))

    async def _run_one_after_the_other(self) -> None:
        while not self._clients.has_stopped:
            number = next(self._numbers)
            await self._scripts[number % len(self._scripts)](number)

    async def _grant(self, operation: Operation) -> bool:
        reply = await self._clients.do(operation, grant_request(operation))
        return reply is not None and reply.status < 300

    async def _accrue(self, operation: Operation) -> None:
        event = {
            "player_id": operation.user,
            "points": operation.amount,
            "event_type": "drill",
            "event_key": operation.key,
        }
        body = {"events": [event]}
        request = Request("/api/loyalty/accruals", body, sub=STAFF, permissions=["loyalty:batch"], read=_of_one_event)
        await self._clients.do(operation, request)

    async def _buy(self, user: str, reward: str, key: str, *, is_keyed: bool) -> None:
        sent = f"{reward}.{key}" if is_keyed else None
        request = Request(f"/api/rewards/{reward}/purchase", {}, sub=user, key=sent, is_safe=is_keyed)
        await self._clients.do(Operation("purchase", user, f"{reward}.{key}"), request)

    async def _redeem(self, user: str, code: str, *, is_keyed: bool) -> None:
        sent = code if is_keyed else None
        request = Request("/api/invites/redeem", {"code": code}, sub=user, key=sent, is_safe=is_keyed)
        await self._clients.do(Operation("seat", user, code), request)

    async def _arrive(self, user: str, code: str | None) -> bool:
        body = {} if code is None else {"referred_by": code}
        request = Request("/api/users/upsert", body, sub=user, key=user)
        reply = await self._clients.do(Operation("arrival", user, code or ""), request)
        return reply is not None and reply.status < 300

    async def _say(self, name: str) -> None:
        body = {"channel_id": self._stock.channel, "body": name, "client_message_id": name}
        await self._clients.do(Operation("message", TALKER, name), Request("/api/messages/send", body, sub=TALKER))


def award(kind: Kind, user: str, exponent: int) -> Operation:
    """Return the award of a power of two."""
    return Operation(kind, user, f"{user}.{exponent}", 1 << exponent)


def grant_request(operation: Operation) -> Request:
    """Return the request for a grant."""
    body = {"user_id": operation.user, "amount": operation.amount, "reason": "drill", "event_key": operation.key}
    return Request("/api/credits/grants", body, sub=STAFF, permissions=["credits:grant"])


def _of_one_event(reply: Reply) -> Reply:
    """Return the outcome of a batch of one event as if it had been sent alone, the same for a repeated event."""
    (result,) = reply.body["results"]
    if result["outcome"] == "refused":
        return Reply(409, result)
    return Reply(200, {name: value for name, value in result.items() if name != "repeated"})
