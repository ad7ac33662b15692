"""The bound of a body, on every route with a body: a longer one is refused, and the rest of it is not read."""

from collections.abc import AsyncIterator

from tallystick.entrypoints.http.bodies import MAX_BODY_BYTES
from tallystick.entrypoints.http.routes.rewards import MAX_BATCH_BYTES
from tests.http.requests import almighty, operations
from tests.http.services import Caller

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
LARGER = {"/api/loyalty/accruals": MAX_BATCH_BYTES, "/api/rewards/purchases": MAX_BATCH_BYTES}
CHUNK_BYTES = 4096


class Endless:
    """A body that grows for as long as it is read, within reason, and how much of it was read."""

    def __init__(self) -> None:
        self.read_bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.read_bytes < 2 * MAX_BATCH_BYTES:
            self.read_bytes += CHUNK_BYTES
            yield b" " * CHUNK_BYTES


async def test_a_body_that_grows_past_the_bound_of_its_route_is_refused_and_not_read_on(anyone: Caller) -> None:
    staff = almighty(anyone)
    for operation in await operations(anyone):
        if operation.method not in UNSAFE:
            continue
        body, limit = Endless(), LARGER.get(operation.path, MAX_BODY_BYTES)
        headers = {"content-type": "application/json", "authorization": staff._authorization or ""}
        answer = await staff.http.request(operation.method, operation.target(), content=body, headers=headers)
        if operation.body() is None and body.read_bytes == 0:
            continue  # it takes no body, and reads none
        assert (answer.status_code, answer.json().get("limit_bytes")) == (413, limit), operation.path
        assert body.read_bytes <= limit + CHUNK_BYTES, operation.path


async def test_a_body_that_is_announced_too_large_is_refused_unread(anyone: Caller) -> None:
    staff = almighty(anyone)
    for operation in await operations(anyone):
        if operation.method in UNSAFE and operation.body() is not None:
            body, limit = Endless(), LARGER.get(operation.path, MAX_BODY_BYTES)
            headers = {"content-type": "application/json", "authorization": staff._authorization or ""}
            headers["content-length"] = str(limit + 1)
            answer = await staff.http.request(operation.method, operation.target(), content=body, headers=headers)
            assert (answer.status_code, body.read_bytes) == (413, 0), operation.path
