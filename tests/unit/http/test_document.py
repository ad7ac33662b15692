"""The OpenAPI document, part by part: what every operation, schema and reply has, so that the next one has it too."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from tallystick.domain.refusals import Failure
from tallystick.entrypoints.http.document.problem_schemas import facts_of
from tallystick.entrypoints.http.document.rendering import TAGS
from tallystick.entrypoints.http.document.vocabulary import VOCABULARY
from tests.failures import every_failure
from tests.http.openapi_document import found, operations
from tests.http.services import BASE_URL, Caller
from tests.pages.openapi import DOCUMENT, read

BOUNDS = {"minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems", "format"}
LONGEST_SUMMARY = 90
COMMITTED: dict[str, Any] = read()
OPERATIONS = [pytest.param(operation, id=operation["operationId"]) for _, _, operation in operations(COMMITTED)]
SCHEMAS: dict[str, Any] = COMMITTED["components"]["schemas"]
every_operation = pytest.mark.parametrize("operation", OPERATIONS)
every_schema = pytest.mark.parametrize("name", SCHEMAS)


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a part of the document, itself included; examples are values and no parts."""
    if isinstance(schema, dict):
        yield schema
        for name, part in schema.items():
            yield from parts(part) if name not in {"example", "examples"} else ()
    elif isinstance(schema, list):
        for part in schema:
            yield from parts(part)


def branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [*schema.get("oneOf", ()), *schema.get("anyOf", ())]


def references(schema: dict[str, Any]) -> set[str]:
    return {part["$ref"] for part in parts(schema) if "$ref" in part}


async def test_the_committed_document_is_that_of_this_version() -> None:
    from tallystick.entrypoints.cli.openapi import document  # noqa: PLC0415  beside what it is compared with

    assert DOCUMENT.read_bytes() == await document(), (
        "the API has changed; write its document anew: .venv/bin/python -m tests.pages.openapi"
    )


async def test_a_server_serves_the_same_document_with_its_own_address(anyone: Caller) -> None:
    served = (await anyone.get("/schema/openapi.json")).json()

    assert served["servers"] == [{"url": BASE_URL, "description": "This server."}]
    assert {**served, "servers": []} == {**COMMITTED, "servers": []}


def test_every_reference_leads_somewhere() -> None:
    for reference in references(COMMITTED):
        assert found(COMMITTED, {"$ref": reference}), reference


def test_every_component_is_used() -> None:
    used = references(COMMITTED)
    for kind in ("schemas", "responses", "parameters", "headers"):
        unused = {name for name in COMMITTED["components"][kind] if f"#/components/{kind}/{name}" not in used}
        assert unused == set()


def test_the_document_says_who_publishes_it_and_under_which_licence() -> None:
    assert COMMITTED["info"]["license"] == {"name": "MIT", "identifier": "MIT"}
    assert COMMITTED["info"]["contact"]["name"]
    assert {tag["name"] for tag in COMMITTED["tags"]} == set(TAGS)
    assert all(tag["description"].endswith(".") for tag in COMMITTED["tags"])


@every_operation
def test_every_operation_is_named_by_a_verb_and_a_noun_and_explained_to_people(operation: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"])
    assert 0 < len(operation["summary"]) <= LONGEST_SUMMARY
    assert operation["summary"][0].isupper()
    assert not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    assert len(operation["tags"]) == 1
    assert set(operation["tags"]) <= set(TAGS)


@every_operation
def test_every_parameter_has_a_description_and_a_schema(operation: dict[str, Any]) -> None:
    for parameter in operation["parameters"]:
        assert parameter["description"].endswith("."), parameter["name"]
        assert parameter["schema"], parameter["name"]


@every_operation
def test_a_body_is_one_of_objects_and_never_null(operation: dict[str, Any]) -> None:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    bodies = [found(COMMITTED, each) for each in branches(schema) or [schema]]

    assert all(body.get("type", "object") == "object" for body in bodies)


@every_operation
def test_every_reply_has_its_headers_and_every_failure_its_codes(operation: dict[str, Any]) -> None:
    for status, reply in operation["responses"].items():
        assert {"X-Correlation-Id", "Cache-Control"} <= set(reply["headers"])
        assert all(found(COMMITTED, header)["description"].endswith(".") for header in reply["headers"].values())
        if int(status) >= 400:
            schema = reply["content"]["application/problem+json"]["schema"]
            problems = [found(COMMITTED, each) for each in branches(schema) or [schema]]
            codes = {problem["allOf"][1]["properties"]["code"]["enum"][0] for problem in problems}
            assert codes == set(re.findall(r"[A-Z_]{4,}", reply["description"])), status
        if status in {"429", "503"}:
            assert "Retry-After" in reply["headers"]
        if status == "401":
            assert "WWW-Authenticate" in reply["headers"]


@every_schema
def test_every_member_has_a_description(name: str) -> None:
    for part in parts(SCHEMAS[name]):
        for member, schema in part.get("properties", {}).items():
            if isinstance(schema, dict) and "properties" in part and part.get("type") == "object":
                assert schema.get("description", "").endswith("."), f"{name}.{member}"


@every_schema
def test_every_component_has_a_description(name: str) -> None:
    assert SCHEMAS[name]["description"].endswith(".")


@every_schema
def test_every_integer_has_its_size_and_every_time_its_format(name: str) -> None:
    for part in parts(SCHEMAS[name]):
        if part.get("type") == "integer":
            assert part["format"] == "int64"
        for member, schema in part.get("properties", {}).items():
            if member.endswith(("_at", "_time", "At")) and name not in OF_A_PROVIDER:
                formats = {each.get("format") for each in branches(schema) or [schema] if each.get("type") != "null"}
                assert formats == {"date-time"}, f"{name}.{member}"


OF_A_PROVIDER = {"SupabaseUser"}
"""Schemas with times as a provider writes them, which may be empty texts."""


@every_schema
def test_bounds_stand_in_the_branch_that_they_bound(name: str) -> None:
    for part in parts(SCHEMAS[name]):
        if branches(part):
            assert not BOUNDS & part.keys()


def test_every_choice_between_objects_has_a_member_that_tells_them_apart() -> None:
    for part in parts(COMMITTED):
        objects = [each for each in part.get("oneOf", ()) if "$ref" in each]
        if not objects:
            continue
        member, mapping = part["discriminator"]["propertyName"], part["discriminator"]["mapping"]
        assert sorted(mapping.values()) == sorted(each["$ref"] for each in objects)
        for value, reference in mapping.items():
            chosen = found(COMMITTED, {"$ref": reference})
            schema = chosen.get("allOf", [chosen])[-1]
            assert member in schema["required"]
            assert schema["properties"][member].get("enum", [schema["properties"][member].get("const")]) == [value]


def test_no_schema_has_a_member_of_its_own_name() -> None:
    for name, schema in SCHEMAS.items():
        assert name.casefold() not in {member.casefold() for member in schema.get("properties", {})}, name


def test_every_page_names_the_type_of_its_items() -> None:
    pages = [schema for schema in SCHEMAS.values() if "next_cursor" in schema.get("properties", {})]

    assert len(pages) >= 10
    assert all("$ref" in page["properties"]["items"]["items"] for page in pages)


@pytest.mark.parametrize("failure", every_failure(), ids=lambda failure: str(failure.__name__))
def test_every_fact_of_a_failure_has_its_type(failure: type[Failure]) -> None:
    """The type checker compares the annotations with what is assigned."""
    assigned = {
        node.attr
        for owner in failure.__mro__
        if issubclass(owner, Failure) and "__init__" in owner.__dict__
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(owner.__dict__["__init__"]))))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and not node.attr.startswith("_")
    }

    assert set(facts_of(failure)) == assigned
    name = "".join(word.capitalize() for word in failure.code.split("_")) + "Problem"
    if name in SCHEMAS:  # a reason why points wait is no answer
        assert assigned <= set(SCHEMAS[name]["allOf"][1]["properties"])


def test_every_row_of_the_vocabulary_is_needed() -> None:
    text = json.dumps(COMMITTED)

    assert [name for name, said in VOCABULARY.items() if json.dumps(said)[1:-1] not in text] == []
