"""Bounds over HTTP: every one is refused by its name, is documented, and is on the page of limits."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from httpx2 import Response

from tallystick.domain.bounds import BOUNDS, COUNTED, MAX_REPLY_BYTES, BoundName, UserBounds
from tallystick.domain.ledger import MAX_BALANCE
from tallystick.domain.rewards import RewardId
from tallystick.domain.users import MAX_USER_ID_LENGTH, UserId
from tallystick.entrypoints.http.routes.loyalty import AccruedEvent, RefusedEvent
from tallystick.entrypoints.http.routes.rewards import MAX_ORDERS, PurchasedOrder, RefusedOrder
from tallystick.entrypoints.settings.pairs import read_bounds
from tests.http.services import Caller, Serve
from tests.http.wallets import said
from tests.pages.limits import COSTS, PAGE, render
from tests.unit.behaviours.test_http_referrals import code_of


async def _offer(anyone: Caller) -> Response:
    return await anyone.named("ada", "rewards:offer").post("/api/rewards", {"name": "a name", "cost": 1})


async def _remint(anyone: Caller) -> Response:
    return await anyone.named("ada").post("/api/referral/remint")


async def _invite(anyone: Caller) -> Response:
    return await anyone.named("ada", "invites:create").post("/api/invites", {"max_uses": 1})


async def _open(anyone: Caller) -> Response:
    body = {"player_id": "ada", "game": "blackjack", "average_bet": 100}
    return await anyone.named("pit", "slips:write").post("/api/rating-slips", body)


async def _make_channel(anyone: Caller) -> Response:
    return await anyone.named("ada").post("/api/channels", {"name": "a name"})


class Members:
    """Adds another user to a channel each time, which begins with its maker."""

    def __init__(self) -> None:
        self._channel, self._added = "", 0

    async def __call__(self, anyone: Caller) -> Response:
        owner = anyone.named("owner")
        if not self._channel:
            made = await owner.post("/api/channels", {"name": "a name"})
            self._channel = made.json()["channel_id"]
            return made
        self._added += 1
        path = f"/api/channels/{self._channel}/members/user{self._added}"
        return await owner.call("PUT", path, body={"role": "member"})


class Rooms:
    """Makes another room each time."""

    def __init__(self) -> None:
        self._made = 0

    async def __call__(self, anyone: Caller) -> Response:
        self._made += 1
        rules = {"roles": {"player": {"slots": 1}}}
        body = {"room_id": f"room{self._made}", "roster_version": 0, "slots": [], "rules": rules}
        return await anyone.named("ada").post("/api/rank/stage-room-match", body)


class Screens:
    """Shows an overlay in another session each time."""

    def __init__(self) -> None:
        self._shown = 0

    async def __call__(self, anyone: Caller) -> Response:
        self._shown += 1
        return await anyone.named("ada").call("PUT", f"/api/overlays/s{self._shown}", body={"payload": 1})


class Keyed:
    """Sends a request under a new key each time."""

    def __init__(self) -> None:
        self._sent = 0

    async def __call__(self, anyone: Caller) -> Response:
        self._sent += 1
        return await anyone.named("ada").post("/api/users/upsert", {}, key=f"key{self._sent}")


ONE_MORE: Mapping[BoundName, Callable[[], Callable[[Caller], Awaitable[Response]]]] = {
    "rewards": lambda: _offer,
    "aliases": lambda: _remint,
    "invites": lambda: _invite,
    "slips": lambda: _open,
    "stage_rooms": Rooms,
    "overlays": Screens,
    "overlay_sessions": Screens,
    "channels": lambda: _make_channel,
    "channel_members": Members,
    "replies": Keyed,
    "reply_bytes": Keyed,
}


@pytest.mark.parametrize("name", BOUNDS)
async def test_one_more_than_the_bound_is_refused_by_its_name(serve: Serve, name: BoundName) -> None:
    limit = 100 if name == "reply_bytes" else 2
    anyone = await serve(bounds=f"{name}={limit}")
    await code_of(anyone, "ada")
    send = ONE_MORE[name]()

    answers = [await send(anyone) for _ in range(4)]

    assert [answer.status_code < 300 for answer in answers] == [True, True, False, False]
    refused = answers[-1].json()
    assert said(answers[-1]) == [(409, "BOUND_REACHED")]
    assert (refused["bound"], refused["limit"], refused["retryable"]) == (name, limit, False)
    assert BOUNDS[name].instead in refused["detail"]


@pytest.mark.parametrize(
    "text",
    [
        *("rewards", "rewards=", "rewards=0", "rewards=-1", "rewards=1.5", "rewards=100001", "cars=5"),
        *("rewards=1; rewards=2", "rewards=٣", "aliases=" + "9" * 5000),
    ],
)
def test_a_bad_bound_is_refused_with_a_right_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"needed|from 1 to|twice"):
        read_bounds(text)


def test_every_bound_has_one_row() -> None:
    assert list(BOUNDS) == list(UserBounds.__struct_fields__)
    assert set(BOUNDS) == {*COUNTED, "channel_members", "replies", "reply_bytes"}
    assert msgspec.structs.asdict(UserBounds()) == {name: bound.default for name, bound in BOUNDS.items()}


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_are_from_one_to_the_largest(name: BoundName) -> None:
    largest = BOUNDS[name].largest

    assert UserBounds(**{name: largest}).of(name) == largest
    for number in (0, largest + 1):
        with pytest.raises(ValueError, match=f"{name} must be from 1 to {largest}"):
            UserBounds(**{name: number})


LONGEST = "x" * MAX_USER_ID_LENGTH
NOW = datetime(2026, 1, 1, 1, 1, 1, 111111, tzinfo=UTC)
NUMBER = MAX_BALANCE
LARGEST_RESULTS = [
    PurchasedOrder(RewardId(LONGEST), NUMBER, NUMBER, NUMBER, NOW),
    RefusedOrder(LONGEST, LONGEST * 2, balance=NUMBER, cost=NUMBER),
    AccruedEvent(UserId(LONGEST), NUMBER, NUMBER, LONGEST, LONGEST, NUMBER, NUMBER, NOW, False, True),
    RefusedEvent(LONGEST, LONGEST * 2),
]
"""Every text is an id of at most 128 characters, the name of a tier, a code or one sentence."""


@pytest.mark.parametrize("largest", LARGEST_RESULTS)
def test_the_reply_to_the_largest_batch_can_be_stored(
    largest: PurchasedOrder | RefusedOrder | AccruedEvent | RefusedEvent,
) -> None:
    assert len(msgspec.json.encode({"results": [largest] * MAX_ORDERS})) <= MAX_REPLY_BYTES


def test_bounds_are_read_over_the_defaults() -> None:
    bounds = read_bounds(" rewards = 5 ; replies=7;")

    assert (bounds.rewards, bounds.replies, bounds.aliases) == (5, 7, BOUNDS["aliases"].default)
    assert read_bounds("") == UserBounds()


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "limits have changed; write their page anew: .venv/bin/python -m tests.pages.limits"
    )


async def test_the_page_says_of_every_route_what_it_may_cost(anyone: Caller) -> None:
    document: dict[str, Any] = (await anyone.get("/schema/openapi.json")).json()
    routes = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method in {"get", "post", "put", "patch", "delete"}
    }

    assert routes - set(COSTS) == set(), "tests/pages/limits.py has to say what it may cost"
