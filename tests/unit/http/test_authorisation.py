"""Authorisation: every route of the document by nobody, two users, staff and a deleted user."""

from typing import Any

import pytest

from tests.http.services import BASE_URL, Caller
from tests.http.tokens import INVALID_TOKEN
from tests.http.wallets import invited, offered
from tests.unit.behaviours.test_http_channels import a_channel, sent
from tests.unit.behaviours.test_http_referrals import code_of
from tests.unit.behaviours.test_http_sign_in import by_cookie, by_token, sign_in, signed_up
from tests.unit.behaviours.test_http_sign_up import who

STAFF = (
    *(
        "admin:export",
        "admin:flags",
        "admin:read",
        "admin:users",
        "profiles:read",
        "credits:grant",
        "purchases:batch",
        "invites:create",
        "invites:manage",
        "rewards:manage",
        "rewards:offer",
        "rooms:manage",
        "overlays:manage",
    ),
    *("loyalty:award", "loyalty:batch", "loyalty:read", "loyalty:recover", "slips:write"),
)
OPEN = {"nobody": 200, "ada": 200, "bob": 200, "staff": 200, "deleted": 200}
OWN = {"nobody": 401, "ada": 200, "bob": 200, "staff": 200, "deleted": 410}
BY_STAFF = {"nobody": 401, "ada": 403, "bob": 403, "staff": 200, "deleted": 410}
BY_OWNER_OR_STAFF = {"nobody": 401, "ada": 200, "bob": 404, "staff": 200, "deleted": 410}
BY_MEMBER = {"nobody": 401, "ada": 200, "bob": 404, "staff": 404, "deleted": 410}
MAKES = {200: 201}


def instead(who: dict[str, int], changes: dict[int, int]) -> dict[str, int]:
    """Return the same row with other statuses in the place of some."""
    return {name: changes.get(status, status) for name, status in who.items()}


BY_SESSION = {"nobody": 401, "ada": 403, "bob": 403, "staff": 403, "deleted": 410}
"""Those who come with a token of the identity provider have no session of ours."""

MATRIX: dict[tuple[str, str], dict[str, int]] = {
    ("GET", "/"): OPEN,
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/api/referral/resolve"): OPEN,
    ("GET", "/r/{code}"): dict.fromkeys(OPEN, 302),
    ("POST", "/api/webhooks/auth"): dict.fromkeys(OPEN, 401),
    ("GET", "/api/my-referral-link"): OWN,
    ("GET", "/api/referral"): OWN,
    ("POST", "/api/referral/remint"): OWN,
    ("GET", "/api/leaderboard"): OWN,
    ("GET", "/api/globe"): OWN,
    ("POST", "/api/users/upsert"): OWN,
    ("GET", "/api/me"): OWN,
    ("GET", "/api/profiles/by-email"): BY_STAFF,
    ("GET", "/api/admin/invariants"): BY_STAFF,
    ("GET", "/api/admin/export/{kind}"): BY_STAFF,
    # The path names bob, who asks before staff do.
    ("DELETE", "/api/admin/users/{user_id}"): BY_STAFF,
    ("GET", "/api/admin/flags"): BY_STAFF,
    ("PUT", "/api/admin/flags/{name}"): BY_STAFF,
    # Ada makes the channel: bob is added to it where ada adds him.
    ("POST", "/api/channels"): instead(OWN, MAKES),
    ("GET", "/api/channels"): OWN,
    ("GET", "/api/channels/{channel_id}/members"): BY_MEMBER,
    ("PUT", "/api/channels/{channel_id}/members/{user_id}"): BY_MEMBER | {"bob": 403},
    ("DELETE", "/api/channels/{channel_id}/members/{user_id}"): instead(BY_MEMBER, {200: 404}),  # bob is none
    ("PUT", "/api/channels/{channel_id}/read"): BY_MEMBER,
    ("GET", "/api/channels/{channel_id}/stream"): BY_MEMBER,
    ("GET", "/api/streams"): BY_MEMBER,
    ("POST", "/api/streams/session"): OWN,
    ("GET", "/api/messages/list"): BY_MEMBER,
    ("POST", "/api/messages/send"): instead(BY_MEMBER, MAKES),
    ("DELETE", "/api/messages/{message_id}"): BY_MEMBER,
    ("GET", "/api/credits"): OWN,
    ("GET", "/api/credits/entries"): OWN,
    ("POST", "/api/credits/grants"): BY_STAFF,
    ("GET", "/api/rewards"): OWN,
    ("POST", "/api/rewards"): instead(BY_STAFF, MAKES),
    ("GET", "/api/rewards/collected"): OWN,
    # Ada offers it: she changes it, and staff; everybody else may buy it but has no credits.
    ("PATCH", "/api/rewards/{reward_id}"): {"nobody": 401, "ada": 200, "bob": 403, "staff": 200, "deleted": 410},
    ("POST", "/api/rewards/{reward_id}/purchase"): {
        "nobody": 401,
        "ada": 403,
        "bob": 402,
        "staff": 402,
        "deleted": 410,
    },
    ("POST", "/api/rewards/purchases"): BY_STAFF,
    # Ada makes the room: she and staff change it.
    ("POST", "/api/rank/stage-room-match"): {"nobody": 401, "ada": 200, "bob": 403, "staff": 200, "deleted": 410},
    ("POST", "/api/rank/stage-room-match/verify"): OWN,
    # Ada puts it: she and staff replace and remove it.
    ("PUT", "/api/overlays/{session_id}"): {"nobody": 401, "ada": 200, "bob": 403, "staff": 200, "deleted": 410},
    ("GET", "/api/overlays/{session_id}"): OWN,
    ("DELETE", "/api/overlays/{session_id}"): {"nobody": 401, "ada": 200, "bob": 403, "staff": 404, "deleted": 410},
    ("GET", "/api/overlays/stream"): OWN,
    # The path names ada.
    ("GET", "/api/loyalty/{player_id}"): {"nobody": 401, "ada": 200, "bob": 403, "staff": 200, "deleted": 410},
    ("GET", "/api/loyalty/{player_id}/entries"): {"nobody": 401, "ada": 200, "bob": 403, "staff": 200, "deleted": 410},
    ("GET", "/api/point-entries"): BY_STAFF,
    ("POST", "/api/loyalty/manual-rewards"): BY_STAFF,
    ("POST", "/api/loyalty/accruals"): BY_STAFF,
    ("POST", "/api/rating-slips"): instead(BY_STAFF, MAKES),
    ("GET", "/api/rating-slips"): BY_STAFF,
    ("GET", "/api/rating-slips/{slip_id}"): BY_STAFF,
    ("POST", "/api/rating-slips/{slip_id}/complete"): BY_STAFF,
    ("POST", "/api/rating-slips/{slip_id}/recover"): instead(BY_STAFF, {200: 409}),  # it is open
    ("GET", "/api/pending-accruals"): BY_STAFF,
    ("POST", "/api/pending-accruals/recover"): instead(BY_STAFF, {200: 404}),  # nothing waits
    ("POST", "/api/invites"): instead(BY_STAFF, MAKES),
    ("POST", "/api/invites/validate"): OPEN,
    ("POST", "/api/invites/redeem"): OWN,
    ("GET", "/api/invites/{invite_id}"): BY_OWNER_OR_STAFF,
    ("GET", "/api/invites/{invite_id}/uses"): BY_OWNER_OR_STAFF,
    ("POST", "/api/invites/{invite_id}/revoke"): BY_OWNER_OR_STAFF,
    # The body names ada.
    ("POST", "/api/auth/complete-phone-signup"): {
        "nobody": 401,
        "ada": 200,
        "bob": 403,
        "staff": 403,
        "deleted": 410,
    },
    ("POST", "/api/auth/sign-out"): BY_SESSION,
    ("POST", "/api/auth/password"): BY_SESSION,
    ("POST", "/api/auth/sign-in"): dict.fromkeys(OPEN, 401),
}
STREAMS = {"/api/channels/{channel_id}/stream", "/api/overlays/stream", "/api/streams"}
QUERIES = {
    "/api/point-entries": "?staff_id=staff",
    "/api/messages/list": "?channel_id={channel_id}",
    "/api/streams": "?topic={channel_id}",
    "/api/profiles/by-email": "?email=ada%40example.org",
    "/api/referral/resolve": "?code=NOBODY99",
}
BODIES: dict[str, Any] = {
    "/api/overlays/{session_id}": {"payload": "hello"},
    "/api/users/upsert": {},
    "/api/channels": {"name": "a channel"},
    "/api/channels/{channel_id}/members/{user_id}": {"role": "member"},
    "/api/channels/{channel_id}/read": {"seq": 1},
    "/api/messages/send": {"channel_id": "", "body": "hello"},
    "/api/credits/grants": {"user_id": "ada", "amount": 1, "reason": "r", "event_key": "e"},
    "/api/rewards": {"name": "n", "cost": 1},
    "/api/rewards/{reward_id}": {"name": "another"},
    "/api/rewards/purchases": {"orders": [{"user_id": "bob", "reward_id": "r"}]},
    "/api/rank/stage-room-match": {
        "room_id": "room",
        "roster_version": 0,
        "slots": [],
        "rules": {"roles": {"player": {"slots": 1}}},
    },
    "/api/rank/stage-room-match/verify": {"slots": [], "rules": {"roles": {"player": {"slots": 1}}}},
    "/api/loyalty/manual-rewards": {"player_id": "ada", "points": 1, "reason": "r"},
    "/api/loyalty/accruals": {
        "events": [{"player_id": "bob", "points": 1, "event_type": "promotion", "event_key": "e"}]
    },
    "/api/rating-slips": {"player_id": "ada", "game": "slots", "average_bet": 1},
    "/api/pending-accruals/recover": {"player_id": "ada", "event_type": "rating_slip", "event_key": "none"},
    "/api/invites": {"max_uses": 1},
    "/api/invites/validate": {"code": "SEATS123"},
    "/api/invites/redeem": {"code": "SEATS123"},
    "/api/admin/flags/{name}": {"enabled": False},
    "/api/auth/complete-phone-signup": who("ada", "SEATS123"),
    "/api/auth/password": {"current": "a good password", "new": "a better password"},
    "/api/auth/sign-in": {"email": "bob@example.org", "password": "a good password"},
}


def request_of(method: str, path: str, ids: dict[str, str]) -> tuple[str, Any]:
    """Return a route's target and body, filled in."""
    body = BODIES.get(path) if method in {"POST", "PUT", "PATCH"} else None
    if body is not None and "channel_id" in body:
        body = {**body, "channel_id": ids["channel_id"]}
    return (path + QUERIES.get(path, "")).format(**ids), body


@pytest.fixture
async def ids(anyone: Caller) -> dict[str, str]:
    """Return what paths name: a code, and a reward and an invite of ada's."""
    invite = await invited(anyone, owner="ada", code="SEATS123")
    reward_id = await offered(anyone, 40, owner="ada")
    await code_of(anyone, "ada")
    slip = {"player_id": "ada", "game": "slots", "average_bet": 1}
    channel_id = await a_channel(anyone.named("ada"))
    await anyone.named("ada").call("PUT", "/api/overlays/session", body={"payload": "hello"})
    opened = (await anyone.named("pit", "slips:write").post("/api/rating-slips", slip)).json()
    return {
        "code": "ABCD1234",
        "channel_id": channel_id,
        "message_id": (await sent(anyone.named("ada"), channel_id))["message_id"],
        "reward_id": reward_id,
        "invite_id": invite["invite_id"],
        "player_id": "ada",
        "user_id": "bob",
        "kind": "codes",
        "session_id": "session",
        "slip_id": opened["slip_id"],
        "name": "legacy_fallback_enabled",
    }


@pytest.fixture
async def callers(anyone: Caller, ids: dict[str, str]) -> dict[str, Caller]:
    """Return everybody, with ada known by her address."""
    for user in ("ada", "bob", "staff", "deleted"):
        await code_of(anyone, user)
    await anyone.named("ada").post("/api/users/upsert", {"email": "ada@example.org"})
    await anyone.deliver({"type": "user.deleted", "data": {"id": "deleted"}})
    return {
        "nobody": anyone,
        "ada": anyone.named("ada"),
        "bob": anyone.named("bob"),
        "staff": anyone.named("staff", *STAFF),
        "deleted": anyone.named("deleted", *STAFF),
    }


async def test_the_matrix_names_every_route_of_the_document(anyone: Caller) -> None:
    document = (await anyone.get("/schema/openapi.json")).json()

    assert set(MATRIX) == {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


async def test_the_document_states_the_permission_of_every_route_that_staff_alone_may_call(anyone: Caller) -> None:
    document = (await anyone.get("/schema/openapi.json")).json()
    stated = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if any(each.get("bearer") for each in operation.get("security", []))
    }

    assert stated == {route for route, who in MATRIX.items() if who["ada"] == who["bob"] == 403 != who["staff"]}


@pytest.mark.parametrize(("method", "path"), MATRIX)
async def test_everybody_gets_what_the_matrix_says(
    callers: dict[str, Caller], ids: dict[str, str], method: str, path: str
) -> None:
    target, body = request_of(method, path, ids)
    used = "HEAD" if path in STREAMS else method  # GET of a stream has no end

    statuses = {name: (await caller.call(used, target, body=body)).status_code for name, caller in callers.items()}

    assert statuses == MATRIX[method, path]


@pytest.mark.parametrize("form", ["cookie", "bearer"])
async def test_a_session_that_ended_opens_no_route(anyone: Caller, ids: dict[str, str], form: str) -> None:
    guarded = [route for route, who in MATRIX.items() if who["ada"] != who["nobody"]]
    await signed_up(anyone, "eve")
    answer = await sign_in(anyone, "eve@example.org")
    headers = {**(by_cookie if form == "cookie" else by_token)(answer), "origin": BASE_URL}
    assert (await anyone.post("/api/auth/sign-out", headers=headers)).status_code == 200

    refused = {}
    for method, path in guarded:
        target, body = request_of(method, path, ids)
        answer = await anyone.call(method, target, body=body, headers=headers)
        refused[method, path] = (answer.status_code, answer.headers.get("www-authenticate"))

    assert refused == dict.fromkeys(guarded, (401, INVALID_TOKEN))


async def test_a_callers_answers_are_about_the_caller(callers: dict[str, Caller]) -> None:
    answers = {name: (await callers[name].get("/api/me")).json()["user_id"] for name in ("ada", "bob", "staff")}

    assert answers == {"ada": "ada", "bob": "bob", "staff": "staff"}


async def test_a_permission_is_one_of_its_own(anyone: Caller) -> None:
    reader, administrator = anyone.named("s", "profiles:read"), anyone.named("s", "admin:read")

    assert (await reader.get("/api/admin/invariants")).status_code == 403
    assert (await administrator.get("/api/profiles/by-email?email=a%40b.c")).status_code == 403
    assert (await administrator.get("/api/admin/flags")).status_code == 403
    assert (await anyone.named("s", "admin", "admin:*", "ADMIN:READ").get("/api/admin/invariants")).status_code == 403


@pytest.mark.parametrize(
    ("permission", "path"),
    [
        ("credits:grant", "/api/credits/grants"),
        ("purchases:batch", "/api/rewards/purchases"),
        ("rewards:offer", "/api/rewards"),
        ("invites:create", "/api/invites"),
        ("loyalty:award", "/api/loyalty/manual-rewards"),
        ("loyalty:batch", "/api/loyalty/accruals"),
        ("slips:write", "/api/rating-slips"),
    ],
)
async def test_no_other_permission_opens_a_route(anyone: Caller, permission: str, path: str) -> None:
    for user in ("ada", "bob"):
        await code_of(anyone, user)
    others = [other for other in STAFF if other != permission]

    refused = await anyone.named("s", *others, f"{permission}:all").post(path, BODIES[path])
    taken = await anyone.named("s", permission).post(path, BODIES[path])

    assert (refused.status_code, refused.json().get("permission")) == (403, permission)
    assert taken.status_code in {200, 201}


async def test_a_request_that_is_refused_to_a_caller_is_not_done(
    callers: dict[str, Caller], ids: dict[str, str]
) -> None:
    for name in ("nobody", "bob", "deleted"):
        for (method, path), expected in MATRIX.items():
            if method != "GET" and expected[name] in {401, 403, 404, 410}:
                await callers[name].call(method, path.format(**ids), body=BODIES.get(path))

    ada, staff = callers["ada"], callers["staff"]
    assert (await ada.get("/api/credits")).json() == {"balance": 0, "version": 0}
    assert (await ada.get("/api/loyalty/ada")).json()["version"] == 0
    assert [reward["name"] for reward in (await ada.get("/api/rewards")).json()["items"]] == ["a name"]
    invite = (await staff.get(f"/api/invites/{ids['invite_id']}")).json()
    assert (invite["current_uses"], invite["revoked_at"]) == (0, None)
