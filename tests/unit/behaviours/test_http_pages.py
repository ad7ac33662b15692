"""Next pages over ties: every listing, by every filter and in pages of every size, shows each row once and in order."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from tests.http.requests import operations
from tests.http.services import Caller
from tests.http.wallets import bought, funded, grant, invited, offered, pages, redeemed
from tests.unit.behaviours.test_http_channels import a_channel, sent
from tests.unit.behaviours.test_http_loyalty import ACCRUALS, AWARDS, seen
from tests.unit.behaviours.test_http_rating_slips import complete, opened
from tests.unit.behaviours.test_http_referrals import code_of

ALL_AT_ONCE = 200
PLAYERS = ("ada", "bob")


class Listing(NamedTuple):
    """A listing with several rows of one moment: who reads it, at which path, and how many rows there are."""

    reader: Caller
    path: str
    rows: int


Furnish = Callable[[Caller], Awaitable[Listing]]


async def _leaderboard(anyone: Caller) -> Listing:
    for inviter in ("ada", "bob", "cid", "dan", "eve"):
        await anyone.named(inviter).post("/api/users/upsert", {"display_name": inviter})
        await anyone.named(f"friend-of-{inviter}").post(
            "/api/users/upsert", {"referred_by": await code_of(anyone, inviter)}
        )
    return Listing(anyone.named("ada"), "/api/leaderboard", 5)


async def _credit_entries(anyone: Caller) -> Listing:
    for amount in range(1, 6):
        await grant(anyone, "ada", amount)
    return Listing(anyone.named("ada"), "/api/credits/entries", 5)


async def _rewards(anyone: Caller) -> Listing:
    for _ in range(5):
        await offered(anyone, 1)
    return Listing(anyone.named("ada"), "/api/rewards", 5)


async def _collected(anyone: Caller) -> Listing:
    ada = await funded(anyone, "ada", 5)
    for _ in range(5):
        assert (await bought(ada, await offered(anyone, 1))).status_code == 200
    return Listing(ada, "/api/rewards/collected", 5)


async def _uses(anyone: Caller) -> Listing:
    invite = await invited(anyone)
    for user in ("ada", "bob", "cid", "dan", "eve"):
        assert (await redeemed(anyone.named(user), invite["code"])).status_code == 200
    return Listing(anyone.named("owner"), f"/api/invites/{invite['invite_id']}/uses", 5)


async def _waiting(anyone: Caller) -> int:
    """Let the points of slips wait, and return of how many."""
    chief = anyone.named("chief", "admin:flags")
    assert (await chief.call("PUT", "/api/admin/flags/points_enabled", body={"enabled": False})).status_code == 200
    for player in PLAYERS * 2:
        await seen(anyone, player)
        assert (await complete(anyone, await opened(anyone, player))).status_code == 503
    assert (await chief.call("PUT", "/api/admin/flags/points_enabled", body={"enabled": True})).status_code == 200
    return 2 * len(PLAYERS)


async def _slips(anyone: Caller) -> Listing:
    waiting = await _waiting(anyone)
    for player in PLAYERS * 2:
        await opened(anyone, player)
        assert (await complete(anyone, await opened(anyone, player))).status_code == 200
    return Listing(anyone.named("pit", "slips:write"), "/api/rating-slips", waiting + 4 * len(PLAYERS))


async def _pending(anyone: Caller) -> Listing:
    return Listing(anyone.named("staff", "loyalty:read"), "/api/pending-accruals", await _waiting(anyone))


async def _point_entries(anyone: Caller) -> Listing:
    """Let each player have three entries of one request, member of staff and type, and one that differs in each."""
    events = []
    for player in PLAYERS:
        await seen(anyone, player)
        events.append({"player_id": player, "points": 1, "event_type": "promotion", "event_key": player})
        for number, staff, request in (
            *((number, "staff", "same-request") for number in range(3)),
            (3, "another", "same-request"),
            (4, "staff", "another-request"),
        ):
            body = {"player_id": player, "points": 1, "reason": "because", "reward_id": f"{number}"}
            headers = {"x-correlation-id": request}
            awarded = await anyone.named(staff, "loyalty:award").post(AWARDS, body, headers=headers)
            assert awarded.status_code == 200, awarded.text
    till = anyone.named("till", "loyalty:batch")
    assert (await till.post(ACCRUALS, {"events": events}, headers={"x-correlation-id": "same-request"})).is_success
    return Listing(anyone.named("auditor", "loyalty:read"), "/api/point-entries", 6 * len(PLAYERS))


async def _players_entries(anyone: Caller) -> Listing:
    listing = await _point_entries(anyone)
    return Listing(anyone.named("ada"), "/api/loyalty/ada/entries", listing.rows // len(PLAYERS))


async def _channels(anyone: Caller) -> Listing:
    ada = anyone.named("ada")
    for _ in range(5):
        await a_channel(ada)
    return Listing(ada, "/api/channels", 5)


async def _members(anyone: Caller) -> Listing:
    ada = anyone.named("ada")
    channel_id = await a_channel(ada, "bob", "cid", "dan", "eve")
    return Listing(ada, f"/api/channels/{channel_id}/members", 5)


async def _messages(anyone: Caller) -> Listing:
    ada = anyone.named("ada")
    channel_id = await a_channel(ada)
    for number in range(5):
        await sent(ada, channel_id, f"{number}")
    return Listing(ada, f"/api/messages/list?channel_id={channel_id}", 5)


_OF_ENTRIES = ("correlation_id", "staff_id", "event_type")
LISTINGS: Mapping[str, tuple[Furnish, tuple[str, ...]]] = {
    "/api/leaderboard": (_leaderboard, ()),
    "/api/credits/entries": (_credit_entries, ()),
    "/api/rewards": (_rewards, ()),
    "/api/rewards/collected": (_collected, ()),
    "/api/invites/{invite_id}/uses": (_uses, ()),
    "/api/rating-slips": (_slips, ("state",)),
    "/api/pending-accruals": (_pending, ()),
    "/api/point-entries": (_point_entries, ("player_id", *_OF_ENTRIES)),
    "/api/channels": (_channels, ()),
    "/api/channels/{channel_id}/members": (_members, ()),
    "/api/messages/list": (_messages, ()),
    "/api/loyalty/{player_id}/entries": (_players_entries, _OF_ENTRIES),
}
"""Every listing with the parameters that narrow it."""
FILTERS: Mapping[str, tuple[str, ...]] = {
    "state": ("open", "closed", "accrual_pending"),
    "player_id": ("ada",),
    "correlation_id": ("same-request",),
    "staff_id": ("staff",),
    "event_type": ("manual_reward",),
}
"""Values of every parameter of a listing that narrows it, by its name."""
OTHER: Mapping[str, set[str]] = {"/api/messages/list": {"channel_id", "since", "after"}}
"""Parameters that say which listing it is, or where it begins: the tests of messages are about them."""
MEMBERS = {"player_id": "user_id"}
"""The members of items that a filter is about, where they have another name."""
NEEDS_A_FILTER = "/api/point-entries"


def filters_of(names: Sequence[str]) -> list[dict[str, str]]:
    """Return every combination of filters, the empty one first."""
    return [
        dict(zip(chosen, values, strict=True))
        for size in range(len(names) + 1)
        for chosen in combinations(names, size)
        for values in product(*(FILTERS[name] for name in chosen))
    ]


def kept(item: Mapping[str, Any], chosen: Mapping[str, str]) -> bool:
    return all(item[MEMBERS.get(name, name)] == value for name, value in chosen.items())


class TestPages:
    async def test_every_listing_of_the_document_is_among_them_with_its_filters(self, anyone: Caller) -> None:
        found = [(each.path, set(each.parameters("query"))) for each in await operations(anyone)]
        listings = {
            path: names - {"limit", "cursor"} - OTHER.get(path, set()) for path, names in found if "cursor" in names
        }

        assert listings == {path: set(filters) for path, (_, filters) in LISTINGS.items()}

    @pytest.mark.parametrize("name", LISTINGS)
    async def test_rows_of_one_moment_are_shown_once_and_in_one_order(self, still: Caller, name: str) -> None:
        furnish, filters = LISTINGS[name]
        reader, path, rows = await furnish(still)
        everything = await _everything(reader, path)
        assert len(everything) == rows

        for chosen in filters_of(filters):
            if not chosen and path == NEEDS_A_FILTER:
                continue
            listing = f"{path}{'&' if '?' in path else '?'}{urlencode(chosen)}"
            whole, wanted = await _whole(reader, listing), [item for item in everything if kept(item, chosen)]
            assert len(wanted) > 2, f"{listing} has too few rows to tell"
            assert sorted(map(repr, whole)) == sorted(map(repr, wanted)), listing
            for size in (1, 2, 3):
                shown = await pages(reader, listing, limit=size)
                assert [item for page in shown for item in page] == whole, (listing, size)
                assert {len(page) for page in shown[:-1]} <= {size}, (listing, size)


async def _everything(reader: Caller, path: str) -> list[dict[str, Any]]:
    if path != NEEDS_A_FILTER:
        return await _whole(reader, path)
    return [item for player in PLAYERS for item in await _whole(reader, f"/api/loyalty/{player}/entries")]


async def _whole(reader: Caller, path: str) -> list[dict[str, Any]]:
    (page,) = await pages(reader, path, limit=ALL_AT_ONCE)
    return page
