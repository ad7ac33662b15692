"""Clients who use the service while it is upgraded, and note for each effect whether it was acknowledged or refused."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx2
import msgspec

from tests.http.services import bearer, signature_headers
from tests.integration.balancers import Balancer
from tests.integration.postgres.sessions import session

CLIENTS = 2
PAUSE_SECONDS, LONG_PAUSE_SECONDS = 0.02, 0.5
"""Between the requests of a client; the long one while a server starts, so that the machine has time for it."""
_STAFF = ("credits:grant", "invites:create", "loyalty:award", "loyalty:batch", "rewards:offer", "slips:write")
_STORED = """
SELECT 'code ' || user_id || ' ' || code FROM referral_codes
UNION ALL SELECT 'edge ' || invitee_id || ' ' || inviter_id FROM referral_edges
UNION ALL SELECT event_type || ' ' || user_id || ' ' || CASE
    WHEN event_type IN ('rating_slip', 'referral_signup') THEN '' ELSE event_key END FROM ledger_entries
UNION ALL SELECT 'collected ' || user_id || ' ' || reward_id FROM collected_rewards
UNION ALL SELECT 'seat ' || user_id || ' ' || invite_id FROM invite_uses
UNION ALL SELECT 'slip ' || player_id || ' ' || slip_id FROM rating_slips WHERE state = 'closed'
UNION ALL SELECT 'name ' || user_id || ' ' || username FROM users WHERE username IS NOT NULL
UNION ALL SELECT 'deleted ' || user_id FROM users WHERE deleted_at IS NOT NULL
"""


class Journal:
    """The answers of all clients, and their pace."""

    def __init__(self) -> None:
        self.acknowledged: Counter[str] = Counter()
        self.refused: set[str] = set()
        self.failures: list[str] = []
        """Answers with a status of 500 or above, lost connections, and other answers than a client must get."""
        self.rounds: list[int] = [0] * CLIENTS
        self.pause_seconds = PAUSE_SECONDS

    def say(self, effect: str) -> None:
        self.acknowledged[effect] += 1

    def forget(self, effect: str) -> None:
        """Note that an acknowledged request undid an effect."""
        del self.acknowledged[effect]


class Prizes(msgspec.Struct, frozen=True):
    """The rewards and the invite that all clients compete for."""

    cheap: str
    dear: str
    code: str
    invite_id: str


class Client:
    """A client who goes through everything that a user and the staff of an app do, round after round."""

    def __init__(self, number: int, http: httpx2.AsyncClient, journal: Journal) -> None:
        self._number, self._http, self._journal = number, http, journal
        self._users: list[str] = []
        self._names: dict[str, str] = {}
        self._codes: dict[str, str] = {}

    async def go_on(self, prizes: Prizes, is_over: asyncio.Event) -> None:
        """Do rounds until it is over."""
        number = 0
        while not is_over.is_set():
            user = f"user-{self._number}-{number}"
            await self._signs_up(user)
            await self._spends(user, prizes)
            await self._earns(user)
            await self._old_users_change()
            self._journal.rounds[self._number] += 1
            number += 1

    async def offer(self) -> Prizes:
        """Offer the rewards and the invite."""
        cheap = await self._post("/api/rewards", {"name": "A hat", "cost": 6}, user="shop", expected=201)
        dear = await self._post("/api/rewards", {"name": "A car", "cost": 7}, user="shop", expected=201)
        invite = await self._post("/api/invites", {"max_uses": 10}, user="host", expected=201)
        return Prizes(cheap["reward_id"], dear["reward_id"], invite["code"], invite["invite_id"])

    async def _signs_up(self, user: str) -> None:
        await self._is_named(user, f"name of {user}", "created")
        link = await self._send("GET", "/api/my-referral-link", user=user)
        self._codes[user] = str(link.get("referral_code", "")).replace("-", "")
        self._journal.say(f"code {user} {self._codes[user]}")
        if self._users:
            inviter = self._users[-1]
            body = {"display_name": "D", "referred_by": self._codes[inviter]}
            answer = await self._post("/api/users/upsert", body, user=user)
            if answer.get("attribution") == "recorded":
                self._journal.say(f"edge {user} {inviter}")
                self._journal.say(f"referral_signup {inviter} ")
            else:
                self._journal.failures.append(f"no edge: {answer}")
        self._users.append(user)
        await self._send("GET", f"/api/referral/resolve?code={self._codes[user]}")

    async def _spends(self, user: str, prizes: Prizes) -> None:
        grant = {"user_id": user, "amount": 10, "reason": "welcome", "event_key": f"welcome {user}"}
        granted = await self._post("/api/credits/grants", grant, user="staff")
        self._journal.say(f"grant {user} welcome {user}")
        again = await self._post("/api/credits/grants", grant, user="staff")
        if (again.get("seq"), again.get("balance_after")) != (granted.get("seq"), granted.get("balance_after")):
            self._journal.failures.append(f"a repeated grant: {granted}, {again}")
        self._journal.say(f"collected {user} {prizes.cheap}")
        self._journal.say(f"purchase {user} {prizes.cheap}")
        path = f"/api/rewards/{prizes.cheap}/purchase"
        first, again = [await self._post(path, {}, user=user, key=f"cheap.{user}") for _ in range(2)]
        if first != again:
            self._journal.failures.append(f"a repeated purchase: {first}, {again}")
        for reward, status in ((prizes.dear, 402), (prizes.cheap, 409)):
            await self._post(f"/api/rewards/{reward}/purchase", {}, user=user, key=f"{status}.{user}", expected=status)
        self._journal.refused |= {f"collected {user} {prizes.dear}", f"purchase {user} {prizes.dear}"}
        seat = f"seat {user} {prizes.invite_id}"
        seated = await self._post("/api/invites/redeem", {"code": prizes.code}, user=user, also=409)
        if seated.get("code") == "INVITE_EXHAUSTED":
            self._journal.refused.add(seat)
        else:
            self._journal.say(seat)

    async def _earns(self, user: str) -> None:
        award = {"player_id": user, "points": 5, "reason": "well done", "reward_id": f"award {user}"}
        await self._post("/api/loyalty/manual-rewards", award, user="staff")
        self._journal.say(f"manual_reward {user} award {user}")
        events = [{"player_id": user, "points": 3, "event_type": "visit", "event_key": f"{n} {user}"} for n in (1, 2)]
        await self._post("/api/loyalty/accruals", {"events": events}, user="staff")
        for event in events:
            self._journal.say(f"visit {user} {event['event_key']}")
        opening = {"player_id": user, "game": "roulette", "average_bet": 10_000, "opened_at": "2026-01-01T00:00:00Z"}
        slip = await self._post("/api/rating-slips", opening, user="staff", expected=201)
        closing = {"closed_at": "2026-01-01T01:00:00Z"}
        path = f"/api/rating-slips/{slip.get('slip_id')}/complete"
        done = await self._post(path, closing, user="staff")
        again = await self._post(path, closing, user="staff")
        if done.get("accrual") != again.get("accrual"):
            self._journal.failures.append(f"a slip that was completed twice: {done}, {again}")
        self._journal.say(f"slip {user} {slip.get('slip_id')}")
        self._journal.say(f"rating_slip {user} ")

    async def _old_users_change(self) -> None:
        """Rename a user of an earlier round, and delete one of a still earlier round."""
        if len(self._users) > 2:
            await self._is_named(self._users[-2], f"later name of {self._users[-2]}", "updated")
        if len(self._users) > 3:
            gone = self._users[-4]
            await self._deliver("user.deleted", {"id": gone})
            self._journal.forget(f"name {gone} {self._names.pop(gone)}")
            self._journal.say(f"deleted {gone}")
            await self._send("GET", "/api/me", user=gone, expected=410)

    async def _is_named(self, user: str, name: str, event: str) -> None:
        await self._deliver(f"user.{event}", {"id": user, "username": name, "username_verified": True})
        if user in self._names:
            self._journal.forget(f"name {user} {self._names[user]}")
        self._names[user] = name
        self._journal.say(f"name {user} {name}")

    async def _deliver(self, event: str, data: Mapping[str, object]) -> None:
        raw = json.dumps({"type": event, "data": data}).encode()
        signed = signature_headers(raw, message_id=f"{event}.{data['id']}")
        await self._send("POST", "/api/webhooks/auth", raw=raw, headers=signed)

    async def _post(self, path: str, body: object, *, user: str, key: str = "", **more: int) -> dict[str, Any]:
        headers = {"idempotency-key": key} if key else {}
        return await self._send("POST", path, raw=json.dumps(body).encode(), user=user, headers=headers, **more)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        user: str = "",
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        expected: int = 200,
        also: int = 0,
    ) -> dict[str, Any]:
        sent = {**(headers or {}), **({"content-type": "application/json"} if raw is not None else {})}
        await asyncio.sleep(self._journal.pause_seconds)
        if user:
            sent["authorization"] = _authorization(user)
        try:
            answer = await self._http.request(method, path, content=raw, headers=sent)
        except httpx2.TransportError as error:
            self._journal.failures.append(f"{method} {path}: {type(error).__name__}")
            return {}
        if answer.status_code not in {expected, also}:
            self._journal.failures.append(f"{method} {path}: {answer.status_code} {answer.text}")
        is_json = "json" in answer.headers.get("content-type", "")  # the balancer's own answers are pages
        found: dict[str, Any] = answer.json() if is_json else {}
        return found


@cache
def _authorization(user: str) -> str:
    return bearer(user, *(_STAFF if user in {"staff", "shop", "host"} else ()))


class Traffic:
    """All clients at once, through the balancer."""

    def __init__(self, balancer: Balancer) -> None:
        self.journal = Journal()
        self._balancer, self._is_over = balancer, asyncio.Event()
        self._clients: list[asyncio.Task[None]] = []
        self._connections: list[httpx2.AsyncClient] = []

    async def begin(self) -> None:
        """Let the clients begin."""
        address, trust = self._balancer.address, self._balancer.trust
        self._connections = [
            httpx2.AsyncClient(base_url=address, verify=trust, trust_env=False, timeout=30) for _ in range(CLIENTS)
        ]
        clients = [Client(number, http, self.journal) for number, http in enumerate(self._connections)]
        prizes = await clients[0].offer()
        self._clients = [asyncio.create_task(client.go_on(prizes, self._is_over)) for client in clients]

    async def flows(self, rounds: int = 1) -> None:
        """Wait until each client has completed further rounds."""
        wanted = [before + rounds + 1 for before in self.journal.rounds]  # the running round began before
        while any(done < more for done, more in zip(self.journal.rounds, wanted, strict=True)):
            for client in self._clients:
                if client.done():
                    await client
            await asyncio.sleep(0.05)

    @contextmanager
    def slowly(self) -> Iterator[None]:
        """Let the clients make long pauses meanwhile."""
        self.journal.pause_seconds = LONG_PAUSE_SECONDS
        yield
        self.journal.pause_seconds = PAUSE_SECONDS

    async def end(self) -> None:
        """Let the clients complete their rounds."""
        self._is_over.set()
        await asyncio.gather(*self._clients)

    async def stop(self) -> None:
        """Stop clients that still go on, and close their connections."""
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await asyncio.gather(*(http.aclose() for http in self._connections))


async def stored(owner_dsn: str) -> Counter[str]:
    """Read the effects that the database holds, each with how often it is there."""
    async with session(owner_dsn) as owner:
        await owner.execute("SET ROLE tallystick_app; SET search_path = tallystick")
        return Counter(row[0] for row in await owner.fetch(_STORED))
