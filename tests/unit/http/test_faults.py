"""Faults of bodies: all of them at once, each with its place and a sentence for people, on every route."""

import re
from itertools import pairwise
from typing import Any

import pytest

from tests.http.requests import SECRET, Operation, almighty, operations, wrong_values
from tests.http.services import Caller, Serve

A_PATTERN = re.compile(r"[\\^$*{}\[\]`]|\(\?|\.\+")
ALSO_REQUIRED = {"/api/auth/complete-phone-signup": {"email", "password"}}
"""Needed where no identity provider holds them."""


def assert_is_for_people(fault: dict[str, Any]) -> None:
    place = "pointer" if fault["in"] == "body" else "name"
    assert set(fault) == {"in", place, "message"}
    assert not A_PATTERN.search(fault["message"]), fault
    assert SECRET not in str(fault), fault
    assert re.search(r" is needed$|^it |known are: |^a number in it ", fault["message"]), fault


def pointers(errors: list[dict[str, Any]]) -> set[str]:
    for fault in errors:
        assert_is_for_people(fault)
    return {fault["pointer"] for fault in errors if fault["in"] == "body"}


@pytest.fixture
async def with_bodies(anyone: Caller) -> list[tuple[Operation, dict[str, Any]]]:
    found = [(each, each.body()) for each in await operations(anyone)]
    bodies = [(each, body) for each, body in found if body is not None]
    assert len(bodies) > 12
    return bodies


async def test_every_wrong_field_is_named_at_once_with_those_that_are_missing_and_unknown(
    anyone: Caller, with_bodies: list[tuple[Operation, dict[str, Any]]]
) -> None:
    for operation, schema in with_bodies:
        wrong = {name: list(wrong_values(operation, each)) for name, each in schema.get("properties", {}).items()}
        required = set(schema.get("required", ())) | ALSO_REQUIRED.get(operation.path, set())
        for round_ in range(max(map(len, wrong.values()), default=1)):
            body = {name: values[round_ % len(values)] for name, values in wrong.items()}
            refused = await almighty(anyone).call(operation.method, operation.target(), body={**body, "no_field": 1})
            assert refused.status_code == 400, (operation.path, body, refused.text)
            found = pointers(refused.json()["errors"])
            assert {pointer for pointer in found if pointer.count("/") == 1} == {
                f"/{name}" for name in [*body, "no_field"]
            }

        nothing = await almighty(anyone).call(operation.method, operation.target(), body={"no_field": 1})
        assert pointers(nothing.json()["errors"]) == {"/no_field", *(f"/{name}" for name in required)}


async def test_two_wrong_fields_of_two_entries_of_a_batch_are_named(
    anyone: Caller, with_bodies: list[tuple[Operation, dict[str, Any]]]
) -> None:
    batches = 0
    for operation, schema in with_bodies:
        for name, each in schema.get("properties", {}).items():
            if operation.resolved(each).get("type") != "array":
                continue
            batches += 1
            item = operation.resolved(operation.resolved(each)["items"])
            wrong = [(field, bad) for field, of in item["properties"].items() for bad in wrong_values(operation, of)]
            for (one, bad), (other, worse) in pairwise(wrong):
                body = {name: [{}, {one: bad, "no_field": 1}, {other: worse}]}
                refused = await almighty(anyone).call(operation.method, operation.target(), body=body)
                assert refused.status_code == 400
                assert pointers(refused.json()["errors"]) == {
                    *(f"/{field}" for field in schema["required"] if field != name),
                    *(f"/{name}/{number}/{field}" for number in range(3) for field in item["required"]),
                    *(f"/{name}/1/{one}", f"/{name}/1/no_field", f"/{name}/2/{other}"),
                }
    assert batches == 4


async def test_faults_of_parameters_headers_and_body_come_together(anyone: Caller) -> None:
    refused = await almighty(anyone).call(
        "PATCH", "/api/rewards/%00?no_parameter=1", body={"name": 7, "cost": 0}, headers={"idempotency-key": "a b"}
    )

    places = [(each["in"], each.get("pointer", each.get("name"))) for each in refused.json()["errors"]]
    assert refused.status_code == 400
    assert places == [
        ("path", "reward_id"),
        ("query", "no_parameter"),
        ("header", "Idempotency-Key"),
        ("body", "/name"),
        ("body", "/cost"),
    ]


async def test_at_most_a_hundred_faults_are_listed(anyone: Caller) -> None:
    unknown = await anyone.named("ada").post("/api/users/upsert", {f"field_{number}": 1 for number in range(500)})
    batch = await almighty(anyone).post("/api/loyalty/accruals", {"events": [{}] * 1000})

    assert [len(refused.json()["errors"]) for refused in (unknown, batch)] == [100, 100]
    assert len(batch.json()["detail"]) < 500


@pytest.mark.parametrize("name", ["ada@example.org", "+4512345678", "x" * 65, "ABCD 1234", ""])
async def test_a_name_that_cannot_be_a_field_is_not_repeated(anyone: Caller, name: str) -> None:
    refused = await anyone.named("ada").post("/api/users/upsert", {name: 1})

    (fault,) = refused.json()["errors"]
    assert (refused.status_code, fault["pointer"]) == (400, "")
    assert not name or name not in refused.text


async def test_a_body_of_another_shape_is_one_fault(anyone: Caller) -> None:
    for body in (b"[]", b'"x"', b"7", b"null", b"true"):
        refused = await almighty(anyone).call("POST", "/api/rewards", raw=body)
        assert refused.json()["errors"] == [{"in": "body", "pointer": "", "message": "a JSON object is needed"}]


async def test_fields_that_an_identity_provider_holds_are_named_beside_other_faults(serve: Serve) -> None:
    anyone = await serve(identity="external")

    refused = await anyone.named("ada").post(
        "/api/auth/complete-phone-signup", {"email": "ada@example.org", "password": "a good password"}
    )

    assert pointers(refused.json()["errors"]) == {
        *("/userId", "/username", "/displayName", "/inviteCode", "/phone"),
        *("/email", "/password"),
    }
