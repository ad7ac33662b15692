"""Flags are flipped every 200 ms while everybody is at work on two servers: nothing that was said is untrue after it.

TALLYSTICK_TEST_FLIP_SECONDS says for how long; `make storm` takes a minute.
"""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import httpx2
import pytest
from httpx2 import Response

from tallystick.application.transactions import Stores
from tallystick.domain.flags import Flag
from tallystick.domain.invites import InviteId, InviteUse
from tallystick.domain.ledger import Entry
from tests.http.services import Caller
from tests.http.wallets import invited, redeemed
from tests.integration.cli.conftest import installed, on
from tests.processes.installations import Installation
from tests.unit.behaviours.test_http_flags import switched
from tests.unit.behaviours.test_http_loyalty import award, credit
from tests.unit.behaviours.test_http_rating_slips import complete, opened
from tests.worlds.switchboards import DEFAULTS, LOCKED, Switchboard, until_holds
from tests.worlds.world import World

SECONDS = float(os.environ.get("TALLYSTICK_TEST_FLIP_SECONDS", "6"))
PAUSE_SECONDS = 0.2
CLIENTS = 8
PLAYERS = [f"player-{number}" for number in range(6)]
NOT_NOW = {"OVERLOADED", "IDEMPOTENCY_IN_PROGRESS"}
MET = {
    *("link pending", "link there", "delivery done", "delivery WEBHOOK_DISABLED"),
    *("slip done", "slip PARTIAL_COMPLETION", "award done", "award POINTS_DISABLED"),
}
"""Outcomes that must occur if the flags made a difference."""
FREE = [flag for flag in Flag if flag not in LOCKED]


@pytest.fixture
def installation(owner_dsn: str, world: World) -> Iterator[Installation]:
    """Return an installation on an empty database."""
    with installed({**on(owner_dsn), "TALLYSTICK_RATE_LIMITS": "off"}) as installation:
        yield installation


@pytest.fixture
async def servers(installation: Installation) -> AsyncIterator[list[Caller]]:
    """Return nameless callers of two servers."""
    async with AsyncExitStack() as stack:
        callers = []
        for _ in range(2):
            server = await asyncio.to_thread(installation.serve)
            http = httpx2.AsyncClient(base_url=server.address, trust_env=False, timeout=60)
            callers.append(Caller(await stack.enter_async_context(http)))
        yield callers


class Crowd:
    """Users and staff at work, and the answers that they got: codes, inviters and credits."""

    def __init__(self, servers: list[Caller]) -> None:
        self._servers = servers
        self._chance = random.Random(1)
        self._is_over = False
        self.met: Counter[str] = Counter()
        self.codes: dict[str, str] = {}
        self.newest: dict[str, str] = {}
        self.inviters: dict[str, str] = {}
        self.completed: set[str] = set()
        self.credited: dict[tuple[str, str, str], int] = {}
        """Points of awards and events that were credited, by player, event type and event key."""
        self.refused: set[tuple[str, str, str]] = set()
        self.deleted: set[str] = set()
        self.seats: set[str] = set()

    @property
    def anyone(self) -> Caller:
        return self._chance.choice(self._servers)

    async def open(self) -> None:
        """Let the players and an invite be there before it begins."""
        for player in PLAYERS:
            await self._remint(player)
        self._invite = await invited(self.anyone, 10**6)

    async def work(self, number: int) -> None:
        turn = 0
        while not self._is_over:
            name, player = f"{number}-{turn}", self._chance.choice(PLAYERS)
            await self._come(f"user-{name}", player)
            await self._play(player)
            await self._award(player, name)
            await self._credit(name)
            if turn % 5 == 0:
                await self._remint(player)
            turn += 1

    async def seats_in(self, stores: Stores) -> list[InviteUse]:
        return await stores.invites.uses_of(InviteId(self._invite["invite_id"]), after=None, limit=1_000_000)

    def go_home(self) -> None:
        self._is_over = True

    def _is_done(self, what: str, answer: Response, *, unless: str = "") -> bool:
        """Return whether something was done; False where a refusal says that it was not, or not now."""
        if answer.is_success:
            self.met[f"{what} done"] += 1
            return True
        code = str(answer.json()["code"])
        assert code in {unless, *NOT_NOW}, (what, answer.text)
        self.met[f"{what} {code}"] += 1
        return False

    async def _come(self, user: str, inviter: str) -> None:
        link = await self.anyone.named(user).get("/api/my-referral-link")
        if self._is_done("link", link):
            self.met[f"link {'pending' if link.json()['pending'] else 'there'}"] += 1
            if not link.json()["pending"]:
                self.codes[link.json()["referral_code"]] = user
        body = {"type": "user.created", "data": {"id": user}}
        receipt = await self.anyone.deliver(body, message_id=f"created-{user}")
        self._is_done("delivery", receipt, unless="WEBHOOK_DISABLED")
        arrived = await self.anyone.named(user).post("/api/users/upsert", {"referred_by": self.newest[inviter]})
        if self._is_done("arrival", arrived):
            assert arrived.json()["attribution"] == "recorded"
            self.inviters[user] = inviter
        if self._is_done("seat", await redeemed(self.anyone.named(user), self._invite["code"])):
            self.seats.add(user)
        if self._chance.random() < 0.2:
            body = {"type": "user.deleted", "data": {"id": user}}
            gone = await self.anyone.deliver(body, message_id=f"deleted-{user}")
            if self._is_done("deletion", gone, unless="WEBHOOK_DISABLED"):
                self.deleted.add(user)

    async def _remint(self, player: str) -> None:
        reminted = await self.anyone.named(player).post("/api/referral/remint")
        if self._is_done("remint", reminted):
            self.newest[player] = reminted.json()["referral_code"]
            self.codes[self.newest[player]] = player

    async def _play(self, player: str) -> None:
        slip = await opened(self.anyone, player)
        completed = await complete(self.anyone, slip)
        is_credited = self._is_done("slip", completed, unless="PARTIAL_COMPLETION")
        if is_credited or completed.json()["code"] == "PARTIAL_COMPLETION":
            self.completed.add(slip["slip_id"])

    async def _award(self, player: str, name: str) -> None:
        awarded = await award(self.anyone, player, 7, reward_id=name, key=name)
        event = (player, "manual_reward", name)
        if self._is_done("award", awarded, unless="POINTS_DISABLED"):
            self.credited[event] = 7
        elif awarded.json()["code"] == "POINTS_DISABLED":
            self.refused.add(event)

    async def _credit(self, name: str) -> None:
        events = {(player, "promotion", f"{name}-{player}"): 3 for player in PLAYERS}
        sent = [(player, amount, key) for (player, _, key), amount in events.items()]
        answer = await credit(self.anyone, *sent, key=f"credit-{name}")
        if self._is_done("batch", answer, unless="POINTS_DISABLED"):
            assert {result["outcome"] for result in answer.json()["results"]} == {"accrued"}
            self.credited |= events
        elif answer.json()["code"] == "POINTS_DISABLED":
            self.refused |= events.keys()


async def flip(servers: list[Caller], seconds: float) -> Counter[Flag]:
    """Flip one flag after the other, each on any of the servers; try the one that cannot be switched on, too."""
    chance, flips, state = random.Random(2), Counter[Flag](), dict(DEFAULTS)
    clock = asyncio.get_running_loop().time
    due = begun = clock()
    while clock() < begun + seconds:
        for flag in chance.sample(FREE, len(FREE)):
            state[flag] = not state[flag]
            answer = await switched(chance.choice(servers), flag, {"enabled": state[flag]})
            assert (answer.status_code, answer.json()["enabled"]) == (200, state[flag]), answer.text
            flips[flag] += 1
            for locked in LOCKED:
                refused = await switched(chance.choice(servers), locked, {"enabled": True})
                assert refused.json()["code"] == "FLAG_LOCKED"
            due += PAUSE_SECONDS
            await asyncio.sleep(due - clock())
    return flips


async def calm_down(servers: list[Caller]) -> None:
    """Switch everything to its default, and let what waits be credited."""
    for flag in FREE:
        assert (await switched(servers[0], flag, {"enabled": DEFAULTS[flag]})).status_code == 200
    staff = [caller.named("pit", "loyalty:read", "loyalty:recover") for caller in servers]
    for number, caller in enumerate(servers):

        async def follows(caller: Caller = caller, number: int = number) -> bool:
            return (await award(caller, PLAYERS[0], 1, reward_id=f"afterwards-{number}")).status_code == 200

        await until_holds(follows)
    cursor = ""
    while cursor is not None:
        page = (await staff[0].get(f"/api/pending-accruals?limit=200&cursor={cursor}")).json()
        for item in page["items"]:
            event = {name: item[name] for name in ("player_id", "event_type", "event_key")}
            assert (await staff[1].post("/api/pending-accruals/recover", event)).status_code == 200
        cursor = page["next_cursor"]


async def entries_of(world: World, players: list[str]) -> dict[tuple[str, str, str], int]:
    """Return what every event has credited; none of them is there twice."""
    found: dict[tuple[str, str, str], int] = {}
    for player in players:
        entries: list[Entry] = await world.point_entries(player, limit=1_000_000)
        for entry in entries:
            event = (player, entry.event_type, entry.event_key)
            assert event not in found
            found[event] = entry.amount
    return found


async def test_whatever_is_flipped_what_was_answered_is_true_and_every_promise_is_kept(
    installation: Installation, servers: list[Caller], world: World
) -> None:
    crowd = Crowd(servers)
    await crowd.open()
    working = [asyncio.create_task(crowd.work(number)) for number in range(CLIENTS)]

    flips = await flip(servers, SECONDS)
    crowd.go_home()
    await asyncio.gather(*working)
    await calm_down(servers)

    assert set(flips) == set(FREE)
    assert crowd.met.keys() >= MET, crowd.met
    credited = await entries_of(world, PLAYERS)
    assert crowd.credited.items() <= credited.items()
    assert not crowd.refused & credited.keys()
    slips = {key for _, kind, key in credited if kind == "rating_slip"}
    assert slips == crowd.completed
    assert {amount for (_, kind, _), amount in credited.items() if kind == "rating_slip"} == {525}
    invitees = {(key, player) for player, kind, key in credited if kind == "referral_signup"}
    assert invitees == set(crowd.inviters.items())
    for code, user in crowd.codes.items():
        assert await world.owner(code) == (None if user in crowd.deleted else user), (code, user)
    for user, inviter in crowd.inviters.items():
        assert await world.inviter(user) == inviter
    assert {use.user_id for use in await world.reads(crowd.seats_in)} == crowd.seats
    assert {flag: switch.enabled for flag, switch in (await Switchboard(world).stored()).items()} == {
        flag: DEFAULTS[flag] for flag in FREE
    }
    counted = await asyncio.to_thread(installation.run, "invariants", "--json")
    assert json.loads(counted.stdout)["kept"] is True
