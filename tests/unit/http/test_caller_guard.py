"""Every route checks caller, limit and permission before it reads a body."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import Response

from tallystick.application.limit_groups import LIMIT_GROUPS
from tests.http.services import Caller, Serve

MIB = 1024 * 1024
LIMITS = "; ".join(f"{group}=1/hour" for group in LIMIT_GROUPS if group != "account")
"""Each route is in one of these groups; `account` counts sign-in and passwords besides."""
UNLIMITED = {"/", "/healthz", "/readyz", "/metrics"}
"""Routes of operators and their machines."""


class Garbage:
    """A body of 1 MiB that is no JSON, and how much of it was read."""

    def __init__(self) -> None:
        self.read_bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(MIB // 4096):
            self.read_bytes += 4096
            yield b'["\\u0041",{},' * 315 + b" "


async def operations(anyone: Caller) -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path and operation of every documented route."""
    document = (await anyone.get("/schema/openapi.json")).json()
    return [
        (method.upper(), path.replace("{", "").replace("}", ""), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def permissions_of(operation: dict[str, Any]) -> list[str]:
    """Return the permissions that the document states for an operation."""
    return [name for each in operation.get("security", []) for name in each.get("bearer", [])]


async def garbage_sent(caller: Caller, method: str, path: str) -> tuple[Response, int]:
    """Return the answer to a body of garbage, and how many bytes of it were read."""
    garbage = Garbage()
    headers = {"content-type": "application/json", "content-length": str(MIB)}
    if caller._authorization is not None:
        headers["authorization"] = caller._authorization
    return await caller.http.request(method, path, content=garbage, headers=headers), garbage.read_bytes


async def test_nobody_is_refused_before_the_body_is_read(anyone: Caller) -> None:
    for method, path, operation in await operations(anyone):
        if operation.get("security") != []:
            refused, read_bytes = await garbage_sent(anyone, method, path)
            assert (refused.status_code, read_bytes) == (401, 0), (method, path)


async def test_a_caller_without_the_permission_is_refused_before_the_body_is_read(anyone: Caller) -> None:
    guarded = [each for each in await operations(anyone) if permissions_of(each[2])]
    assert len(guarded) > 15

    for method, path, operation in guarded:
        (permission,) = permissions_of(operation)
        refused, read_bytes = await garbage_sent(anyone.named("ada"), method, path)
        assert (refused.status_code, refused.json().get("permission")) == (403, permission), (method, path)
        assert read_bytes == 0, (method, path)
        assert f"Needs `{permission}`." in operation["description"]


@pytest.mark.parametrize("name", ["ada", None])
async def test_a_caller_past_the_limit_is_refused_before_the_body_is_read(serve: Serve, name: str | None) -> None:
    anyone = await serve(rate_limits=LIMITS)
    caller = anyone.named(name) if name is not None else anyone
    limited = [
        (method, path)
        for method, path, operation in await operations(anyone)
        # A stream is refused by its first event: a browser gives up on any other status than 200.
        if path not in UNLIMITED
        and operation.get("x-limit-group") != "stream"
        and (name is not None or operation.get("security") == [])
    ]
    for method, path in limited:  # the first call of each group is the one that its limit lets through
        await caller.call(method, path)

    for method, path in limited:
        refused, read_bytes = await garbage_sent(caller, method, path)
        assert (refused.status_code, read_bytes) == (429, 0), (method, path)
