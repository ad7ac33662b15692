"""The provider's published keys: cached, refreshed in the background, rotated on demand."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey

from application.ports import Clock
from domain.refusals import Overloaded

FRESH_SECONDS = 600.0
USABLE_SECONDS = 86_400.0
ASK_AGAIN_SECONDS = 30.0
MAX_DOCUMENT_BYTES = 1 << 20
MAX_KEYS = 100
_TIMEOUT_SECONDS = 5.0
_SHORTEST_RSA_BITS = 2048

Fetch = Callable[[], Awaitable[bytes]]


class JwksUnavailable(Exception):
    """The document of keys could not be had."""


class JwksCache:
    """Keys by id. Young ones are used as they are, older ones while new ones are fetched, none after a day.

    An unknown id asks for the document again, at most every 30 seconds and once for all who wait. Symmetric keys from
    the net are refused: whoever can read them could sign.
    """

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch, self._clock = fetch, clock
        self._keys: list[Key] = []
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key with this id, or the only one that fits where the token names none.

        Overloaded where the document was never had, or not for a day.
        """
        age = self._age()
        if age is None or age > USABLE_SECONDS:
            self._keys = []
            await self._refresh()
            age = self._age()
            if age is None or age > USABLE_SECONDS:
                raise Overloaded("the identity provider's keys cannot be had at the moment; ask again")
        elif age > FRESH_SECONDS:
            self._start()
        found = self._find(kid, algorithm)
        if found is None:
            await self._refresh()
            found = self._find(kid, algorithm)
        return found

    async def close(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _find(self, kid: str | None, algorithm: str) -> Key | None:
        kind = {"RS256": "RSA", "ES256": "EC"}.get(algorithm)
        fitting = [key for key in self._keys if key.key_type == kind and key.get("alg", algorithm) == algorithm]
        if kid is not None:
            fitting = [key for key in fitting if key.kid == kid]
        return fitting[0] if len(fitting) == 1 else None

    def _age(self) -> float | None:
        return None if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    def _start(self) -> asyncio.Task[None] | None:
        """Fetch in the background, unless that was just done."""
        now = self._clock.monotonic()
        if self._fetching is None or self._fetching.done():
            if self._asked_at is not None and now - self._asked_at < ASK_AGAIN_SECONDS:
                return None
            self._asked_at = now
            self._fetching = asyncio.create_task(self._load(), name="fetch published keys")
        return self._fetching

    async def _refresh(self) -> None:
        task = self._start()
        if task is not None:
            await asyncio.shield(task)

    async def _load(self) -> None:
        try:
            self._keys = _parse(await self._fetch())
        except JwksUnavailable:
            return  # the old keys serve until they are a day old
        self._fetched_at = self._clock.monotonic()


def over_http(url: str) -> Fetch:
    """Return how to fetch a document: no redirects, no proxies from the environment, bounded in time and size."""

    async def fetch() -> bytes:
        try:
            async with (
                asyncio.timeout(2 * _TIMEOUT_SECONDS),
                httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=_TIMEOUT_SECONDS) as client,
                client.stream(
                    "GET", url, headers={"accept": "application/json", "accept-encoding": "identity"}
                ) as response,
            ):
                if response.status_code != httpx2.codes.OK:
                    raise JwksUnavailable(f"status {response.status_code}")
                document = b""
                async for chunk in response.aiter_bytes():
                    document += chunk
                    if len(document) > MAX_DOCUMENT_BYTES:
                        raise JwksUnavailable("too long")
                return document
        except (httpx2.HTTPError, TimeoutError, OSError) as error:
            raise JwksUnavailable(type(error).__name__) from error

    return fetch


def _parse(document: bytes) -> list[Key]:
    try:
        content = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise JwksUnavailable("no JSON") from error
    entries = content.get("keys") if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
        raise JwksUnavailable("no document of keys")
    keys = [_import(entry) for entry in entries[:MAX_KEYS] if isinstance(entry, dict)]
    return [key for key in keys if key is not None]


def _import(entry: Mapping[object, object]) -> Key | None:
    """Return a public key that signs; None for every other entry, which is somebody else's."""
    texts = {name: value for name, value in entry.items() if isinstance(name, str) and isinstance(value, str)}
    if texts.get("use", "sig") != "sig":
        return None
    try:
        if texts.get("kty") == "RSA":
            rsa = RSAKey.import_key({name: texts[name] for name in ("kty", "n", "e", "kid", "alg") if name in texts})
            return rsa if rsa.raw_value.key_size >= _SHORTEST_RSA_BITS else None
        if texts.get("kty") == "EC" and texts.get("crv") == "P-256":
            names = ("kty", "crv", "x", "y", "kid", "alg")
            return ECKey.import_key({name: texts[name] for name in names if name in texts})
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None
