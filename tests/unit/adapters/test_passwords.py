"""Passwords: argon2id at the cost that was chosen, the same work for everybody, and a bounded queue."""

import asyncio
import re
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

import pytest

from tallystick.adapters.identity import passwords as adapter
from tallystick.adapters.identity.passwords import MAX_WAITING, Argon2Passwords
from tallystick.domain.refusals import Overloaded

PASSWORD = "a good password"
COST = re.compile(r"\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}\Z")


class HeldThreads:
    """Threads that finish nothing before the test lets them."""

    def __init__(self) -> None:
        self.held: list[Future[Any]] = []

    def submit(self, work: Any, *_: Any) -> Future[Any]:
        self.held.append(Future())
        return self.held[-1]

    def shutdown(self, **_: Any) -> None: ...

    def finish(self) -> None:
        """Finish every waiting call."""
        while self.held:
            self.held.pop().set_result("done")


@pytest.fixture
async def passwords() -> AsyncIterator[Argon2Passwords]:
    made = Argon2Passwords()
    yield made
    made.close()


async def test_a_password_matches_its_hash_and_nothing_else(passwords: Argon2Passwords) -> None:
    hashed = await passwords.hashed(PASSWORD)

    assert await passwords.matches(PASSWORD, hashed)
    for other in ("", "A good password", f"{PASSWORD} ", hashed):
        assert not await passwords.matches(other, hashed)


async def test_a_hash_states_the_cost_and_never_the_password(passwords: Argon2Passwords) -> None:
    hashed = await passwords.hashed(PASSWORD)

    assert COST.match(hashed)
    assert PASSWORD not in hashed


async def test_one_password_twice_has_two_hashes(passwords: Argon2Passwords) -> None:
    assert await passwords.hashed(PASSWORD) != await passwords.hashed(PASSWORD)


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$v=19$m=19456,t=2,p=1$AAAA", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_a_text_that_is_no_hash_matches_nothing(passwords: Argon2Passwords, stored: str) -> None:
    assert not await passwords.matches(PASSWORD, stored)


async def test_where_there_is_no_hash_the_same_work_is_done_and_nothing_matches(
    passwords: Argon2Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def compare(_password: str, password_hash: str) -> bool:
        compared.append(password_hash)
        return True

    monkeypatch.setattr(adapter, "_matches", compare)

    assert not await passwords.matches(PASSWORD, None)
    assert len(compared) == 1
    assert COST.match(compared[0])


async def test_past_the_queue_one_more_is_shed_and_room_is_given_back(passwords: Argon2Passwords) -> None:
    threads = HeldThreads()
    passwords.close()
    passwords._threads = threads  # type: ignore[assignment]  # threads that the test drives
    waiting = [asyncio.ensure_future(passwords.hashed(PASSWORD)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)  # each of them takes its place
    assert len(threads.held) == MAX_WAITING

    with pytest.raises(Overloaded):
        await passwords.hashed(PASSWORD)
    with pytest.raises(Overloaded):
        await passwords.matches(PASSWORD, None)

    threads.finish()
    await asyncio.gather(*waiting)
    again = asyncio.ensure_future(passwords.hashed(PASSWORD))
    await asyncio.sleep(0)
    threads.finish()
    assert await again == "done"


async def test_however_a_keyboard_spells_a_letter_it_is_the_same_password() -> None:
    passwords = Argon2Passwords()
    try:
        assert await passwords.matches("caf\u00e9 au lait", await passwords.hashed("cafe\u0301 au lait"))
    finally:
        passwords.close()
