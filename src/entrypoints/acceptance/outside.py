"""The caller of an acceptance run: requests of users who are made for it and deleted at its end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Literal, NamedTuple, TypeVar

import httpx2

R = TypeVar("R")

_AT_ONCE = 32
_SECONDS = 10.0
MARK = "check-"
"""The id of each user of a run begins so."""

Sign = Callable[[str, Mapping[str, object]], str]
"""Returns a token of a user, with these claims besides those that every token needs."""


class Finding(NamedTuple):
    """The result of one check, with the figure that was measured."""

    state: Literal["ok", "no", "note"]
    figure: str


class Answer(NamedTuple):
    """An answer, and the time that it took."""

    status: int
    headers: httpx2.Headers
    content: bytes
    seconds: float

    @property
    def is_ok(self) -> bool:
        return self.status == HTTPStatus.OK

    def json(self) -> Any:
        return httpx2.Response(self.status, content=self.content).json()


class Unusable(Exception):
    """The server cannot be asked; the message says why."""


class Outside:
    """Requests to one address, at most so many at a time."""

    def __init__(self, http: httpx2.AsyncClient, sign: Sign, run: str, users: int) -> None:
        self._http, self._sign, self._run, self.users = http, sign, run, users
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._made: dict[str, None] = {}
        self.codes: dict[str, str] = {}
        """The code of each user who has asked for one."""

    @property
    def number_of_users(self) -> int:
        """The number of users that this run has named."""
        return len(self._made)

    @classmethod
    def client(cls, url: str) -> httpx2.AsyncClient:
        """Return a client of an address. A proxy of the environment is used, and no redirection is followed."""
        limits = httpx2.Limits(max_connections=_AT_ONCE)
        return httpx2.AsyncClient(base_url=url, timeout=_SECONDS, limits=limits, follow_redirects=False)

    def user(self, name: object) -> str:
        """Return the id of a user of this run."""
        user = f"{MARK}{self._run}-{name}"
        self._made[user] = None
        return user

    def bearer(self, user: str, **claims: object) -> dict[str, str]:
        """Return the headers of a user's request."""
        return {"authorization": f"Bearer {self._sign(user, claims)}"}

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, json: object = None
    ) -> Answer:
        """Send one request. Unusable where no answer comes."""
        async with self._turns:
            began = time.perf_counter()
            try:
                answer = await self._http.request(method, path, headers=dict(headers or {}), json=json)
            except httpx2.HTTPError as error:
                raise Unusable(f"{method} {path}: {type(error).__name__}") from error
            return Answer(answer.status_code, answer.headers, answer.content, time.perf_counter() - began)

    async def mint(self, user: str) -> Answer:
        """Ask for a user's link, and keep the code."""
        answer = await self.ask("GET", "/api/my-referral-link", headers=self.bearer(user))
        if answer.is_ok:
            self.codes[user] = answer.json()["referral_code"]
        return answer

    async def resolves(self, code: str) -> bool:
        """Return whether a code belongs to a user. Unusable where the server does not say."""
        answer = await self.ask("GET", f"/api/referral/resolve?code={code}")
        if not answer.is_ok:
            raise Unusable(f"GET /api/referral/resolve: {answer.status}")
        return bool(answer.json()["valid"])

    async def remove_users(self, progress: Callable[[float], None]) -> int:
        """Delete every user of this run; return how many are left."""
        done = 0

        async def remove(user: str) -> bool:
            nonlocal done
            headers = self.bearer(user, permissions=["admin:users"])
            answer = await self.ask("DELETE", f"/api/admin/users/{user}", headers=headers)
            done += 1
            progress(done)
            # A user who was named in a token and stored nothing is unknown.
            return answer.status in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}

        return (await together(remove(user) for user in self._made)).count(False)


async def together(awaitables: Iterable[Awaitable[R]]) -> list[R]:
    """Wait for all, and raise the first error once all have ended."""
    found = await asyncio.gather(*awaitables, return_exceptions=True)
    results: list[R] = []
    for each in found:
        if isinstance(each, BaseException):
            raise each
        results.append(each)
    return results
