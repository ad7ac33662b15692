"""Sliding-window limits by group and caller."""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Any
from urllib.parse import unquote, urlsplit

from limits import RateLimitItem, parse_many
from limits.aio.storage import RedisStorage
from limits.errors import StorageError
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.exceptions import ValkeyError

from tallystick.adapters.rate_limits.breaker import Breaker
from tallystick.adapters.rate_limits.counters import Counters, LocalCounters
from tallystick.application.limit_groups import LIMIT_GROUPS, LimitGroup
from tallystick.application.ports import Allowance, Clock, LimiterUnavailable, Metrics, RateLimiter

IN_MEMORY = "memory://"
_STORAGE_SECONDS = 0.5
_MAX_CONNECTIONS = 32


class SlidingWindows(RateLimiter):
    """Counts requests. While shared counters fail, groups that may be counted in this process are counted there.

    After a few failures in a row, requests do not wait for the shared counters.
    """

    def __init__(
        self, limits: Mapping[LimitGroup, str], clock: Clock, metrics: Metrics, *, storage: str = IN_MEMORY
    ) -> None:
        self._limits: dict[LimitGroup, list[RateLimitItem]] = {
            group: parse_many(expression) for group, expression in limits.items()
        }
        self._policies = {group: _policy(group, items) for group, items in self._limits.items()}
        self._metrics = metrics
        self._local = LocalCounters(clock)
        self._shared: Counters = self._local
        self._breaker = Breaker(clock)
        self._pool: BlockingConnectionPool | None = None
        if storage != IN_MEMORY:
            self._pool = _connections(storage)
            # The pool is passed as an option, which is typed for plain values only.
            options: dict[str, Any] = {"connection_pool": self._pool}
            self._shared = RedisStorage("async+valkey://", wrap_exceptions=True, **options)
            metrics.watch("limit_storage_paused", lambda: self._breaker.is_open)

    async def close(self) -> None:
        """Close the connections to the shared counters."""
        if self._pool is not None:
            await self._pool.aclose()

    async def hit(self, group: LimitGroup, identity: str) -> Allowance | None:
        """Count one request; None where the group is unlimited.

        LimiterUnavailable where shared counters cannot be reached and the group must be counted.
        """
        items = self._limits.get(group)
        if items is None:
            return None
        if not self._breaker.may_ask():
            return await self._without_storage(group, items, identity)
        try:
            allowance = await self._hit(self._shared, group, items, identity)
        except StorageError as error:
            self._breaker.failed(error)
            return await self._without_storage(group, items, identity, error)
        self._breaker.succeeded()
        return allowance

    async def _without_storage(
        self, group: LimitGroup, items: Sequence[RateLimitItem], identity: str, error: StorageError | None = None
    ) -> Allowance:
        self._metrics.count("limit_storage_failures", label=group)
        if LIMIT_GROUPS[group].fails_closed:
            raise LimiterUnavailable from error
        return await self._hit(self._local, group, items, identity)

    async def _hit(
        self, counters: Counters, group: LimitGroup, items: Sequence[RateLimitItem], identity: str
    ) -> Allowance:
        """Count against every limit of the group, and return the tightest one.

        This is the sliding-window strategy of `limits`, with the key and the windows read once.
        """
        allowed, remaining, reset = True, items[0].amount, 0.0
        for item in items:
            expiry = item.get_expiry()
            key = f"{group}/{identity}/{item.amount}/{expiry}"
            allowed = await counters.acquire_sliding_window_entry(key, item.amount, expiry) and allowed
            previous, previous_ttl, current, current_ttl = await counters.get_sliding_window(key, expiry)
            left = max(0, item.amount - floor(previous * previous_ttl / expiry + current))
            if left <= remaining:
                remaining, reset = left, current_ttl % expiry
        if not allowed:
            self._metrics.count("limit_hits", label=group)
        return Allowance(allowed, self._policies[group], remaining if allowed else 0, max(1, ceil(reset)))


async def storage_fault(storage: str) -> str | None:
    """Return why shared counters cannot be reached; None where they can be, or where this process counts."""
    if storage == IN_MEMORY:
        return None
    pool = _connections(storage)
    try:
        await Valkey(connection_pool=pool).ping()
    except (ValkeyError, OSError) as error:
        return f"{_sentence(error, storage)}; check host, port and password"
    finally:
        await pool.aclose()
    return None


def _sentence(error: Exception, storage: str) -> str:
    """Return the first line of the error, without the password of the address."""
    password = urlsplit(storage).password or ""
    line = str(error).partition("\n")[0].strip().removesuffix(".") or type(error).__name__
    for secret in {password, unquote(password)} - {""}:
        line = line.replace(secret, "***")
    return line


def _policy(group: LimitGroup, items: Sequence[RateLimitItem]) -> bytes:
    return ", ".join(f'"{group}";q={item.amount};w={item.get_expiry()}' for item in items).encode()


def _connections(uri: str) -> BlockingConnectionPool:
    """Return a bounded pool: a caller waits for a connection no longer than for a reply."""
    scheme, _, rest = uri.partition("://")
    # Valkey and Redis have one protocol. The client of Valkey is used for both, because `limits` does not cap it.
    known = {"redis": "valkey", "rediss": "valkeys"}.get(scheme, scheme)
    pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
        f"{known}://{rest}",
        max_connections=_MAX_CONNECTIONS,
        timeout=_STORAGE_SECONDS,
        socket_timeout=_STORAGE_SECONDS,
        socket_connect_timeout=_STORAGE_SECONDS,
    )
    return pool
