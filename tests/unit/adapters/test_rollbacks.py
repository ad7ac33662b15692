"""A rollback on a connection that is beyond it: the connection goes, and what had happened stays what it is."""

import asyncio

import asyncpg
import pytest

from tallystick.adapters.postgres import transactions as module
from tallystick.adapters.postgres.transactions import _roll_back


class Broken:
    """A connection whose every statement fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.is_terminated = False

    def is_closed(self) -> bool:
        return False

    async def execute(self, _statement: str) -> str:
        raise self._error

    def terminate(self) -> None:
        self.is_terminated = True


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError(),
        asyncpg.PostgresConnectionError(),
        asyncpg.InterfaceError("the connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
    ],
    ids=repr,
)
async def test_it_is_dropped_and_nothing_is_raised(error: Exception) -> None:
    connection = Broken(error)

    await _roll_back(connection)  # type: ignore[arg-type]  # stands in for one

    assert connection.is_terminated


async def test_one_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Broken):
        async def execute(self, _statement: str) -> str:
            await asyncio.Event().wait()
            raise self._error

    monkeypatch.setattr(module, "_ROLLBACK_SECONDS", 0.01)
    connection = Hanging(AssertionError("it was waited for"))

    async with asyncio.timeout(10):
        await _roll_back(connection)  # type: ignore[arg-type]  # stands in for one

    assert connection.is_terminated
