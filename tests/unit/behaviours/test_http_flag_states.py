"""The states that the flags can be in: each flow answers as they say, and every promise is kept.

Every state is tried while the flags that can be switched on have at most 32 states. Of more states, those few are tried
in which each two flags have all states that they can have together.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations, product
from typing import Any

import pytest

from tallystick.domain.flags import Flag
from tests.http.services import Caller
from tests.http.wallets import balance, bought, funded, grant, invited, offered, pages, redeemed, said
from tests.unit.behaviours.test_http_flags import listed, switch, switched
from tests.unit.behaviours.test_http_loyalty import award, credit, points
from tests.unit.behaviours.test_http_rating_slips import complete, opened, recover
from tests.worlds.switchboards import LOCKED

State = Mapping[Flag, bool]
Pair = tuple[Flag, bool, Flag, bool]
MAX_STATES = 32


def states() -> Iterator[State]:
    """Yield all of them, those that cannot be among them."""
    for chosen in product([True, False], repeat=len(Flag)):
        yield dict(zip(Flag, chosen, strict=True))


def is_reachable(state: State) -> bool:
    return not any(state[flag] for flag in LOCKED)


def name_of(state: State) -> str:
    return " ".join(flag for flag in Flag if state[flag]) or "all off"


def pairs_of(*chosen: State) -> set[Pair]:
    """Return each two flags with their values in some state."""
    return {(one, state[one], other, state[other]) for state in chosen for one, other in combinations(Flag, 2)}


def with_all_pairs(given: Sequence[State]) -> list[State]:
    """Return a few of the states in which all pairs of the states occur, the richest first."""
    chosen: list[State] = []
    while missing := pairs_of(*given) - pairs_of(*chosen):
        chosen.append(max(given, key=lambda state: len(pairs_of(state) & missing)))
    return chosen


def few(given: Sequence[State]) -> Sequence[State]:
    """Return the states, or a few of them with all pairs where they are too many to try each."""
    return given if len(given) <= MAX_STATES else with_all_pairs(given)


REACHABLE = [state for state in states() if is_reachable(state)]
UNREACHABLE = [state for state in states() if not is_reachable(state)]
TRIED = few(REACHABLE)


async def broken(anyone: Caller) -> list[str]:
    """Return the promises that are not kept."""
    counted = (await anyone.named("chief", "admin:read").get("/api/admin/invariants")).json()
    assert counted["kept"] is not any(item["violations"] for item in counted["items"])
    return [item["name"] for item in counted["items"] if item["violations"]]


class Script:
    """A small life of a few users: every flow once, and each answer as the flags want it."""

    def __init__(self, anyone: Caller, state: State) -> None:
        self._anyone, self._state = anyone, state
        self._has_points = state[Flag.POINTS_ENABLED]

    async def play(self) -> None:
        await self._links()
        await self._deliveries()
        inviters_points = await self._upserts()
        await self._points(inviters_points)
        await self._wallets()

    async def _links(self) -> None:
        ada, ensures = self._anyone.named("ada"), self._state[Flag.ENSURE_ON_READ_ENABLED]
        assert (await ada.get("/api/referral")).json()["pending"] is True
        assert (await ada.get("/api/my-referral-link")).json()["pending"] is not ensures
        assert (await ada.get("/api/referral")).json()["pending"] is not ensures
        first = (await ada.post("/api/referral/remint")).json()
        second = (await ada.post("/api/referral/remint")).json()
        assert (first["alias"] != "") is ensures
        assert second["alias"] == first["referral_code"]
        shown = (await ada.get("/api/my-referral-link")).json()["referral_code"]
        # The legacy field follows a little later.
        is_late = self._state[Flag.LEGACY_FALLBACK_ENABLED] and not self._state[Flag.TABLE_AS_SOT]
        late = {first["referral_code"]} if is_late else set()
        assert shown in {second["referral_code"], *late}
        for code in filter(None, (first["alias"], first["referral_code"], second["referral_code"])):
            assert (await self._anyone.get(f"/api/referral/resolve?code={code}")).json()["valid"] is True

    async def _deliveries(self) -> None:
        takes = self._state[Flag.WEBHOOK_ENABLED]
        for kind, user in (("created", "bob"), ("updated", "bob"), ("created", "eve"), ("deleted", "eve")):
            body = {"type": f"user.{kind}", "data": {"id": user, "email": f"{user}@example.org"}}
            receipt = await self._anyone.deliver(body, message_id=f"{kind}-{user}")
            assert receipt.status_code == (200 if takes else 503), receipt.text
        assert (await self._anyone.named("bob").get("/api/me")).status_code == (200 if takes else 404)
        assert (await self._anyone.named("eve").get("/api/me")).status_code == (410 if takes else 404)

    async def _upserts(self) -> int:
        """Let two users come by ada's code, and return the points that this has given her."""
        code = (await self._anyone.named("ada").get("/api/my-referral-link")).json()["referral_code"]
        for user in ("bob", "cid"):
            arrived = await self._anyone.named(user).post("/api/users/upsert", {"referred_by": code})
            assert arrived.json()["attribution"] == "recorded"
        assert (await self._anyone.named("ada").get("/api/me")).json()["referrals"] == 2
        inviters_points = 200 if self._has_points else 0
        assert await points(self._anyone, "ada") == inviters_points
        return inviters_points

    async def _points(self, had: int) -> None:
        slips = [await opened(self._anyone) for _ in range(2)]
        completed = [await complete(self._anyone, slip) for slip in slips]
        recovered = await recover(self._anyone, slips[0])
        awarded = await award(self._anyone, "ada", 7, key="award")
        credited = await credit(self._anyone, ("ada", 3, "a"), ("cid", 3, "b"), key="credit")
        if self._has_points:
            assert [each.status_code for each in (*completed, recovered, awarded, credited)] == [200] * 5
        else:
            assert said(*completed, recovered) == [(503, "PARTIAL_COMPLETION")] * 3
            assert said(awarded, credited) == [(409, "POINTS_DISABLED")] * 2
        earned = 2 * 525 + 7 + 3 if self._has_points else 0
        assert await points(self._anyone, "ada") == had + earned
        waiting = (await self._anyone.named("pit", "loyalty:read").get("/api/pending-accruals")).json()["items"]
        assert len(waiting) == (0 if self._has_points else 2 + 2)

    async def _wallets(self) -> None:
        invite, reward_id = await invited(self._anyone, 1), await offered(self._anyone, 40)
        ada, cid = await funded(self._anyone, "ada", 50), self._anyone.named("cid")
        assert (await grant(self._anyone, "ada", 50)).headers["idempotency-hit"] == "true"
        assert (await redeemed(ada, invite["code"])).status_code == 200
        assert said(await redeemed(cid, invite["code"])) == [(409, "INVITE_EXHAUSTED")]
        assert (await bought(ada, reward_id)).status_code == 200
        assert said(await bought(ada, reward_id)) == [(409, "ALREADY_COLLECTED")]
        assert await balance(ada) == 10


async def wait_for_upkeep(anyone: Caller) -> None:
    """Switch points on, and let everything that waited be credited."""
    await switch(anyone, Flag.POINTS_ENABLED, on=True)
    staff = anyone.named("pit", "loyalty:read", "loyalty:recover")
    for item in chain.from_iterable(await pages(staff, "/api/pending-accruals", limit=200)):
        event = {name: item[name] for name in ("player_id", "event_type", "event_key")}
        assert (await staff.post("/api/pending-accruals/recover", event)).status_code == 200


class TestFlagStates:
    @pytest.mark.parametrize("state", TRIED, ids=name_of)
    async def test_whatever_is_on_every_flow_goes_by_it_and_every_promise_is_kept(
        self, anyone: Caller, state: State
    ) -> None:
        for flag, on in state.items():
            await switch(anyone, flag, on=on)
        assert {name: item["enabled"] for name, item in (await listed(anyone)).items()} == state

        await Script(anyone, state).play()

        assert await broken(anyone) == []
        await wait_for_upkeep(anyone)
        assert await points(anyone, "ada") == 2 * 525 + 200 + (10 if state[Flag.POINTS_ENABLED] else 0)
        assert await broken(anyone) == []

    async def test_the_other_states_cannot_be_reached_from_anywhere(self, anyone: Caller) -> None:
        for state in few(UNREACHABLE):
            for flag, on in state.items():
                if flag not in LOCKED:
                    await switch(anyone, flag, on=on)
            for flag in LOCKED:
                assert said(await switched(anyone, flag, {"enabled": True})) == [(409, "FLAG_LOCKED")]
            shown = {name: item["enabled"] for name, item in (await listed(anyone)).items()}
            assert shown == {**state, **dict.fromkeys(LOCKED, False)}

    def test_each_locked_flag_halves_the_states_that_can_be_reached(self) -> None:
        assert LOCKED
        assert len(REACHABLE) == 2 ** (len(Flag) - len(LOCKED))
        assert len(REACHABLE) + len(UNREACHABLE) == 2 ** len(Flag)
        assert pairs_of(*TRIED) == pairs_of(*REACHABLE)

    async def test_going_from_state_to_state_over_the_same_users_breaks_no_promise(self, anyone: Caller) -> None:
        """The states one after the other in one database: what one of them left is there for the next one."""
        code = (await anyone.named("ada").post("/api/referral/remint")).json()["referral_code"]
        for number, state in enumerate(TRIED):
            for flag, on in state.items():
                await switch(anyone, flag, on=on)
            newcomer = anyone.named(f"user-{number}")
            await newcomer.get("/api/my-referral-link")
            body: dict[str, Any] = {"type": "user.created", "data": {"id": f"user-{number}"}}
            await anyone.deliver(body, message_id=f"m{number}")
            await newcomer.post("/api/users/upsert", {"referred_by": code})
            code = (await anyone.named("ada").post("/api/referral/remint")).json()["referral_code"]
            await complete(anyone, await opened(anyone))
            await award(anyone, "ada", 1, reward_id=f"award {number}")

        assert await broken(anyone) == []
        await wait_for_upkeep(anyone)
        awards = sum(state[Flag.POINTS_ENABLED] for state in TRIED)
        assert await points(anyone, "ada") == len(TRIED) * (100 + 525) + awards
        assert await broken(anyone) == []
