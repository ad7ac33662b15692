"""Who may do what: every route of the document by nobody, two users, staff and a deleted user."""

from typing import Any

import pytest

from tests.services import Caller
from tests.unit.behaviours.http_referrals import code_of

STAFF = ("profiles:read", "admin:read")
OPEN = {"nobody": 200, "ada": 200, "bob": 200, "staff": 200, "deleted": 200}
OWN = {"nobody": 401, "ada": 200, "bob": 200, "staff": 200, "deleted": 410}
BY_STAFF = {"nobody": 401, "ada": 403, "bob": 403, "staff": 200, "deleted": 410}

MATRIX: dict[tuple[str, str], dict[str, int]] = {
    ("GET", "/"): OPEN,
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/api/referral/resolve"): OPEN,
    ("GET", "/r/{code}"): dict.fromkeys(OPEN, 302),
    ("HEAD", "/r/{code}"): dict.fromkeys(OPEN, 302),
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
}
QUERIES = {"/api/profiles/by-email": "?email=ada%40example.org", "/api/referral/resolve": "?code=NOBODY99"}
BODIES: dict[str, Any] = {"/api/users/upsert": {}}


@pytest.fixture
async def callers(anyone: Caller) -> dict[str, Caller]:
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


@pytest.mark.parametrize(("method", "path"), MATRIX)
async def test_everybody_gets_what_the_matrix_says(callers: dict[str, Caller], method: str, path: str) -> None:
    target = path.replace("{code}", "ABCD1234") + QUERIES.get(path, "")

    statuses = {
        name: (await caller.call(method, target, body=BODIES.get(path))).status_code for name, caller in callers.items()
    }

    assert statuses == MATRIX[method, path]


async def test_a_callers_answers_are_about_the_caller(callers: dict[str, Caller]) -> None:
    answers = {name: (await callers[name].get("/api/me")).json()["user_id"] for name in ("ada", "bob", "staff")}

    assert answers == {"ada": "ada", "bob": "bob", "staff": "staff"}


async def test_a_permission_is_one_of_its_own(anyone: Caller) -> None:
    reader, administrator = anyone.named("s", "profiles:read"), anyone.named("s", "admin:read")

    assert (await reader.get("/api/admin/invariants")).status_code == 403
    assert (await administrator.get("/api/profiles/by-email?email=a%40b.c")).status_code == 403
    assert (await anyone.named("s", "admin", "admin:*", "ADMIN:READ").get("/api/admin/invariants")).status_code == 403
