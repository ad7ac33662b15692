"""The examples of the document: each of them was sent and received, and every operation has one."""

from typing import Any

import pytest

from tallystick.entrypoints.http.document.examples import Example, examples
from tests.http.examples import recorded
from tests.http.openapi_document import operations
from tests.http.story import encoded
from tests.pages.openapi import EXAMPLES, read

REDIRECTS = {"follow_link"}
"""Operations whose reply has no body."""


@pytest.fixture(scope="module")
async def played() -> dict[str, Example]:
    """Return the examples as the service answers them now; each was compared with the document."""
    return await recorded(read())


async def test_every_example_is_what_the_service_answers(played: dict[str, Example]) -> None:
    assert encoded(played) == EXAMPLES.read_bytes(), (
        "replies have changed; write the examples anew: .venv/bin/python -m tests.pages.openapi"
    )


async def test_the_same_story_has_the_same_replies(played: dict[str, Example]) -> None:
    assert encoded(await recorded(read())) == encoded(played)


def test_every_operation_has_an_example() -> None:
    assert set(examples()) == {operation["operationId"] for _, _, operation in operations(read())}


@pytest.mark.parametrize("operation", [pytest.param(each, id=each["operationId"]) for _, _, each in operations(read())])
def test_the_document_shows_the_request_and_the_reply(operation: dict[str, Any]) -> None:
    example = examples()[operation["operationId"]]

    shown = {parameter["name"]: parameter["example"] for parameter in operation["parameters"] if "example" in parameter}
    assert shown == {**example.path, **{name: value for name, value in example.query.items() if name in shown}}
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]
        assert body["examples"] == {"request": {"value": example.body}}
    if operation["operationId"] not in REDIRECTS:
        (first, *_) = operation["responses"][str(example.status)]["content"].values()
        replies = example.reply if operation["operationId"].startswith("stream_") else [example.reply]
        assert [each["value"] for each in first["examples"].values()] == replies
