"""Behind a server that drops a body: an announced body that did not arrive is never taken for an empty one."""

import json
from typing import Any

import pytest

from tests.http.services import Caller, bearer
from tests.unit.http.test_every_route import STAFF

UPGRADE = [(b"connection", b"Upgrade, HTTP2-Settings"), (b"upgrade", b"h2c")]


async def ask(anyone: Caller, method: str, path: str, arrives: bytes, *headers: tuple[bytes, bytes]) -> tuple[int, Any]:
    """Call the application as a server does, with a body of which only a part arrives."""
    app = anyone.http._transport.app  # type: ignore[attr-defined]  # the transport of this process
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": arrives, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    token = bearer("ada", *STAFF).encode()
    caller = [(b"host", b"x"), (b"authorization", token), (b"content-type", b"application/json")]
    place = {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""}
    await app(
        {
            "type": "http",
            "method": method,
            "scheme": "https",
            "http_version": "1.1",
            **place,
            "headers": [*caller, *headers],
            "client": ("203.0.113.7", 50000),
            "server": ("go.example.org", 443),
        },
        receive,
        send,
    )
    return sent[0]["status"], json.loads(sent[1]["body"] or b"{}")


@pytest.mark.parametrize("arrives", [b"", b"{}"])
@pytest.mark.parametrize("extra", [[], UPGRADE], ids=["plain", "upgrade"])
async def test_a_body_that_does_not_arrive_whole_is_refused_on_every_route_that_reads_one(
    anyone: Caller, arrives: bytes, extra: list[tuple[bytes, bytes]]
) -> None:
    document = (await anyone.get("/schema/openapi.json")).json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" in operation:
                target = path.replace("{", "").replace("}", "")
                answer = await ask(anyone, method.upper(), target, arrives, (b"content-length", b"34"), *extra)
                assert (answer[0], answer[1]["code"]) == (400, "INVALID_REQUEST"), (path, answer)
                assert "body was announced" in answer[1]["detail"], (path, answer)
                tried += 1
    assert tried


async def test_a_body_in_chunks_that_was_dropped_for_an_upgrade_is_refused(anyone: Caller) -> None:
    chunked = (b"transfer-encoding", b"chunked")

    refused = await ask(anyone, "POST", "/api/users/upsert", b"", chunked, *UPGRADE)

    assert (refused[0], refused[1]["code"]) == (400, "INVALID_REQUEST")
