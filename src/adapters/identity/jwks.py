"""The provider's published keys: cached, refreshed in the background, rotated on demand."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import NamedTuple

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey

from tallystick.adapters.identity.tokens import PublishedKeys
from tallystick.adapters.telemetry.logs import logger
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.readiness import Fault
from tallystick.domain.tokens import IdentityKeysUnavailable

FRESH_SECONDS = 600.0
USABLE_SECONDS = 86_400.0
ASK_AGAIN_SECONDS = 30.0
"""How long after a fetch an unknown key id may cause the next one; also the longest pause after a failure."""
FIRST_PAUSE_SECONDS = 1.0
MAX_DOCUMENT_BYTES = 1 << 20
MAX_KEYS = 100
_TIMEOUT_SECONDS = 5.0
_READY_SECONDS = 1.0
_POLL_SECONDS = 1.0
_SHORTEST_RSA_BITS = 2048
_MOST_ABSENT, _LONGEST_ABSENT = 1000, 256

NO_KEY = "it publishes no key for RS256 (RSA of 2048 bits or more) or ES256 (P-256)"

Fetch = Callable[[], Awaitable[bytes]]


class JwksUnavailable(Exception):
    """The document of keys could not be fetched, or holds no key; the message says why."""


class Published(NamedTuple):
    """The keys that a document publishes."""

    keys: list[Key]
    """The keys that can be used here."""
    kids: frozenset[str]
    """The ids of all of its keys, usable here or not."""


class JwksCache(PublishedKeys):
    """Keys by id. Fresh keys are used, older keys are used while new ones are fetched, and no key is used after a day.

    After a failure the document is fetched again soon: after a second, then after pauses that double up to 30 seconds,
    each with jitter. An unknown id causes a fetch, at most one every 30 seconds, and all callers wait for the same
    fetch, so that made-up ids cost the provider nothing. Known ids are found meanwhile. A published symmetric key is
    refused: everybody who can read it could sign.
    """

    def __init__(self, fetch: Fetch, clock: Clock, metrics: Metrics, randomness: Randomness) -> None:
        self._fetch, self._clock, self._metrics, self._randomness = fetch, clock, metrics, randomness
        self._published = Published([], frozenset())
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._fetched_at: float | None = None
        self._may_ask_at = float("-inf")
        self._failures = 0
        self._cause = "they were not fetched yet"
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key with this id; where the token names no id, the only key that fits.

        IdentityKeysUnavailable where no keys were fetched, and where the id is unknown and the next fetch is not due.
        """
        has_asked = False
        if not self._is_usable():
            await self._ask()
            has_asked = True
        elif self._age() > FRESH_SECONDS:
            self._start()
        found = self._find(kid, algorithm)
        if found is None and kid is not None and self._is_new(kid):
            if not has_asked:
                await self._ask()
            found = self._find(kid, algorithm)
            self._note_absent(kid)
        return found

    async def faults(self) -> list[Fault]:
        """Return why tokens cannot be verified with published keys; empty where they can. Make a fetch that is due."""
        if not self._is_usable():
            task = self._start()
            if task is not None:
                await asyncio.wait({task}, timeout=_READY_SECONDS)
        if self._is_usable():
            return []
        reason = f"the identity provider's keys cannot be fetched from TALLYSTICK_JWKS_URL: {self._cause}"
        return [Fault("identity keys", reason)]

    async def run(self) -> None:
        """Keep the keys fresh until cancelled, also while no token arrives."""
        while True:
            if not self._is_usable() or self._age() > FRESH_SECONDS:
                self._start()
            await asyncio.sleep(_POLL_SECONDS)

    async def close(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _find(self, kid: str | None, algorithm: str) -> Key | None:
        kind = {"RS256": "RSA", "ES256": "EC"}.get(algorithm)
        fitting = [
            key for key in self._published.keys if key.key_type == kind and key.get("alg", algorithm) == algorithm
        ]
        if kid is not None:
            fitting = [key for key in fitting if key.kid == kid]
        return fitting[0] if len(fitting) == 1 else None

    def _is_new(self, kid: str) -> bool:
        """Return whether the provider may have published this key since the last fetch."""
        return kid not in self._published.kids and (kid not in self._absent or self._pause() <= 0)

    def _note_absent(self, kid: str) -> None:
        """Remember for a while that the provider has no key with this id."""
        if kid not in self._published.kids and len(kid) <= _LONGEST_ABSENT:
            self._absent[kid] = None
            if len(self._absent) > _MOST_ABSENT:
                self._absent.popitem(last=False)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    def _is_usable(self) -> bool:
        return self._age() <= USABLE_SECONDS

    def _pause(self) -> float:
        """Return how many seconds have to pass between two fetches."""
        return self._may_ask_at - self._clock.monotonic()

    def _start(self) -> asyncio.Task[None] | None:
        """Return the running fetch or a new one; None where the next fetch is not due."""
        if self._fetching is None or self._fetching.done():
            if self._pause() > 0:
                return None
            self._fetching = asyncio.create_task(self._load(), name="fetch published keys")
        return self._fetching

    async def _ask(self) -> None:
        """Wait for a fetch; IdentityKeysUnavailable where it fails or is not due."""
        task = self._start()
        if task is not None:
            await asyncio.shield(task)
        if task is None or self._failures:
            raise IdentityKeysUnavailable(max(1, ceil(self._pause())))

    async def _load(self) -> None:
        try:
            published = parse(await self._fetch())
        except JwksUnavailable as error:
            self._fail(str(error))  # the old keys are used until they are a day old
            return
        withdrawn, self._published = self._published.kids - published.kids, published
        for kid in withdrawn:
            self._note_absent(kid)
        if not published.keys:  # all of them were withdrawn
            self._fetched_at = None
            self._fail(NO_KEY)
            return
        if self._failures or self._fetched_at is None:
            logger().info("the identity provider's keys were fetched", keys=len(published.keys))
        now = self._clock.monotonic()
        self._fetched_at, self._may_ask_at, self._failures = now, now + ASK_AGAIN_SECONDS, 0
        self._metrics.count("identity_key_fetches", label="fetched")
        self._metrics.gauge("identity_keys_fetched_timestamp_seconds", self._clock.now().timestamp())

    def _fail(self, cause: str) -> None:
        self._cause = cause
        longest = min(ASK_AGAIN_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10))
        pause = longest * (1 + self._randomness.fraction()) / 2
        self._failures += 1
        self._may_ask_at = self._clock.monotonic() + pause
        self._metrics.count("identity_key_fetches", label="failed")
        logger().warning(
            "the identity provider's keys cannot be fetched",
            cause=cause,
            setting="TALLYSTICK_JWKS_URL",
            failures=self._failures,
            asked_again_in_seconds=round(pause, 1),
            known_keys_serve_for_seconds=round(max(0.0, USABLE_SECONDS - self._age())),
            action="run `tallystick check` where this runs; new keys cannot be verified until a fetch succeeds",
        )


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
                    raise JwksUnavailable(_status(response))
                document = b""
                async for chunk in response.aiter_bytes():
                    document += chunk
                    if len(document) > MAX_DOCUMENT_BYTES:
                        raise JwksUnavailable(f"it answers with more than {MAX_DOCUMENT_BYTES} bytes")
                return document
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError, ValueError) as error:
            raise JwksUnavailable(_words(error)) from error

    return fetch


async def fetch_keys(url: str) -> list[Key]:
    """Fetch the usable keys once; JwksUnavailable says why there is none."""
    keys = parse(await over_http(url)()).keys
    if not keys:
        raise JwksUnavailable(NO_KEY)
    return keys


def _status(response: httpx2.Response) -> str:
    """Return the status in the server's words."""
    words = "".join(letter for letter in response.reason_phrase if letter.isprintable())[:100]
    text = f"it answers with status {response.status_code} {words}".rstrip()
    return f"{text}, and redirects are not followed" if response.is_redirect else text


def _words(error: Exception) -> str:
    """Return the message of the operating system or of the TLS library, or else the type of the error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"{type(error).__name__}: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {error}".rstrip(": ")


def parse(document: bytes) -> Published:
    """Return the keys of a document; JwksUnavailable where the document is not a list of keys."""
    try:
        content = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise JwksUnavailable("it answers with something that is no JSON") from error
    entries = content.get("keys") if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
        raise JwksUnavailable("it answers with JSON that has no list of keys")
    found = [entry for entry in entries if isinstance(entry, dict)]
    if len(found) > MAX_KEYS:
        logger().warning("the identity provider publishes more keys than are used", published=len(found), used=MAX_KEYS)
    keys = [_import(entry) for entry in found[:MAX_KEYS]]
    kids = frozenset(kid for entry in found if isinstance(kid := entry.get("kid"), str))
    return Published([key for key in keys if key is not None], kids)


def _import(entry: Mapping[object, object]) -> Key | None:
    """Return a public key for signatures; None for every other entry, which has another purpose."""
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
