"""The set-up of behaviours of wallets over HTTP: funds, rewards and invites; and how answers are read."""

import re
from typing import Any

from httpx2 import Response

from tests.http.services import Caller

UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z\Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
BATCH = "/api/rewards/purchases"

Order = tuple[str, str]
"""The buyer and the reward of each order."""


def said(*answers: Response) -> list[tuple[int, str]]:
    """Return status and code of refusals."""
    return [(answer.status_code, answer.json()["code"]) for answer in answers]


async def grant(anyone: Caller, user: str, amount: int, **sent: Any) -> Response:
    """Let staff grant credits to a user."""
    body = {"user_id": user, "amount": amount, "reason": "because", "event_key": f"{user} {amount}", **sent}
    return await anyone.named("staff", "credits:grant").post("/api/credits/grants", body)


async def funded(anyone: Caller, user: str, balance: int) -> Caller:
    """Return a user who has as much."""
    assert (await grant(anyone, user, balance)).status_code == 200
    return anyone.named(user)


async def offered(anyone: Caller, cost: int, *, owner: str = "owner", name: str = "a name") -> str:
    """Return the id of a reward that somebody offers."""
    reward = (await anyone.named(owner, "rewards:offer").post("/api/rewards", {"name": name, "cost": cost})).json()
    return str(reward["reward_id"])


async def bought(caller: Caller, reward_id: str, **sent: Any) -> Response:
    """Let a caller buy a reward."""
    return await caller.post(f"/api/rewards/{reward_id}/purchase", **sent)


def batch(*orders: Order) -> dict[str, Any]:
    """Return the body of a batch of purchases."""
    return {"orders": [{"user_id": user, "reward_id": reward_id} for user, reward_id in orders]}


async def invited(anyone: Caller, max_uses: int = 5, *, owner: str = "owner", **sent: Any) -> dict[str, Any]:
    """Return an invite that somebody made."""
    answer = await anyone.named(owner, "invites:create").post("/api/invites", {"max_uses": max_uses, **sent})
    assert answer.status_code == 201, answer.text
    invite: dict[str, Any] = answer.json()
    return invite


async def redeemed(caller: Caller, code: str, **sent: Any) -> Response:
    """Let a caller redeem a code."""
    return await caller.post("/api/invites/redeem", {"code": code}, **sent)


async def uses_left(anyone: Caller, invite: dict[str, Any], *, owner: str = "owner") -> int:
    """Return how many seats an invite has, as its owner sees it."""
    seen = (await anyone.named(owner).get(f"/api/invites/{invite['invite_id']}")).json()
    return int(seen["max_uses"]) - int(seen["current_uses"])


async def balance(caller: Caller) -> int:
    """Return a caller's balance."""
    return int((await caller.get("/api/credits")).json()["balance"])


async def pages(caller: Caller, path: str, *, limit: int) -> list[list[dict[str, Any]]]:
    """Return every page of a listing."""
    found, query = [], f"limit={limit}"
    while query:
        page = (await caller.get(f"{path}{'&' if '?' in path else '?'}{query}")).json()
        assert page.keys() - {"head"} == {"items", "next_cursor"}
        found.append(page["items"])
        query = f"limit={limit}&cursor={page['next_cursor']}" if page["next_cursor"] is not None else ""
    return found


def is_replay_of(first: Response, again: Response) -> bool:
    """Return whether an answer is the first one, byte for byte, and says so."""
    same = (again.status_code, again.content, again.headers["content-type"]) == (
        first.status_code,
        first.content,
        first.headers["content-type"],
    )
    return same and "idempotency-hit" not in first.headers and again.headers.get("idempotency-hit") == "true"
