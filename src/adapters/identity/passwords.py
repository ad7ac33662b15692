"""Passwords: argon2id, on a few threads, with a bounded queue before them."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tallystick.domain.identity import Passwords
from tallystick.domain.refusals import Overloaded

T = TypeVar("T")

# OWASP's first choice for argon2id; RFC 9106's would take three times the memory for each sign-in.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_THREADS = 2
MAX_WAITING = 64
"""How many hashes may wait for a thread; one more is rejected, because each hash takes some 20 ms of a processor."""


class Argon2Passwords(Passwords):
    """Hashes and checks passwords on threads, so that other requests go on."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobodys = _hash_of_nobody()

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hashed(self, password: str) -> str:
        return await self._run(lambda: _HASHER.hash(_composed(password)))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        is_right = await self._run(lambda: _matches(_composed(password), password_hash or self._nobodys))
        return is_right and password_hash is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Overloaded(cause="passwords")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


@cache
def _hash_of_nobody() -> str:
    return _HASHER.hash("the password of nobody")


def _composed(password: str) -> str:
    """Return the composed form of a password: keyboards send the same letter in different forms."""
    return unicodedata.normalize("NFC", password)


def _matches(password: str, password_hash: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
