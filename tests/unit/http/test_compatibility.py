"""The compatibility of the API with the last release: no breaking change goes without a word in the changelog."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.http.compatibility import Break, breaks, unreleased
from tests.pages.openapi import read

ROOT = Path(__file__).parents[3]
RELEASES = sorted(
    (ROOT / "docs/releases").glob("openapi-*.json"),
    key=lambda path: [*map(int, path.stem.removeprefix("openapi-").split("."))],
)
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
Document = dict[str, Any]
GRANT, PURCHASE, CHANGE = (
    "POST /api/credits/grants",
    "POST /api/rewards/{reward_id}/purchase",
    "PATCH /api/rewards/{reward_id}",
)


def schema(document: Document, name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def operation(document: Document, route: str) -> dict[str, Any]:
    method, path = route.split(" ")
    found: dict[str, Any] = document["paths"][path][method.lower()]
    return found


def removed_operation(document: Document) -> None:
    del document["paths"]["/api/me"]


def removed_status(document: Document) -> None:
    del operation(document, PURCHASE)["responses"]["402"]


def removed_member_of_a_reply(document: Document) -> None:
    del schema(document, "Purchase")["properties"]["cost"]


def renamed_member_of_a_reply(document: Document) -> None:
    members = schema(document, "Purchase")["properties"]
    members["price"] = members.pop("cost")


def member_of_a_reply_that_may_be_absent(document: Document) -> None:
    schema(document, "Purchase")["required"].remove("cost")


def member_of_a_reply_that_may_be_null(document: Document) -> None:
    members = schema(document, "Purchase")["properties"]
    members["cost"] = {"anyOf": [members["cost"], {"type": "null"}]}


def member_of_a_reply_of_another_type(document: Document) -> None:
    schema(document, "Purchase")["properties"]["cost"]["type"] = "string"


def further_value_in_a_reply(document: Document) -> None:
    schema(document, "SlipView")["properties"]["state"]["enum"].append("lost")


def removed_alternative_of_a_reply(document: Document) -> None:
    del schema(document, "PurchasedOrder")["properties"]["balance_after"]


def member_that_a_request_needs(document: Document) -> None:
    body = schema(document, "GrantBody")
    body["properties"]["unit"] = {"type": "string"}
    body["required"].append("unit")


def member_that_a_request_needs_now(document: Document) -> None:
    schema(document, "AccrualEvent")["required"].append("reason")


def removed_member_of_a_request(document: Document) -> None:
    del schema(document, "GrantBody")["properties"]["reason"]


def narrower_type_of_a_request(document: Document) -> None:
    members = schema(document, "RewardChange")["properties"]
    members["description"] = members["description"]["anyOf"][0]


def fewer_values_of_a_request(document: Document) -> None:
    schema(document, "RoleBody")["properties"]["role"]["enum"].remove("owner")


def smaller_bound_of_a_request(document: Document) -> None:
    schema(document, "GrantBody")["properties"]["amount"]["maximum"] = 10


def new_pattern_of_a_request(document: Document) -> None:
    schema(document, "GrantBody")["properties"]["reason"]["pattern"] = "^[a-z]+$"


def body_that_is_needed_now(document: Document) -> None:
    operation(document, PURCHASE)["requestBody"]["required"] = True


def removed_parameter(document: Document) -> None:
    parameters = operation(document, "GET /api/rewards")["parameters"]
    parameters[:] = [each for each in parameters if each["name"] != "cursor"]


def parameter_that_is_needed_now(document: Document) -> None:
    for each in operation(document, "GET /api/rewards")["parameters"]:
        each["required"] = True


def parameter_of_another_type(document: Document) -> None:
    for each in operation(document, "GET /api/rewards")["parameters"]:
        each["schema"]["type"] = "boolean"


BREAKING: dict[Callable[[Document], None], Break] = {
    removed_operation: Break("GET /api/me", "", "the operation is gone"),
    removed_status: Break(PURCHASE, "402", "the status is gone"),
    removed_member_of_a_reply: Break(PURCHASE, "cost", "the member of the reply is gone"),
    renamed_member_of_a_reply: Break(PURCHASE, "cost", "the member of the reply is gone"),
    member_of_a_reply_that_may_be_absent: Break(PURCHASE, "cost", "the member of the reply may be absent"),
    member_of_a_reply_that_may_be_null: Break(PURCHASE, "cost", "its values are others in the reply"),
    member_of_a_reply_of_another_type: Break(PURCHASE, "cost", "its values are others in the reply"),
    further_value_in_a_reply: Break("GET /api/rating-slips", "state", "its values are others in the reply"),
    removed_alternative_of_a_reply: Break(
        "POST /api/rewards/purchases", "balance_after", "the member of the reply is gone"
    ),
    member_that_a_request_needs: Break(GRANT, "unit", "the member of the request is required"),
    member_that_a_request_needs_now: Break(
        "POST /api/loyalty/accruals", "reason", "the member of the request is required"
    ),
    removed_member_of_a_request: Break(GRANT, "reason", "the member of the request is gone"),
    narrower_type_of_a_request: Break(CHANGE, "description", "its values are others in the request"),
    fewer_values_of_a_request: Break(
        "PUT /api/channels/{channel_id}/members/{user_id}", "role", "its values are others in the request"
    ),
    smaller_bound_of_a_request: Break(GRANT, "amount", "maximum is 10"),
    new_pattern_of_a_request: Break(GRANT, "reason", "the pattern is another"),
    body_that_is_needed_now: Break(PURCHASE, "body", "the body is required"),
    removed_parameter: Break("GET /api/rewards", "cursor", "the parameter is gone"),
    parameter_that_is_needed_now: Break("GET /api/rewards", "limit", "the parameter is required"),
    parameter_of_another_type: Break("GET /api/rewards", "limit", "its values are others in the request"),
}


def test_the_changelog_names_every_breaking_change_since_the_last_release() -> None:
    last = json.loads(RELEASES[-1].read_text(encoding="utf-8"))
    changes = unreleased(CHANGELOG)

    assert [str(each) for each in breaks(last, read()) if not each.is_named_by(changes)] == [], (
        "name route and subject in backticks, in one item of CHANGELOG.md under Unreleased"
    )


def test_each_release_of_the_changelog_has_its_document() -> None:
    released = {part.split(" ")[0] for part in CHANGELOG.split("\n## ")[1:]} - {"Unreleased\n\n###"}
    versions = {path.stem.removeprefix("openapi-") for path in RELEASES}

    assert {version for version in released if version[0].isdigit()} == versions


def test_a_document_is_compatible_with_itself() -> None:
    assert breaks(read(), read()) == []


@pytest.mark.parametrize("change", BREAKING, ids=lambda change: str(change.__name__))
def test_a_breaking_change_is_found(change: Callable[[Document], None]) -> None:
    changed = deepcopy(read())
    change(changed)

    assert BREAKING[change] in breaks(read(), changed)


def test_what_older_clients_do_not_notice_is_no_breaking_change() -> None:
    changed = deepcopy(read())
    changed["paths"]["/api/new"] = {"get": operation(changed, "GET /api/me")}
    operation(changed, PURCHASE)["responses"]["418"] = operation(changed, PURCHASE)["responses"]["402"]
    schema(changed, "Purchase")["properties"]["note"] = {"type": "string"}
    schema(changed, "GrantBody")["properties"]["note"] = {"type": "string"}
    schema(changed, "GrantBody")["properties"]["amount"]["maximum"] *= 2
    schema(changed, "RoleBody")["properties"]["role"]["enum"].append("guest")
    schema(changed, "SlipView")["properties"]["state"]["enum"].remove("open")
    schema(changed, "GrantBody")["required"].remove("reason")
    schema(changed, "GrantBody")["description"] = "Other words."

    assert breaks(read(), changed) == []


@pytest.mark.parametrize(
    ("item", "is_named"),
    [
        ("- `GET /api/rewards`: the parameter `cursor` is gone.\n", True),
        ("- The parameter\n  `cursor` of `GET /api/rewards` is gone.\n", True),
        ("- `GET /api/rewards` has changed.\n", False),
        ("- `GET /api/rewards` has changed.\n- `cursor` is gone.\n", False),
        ("- GET /api/rewards: cursor is gone.\n", False),
    ],
)
def test_a_change_is_named_by_route_and_subject_in_one_item(item: str, *, is_named: bool) -> None:
    change = Break("GET /api/rewards", "cursor", "the parameter is gone")

    assert change.is_named_by(f"## Unreleased\n\n{item}") is is_named
