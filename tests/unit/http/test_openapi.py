"""The document and its page: complete, true, and from this host alone."""

import re
from typing import Any
from urllib.parse import urljoin

import pytest

from tallystick.application.limit_groups import LIMIT_GROUPS
from tests.failures import every_failure
from tests.http.openapi_document import ENDLESS, operations
from tests.http.services import Caller, running, settings
from tests.unit.http.test_authorisation import MATRIX

STANDARD = {"GET", "POST", "PUT", "PATCH", "DELETE"}
NOT_ON_A_ROUTE = {
    "METHOD_NOT_ALLOWED": "a method that is no operation",
    "PHONE_NOT_VERIFIED": "why the points of a referral wait",
    "REFERRAL_CAP_REACHED": "why the points of a referral wait",
}
"""Failures that no operation answers with, and why."""
ENDED_BY_ITS_OWNER = {("DELETE", "/api/overlays/{session_id}")}
"""Routes where the matrix has no success of staff, because the owner, who comes first, left nothing."""


@pytest.fixture
async def document(anyone: Caller) -> dict[str, Any]:
    """Return the document as it is served."""
    served: dict[str, Any] = (await anyone.get("/schema/openapi.json")).json()
    return served


async def test_every_failure_stands_in_the_document(document: dict[str, Any]) -> None:
    codes = set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    described = {
        code
        for _, _, operation in operations(document)
        for reply in operation["responses"].values()
        for code in re.findall(r"[A-Z_]{4,}", reply.get("description", ""))
    }

    assert codes == {failure.code for failure in every_failure()}
    assert codes - described == set(NOT_ON_A_ROUTE)


async def test_every_operation_states_who_may_call(document: dict[str, Any]) -> None:
    public = {(method, path) for method, path, operation in operations(document) if operation.get("security") == []}

    assert public == {
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/api/referral/resolve"),
        ("GET", "/r/{code}"),
        ("POST", "/api/webhooks/auth"),
        ("POST", "/api/invites/validate"),
        ("POST", "/api/auth/sign-in"),
    }
    assert document["security"] == [{"bearer": []}, {"session": []}]


async def test_every_operation_names_the_limit_group_that_counts_it(document: dict[str, Any]) -> None:
    async with running(settings(rate_limits=""), "memory") as (anyone, _):
        for method, path, operation in operations(document):
            asked = re.sub(r"\{\w+\}", "ABCD2345", path)
            sent = "HEAD" if path == ENDLESS else method
            reply = await anyone.named("ada").call(sent, asked, raw=None if method == "GET" else b"{}")

            group = reply.headers.get("ratelimit-policy", "").partition(";")[0].strip('"')
            assert group == operation.get("x-limit-group", ""), path
            fails_closed = bool(group) and LIMIT_GROUPS[group].fails_closed  # type: ignore[index]  # any other fails
            assert ("LIMITER_UNAVAILABLE" in operation["responses"]["503"]["description"]) is fails_closed, path


async def test_every_operation_names_the_permission_that_its_guard_asks_for(
    anyone: Caller, document: dict[str, Any]
) -> None:
    for method, path, operation in operations(document):
        asked = re.sub(r"\{\w+\}", "ABCD2345", path)
        sent = "HEAD" if path == ENDLESS else method
        reply = await anyone.named("ada").call(sent, asked, raw=None if method == "GET" else b"{}")
        missing = reply.json().get("permission", "") if reply.status_code == 403 else ""

        if "x-permission" in operation or missing != operation.get("x-permission-for-others"):
            assert missing == operation.get("x-permission", ""), path
        if "x-permission" in operation:
            assert operation["security"] == [{"bearer": [missing]}]
        if "x-permission-for-others" in operation:
            assert f"`{operation['x-permission-for-others']}`" in operation["description"], path


async def test_routes_that_ask_for_a_permission_for_what_belongs_to_others_let_owners_and_staff_in(
    document: dict[str, Any],
) -> None:
    by_owner_or_staff = {
        route
        for route, status in MATRIX.items()
        if status["ada"] == status["staff"] == 200 and status["bob"] in {403, 404}
    }

    named = {
        (method, path) for method, path, operation in operations(document) if "x-permission-for-others" in operation
    }
    assert named == by_owner_or_staff | ENDED_BY_ITS_OWNER


KEYLESS = {
    ("PUT", "/api/overlays/{session_id}"),  # a stored answer would show the payload behind its end
    ("PUT", "/api/channels/{channel_id}/read"),  # a marker never goes back
    ("POST", "/api/rank/stage-room-match/verify"),  # it changes nothing
    ("POST", "/api/streams/session"),  # a stored answer would hold a cookie that has ended
}


async def test_every_unsafe_operation_of_a_caller_that_stores_its_answer_takes_an_idempotency_key(
    document: dict[str, Any],
) -> None:
    for method, path, operation in operations(document):
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        is_of_a_caller = operation.get("security") != []
        stores_answers = method in {"POST", "PUT", "PATCH"} and is_of_a_caller and (method, path) not in KEYLESS
        assert ("Idempotency-Key" in names) == stores_answers, path
        assert ("IDEMPOTENCY_MISMATCH" in str(operation["responses"])) == stores_answers, path


async def test_every_operation_has_a_name_and_a_sentence(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names))
    assert all(operation["description"].endswith(".") for _, _, operation in operations(document))


async def test_bodies_are_closed(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    for body in (
        "UpsertUser",
        "Nothing",
        "GrantBody",
        "RewardBody",
        "RewardChange",
        "OrderBody",
        "OrdersBody",
        "InviteBody",
        "CodeBody",
        "SignUpBody",
        "SignInBody",
        "AwardBody",
        "AccrualEvent",
        "AccrualEvents",
        "SlipBody",
        "CompletionBody",
        "PendingEvent",
        "FlagBody",
    ):
        assert schemas[body]["additionalProperties"] is False, body


async def test_problems_have_the_members_that_clients_rely_on(anyone: Caller, document: dict[str, Any]) -> None:
    problem = (await anyone.get("/nowhere")).json()

    assert set(problem) == {
        "type",
        "title",
        "status",
        "detail",
        "code",
        "error",
        "correlation_id",
        "retryable",
    }
    assert problem["error"] == problem["detail"]
    assert set(problem) == set(document["components"]["schemas"]["Problem"]["required"])


async def test_the_page_and_its_files_are_served_from_here_alone(anyone: Caller) -> None:
    page = await anyone.get("/schema")
    policy = page.headers["content-security-policy"]
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|\*", policy)
    assert sources
    for source in sources:
        if not source.startswith("data:"):
            # As a browser resolves it at /schema, without a slash at its end.
            assert (await anyone.get(urljoin("/schema", source))).status_code == 200, source
    assert "<script>" not in page.text


async def test_nothing_but_the_files_is_served_beside_the_page(anyone: Caller) -> None:
    for path in ("assets/", "assets/../documentation.py", "assets/%2e%2e/app.py", "assets/none.js"):
        assert (await anyone.get(f"/schema/{path}")).status_code == 404
