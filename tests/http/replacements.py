"""Parts of the graph that a test puts in the place of the real ones."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from dishka import Provider, Scope

from tallystick.adapters.identity.jwks import JwksCache
from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.system import SystemClock, SystemRandomness
from tallystick.application.flags import FollowedFlags
from tallystick.application.ports import ChangeSignal, Clock
from tallystick.entrypoints.worker.flags import FollowFlags


class SkewedClock(SystemClock):
    """This machine's clock, wrong by a fixed time."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return super().now() + self._ahead


def skewed(ahead: timedelta) -> Provider:
    """Let this machine's clock be wrong by a fixed time."""
    return _replacing(SystemClock, SkewedClock(ahead))


def stopped(clock: ManualClock) -> Provider:
    """Let time stand still until the test moves it."""
    return _replacing(Clock, clock)


def pooled(database: Database) -> Provider:
    """Let the service share a pool with the test, which may hold its connections and shorten its patience."""
    return _replacing(Database, database)


def published(document: Callable[[], bytes]) -> Provider:
    """Publish the keys of an identity provider without a network; set some `jwks_url` beside it."""

    async def fetch() -> bytes:
        return document()

    return _replacing(JwksCache | None, JwksCache(fetch, SystemClock(), RecordedMetrics(), SystemRandomness()))


def following(signal: type[ChangeSignal] | None = None, *, poll_seconds: float) -> Provider:
    """Follow flags by another signal, where one is named, and look as seldom as it is said."""
    replacement = Provider(scope=Scope.APP)

    def follow(flags: FollowedFlags, signal: ChangeSignal) -> FollowFlags:
        return FollowFlags(flags, signal, poll_seconds=poll_seconds)

    replacement.provide(follow)
    if signal is not None:
        replacement.provide(signal, provides=ChangeSignal)
    return replacement


def _replacing(kind: Any, part: object) -> Provider:
    replacement = Provider(scope=Scope.APP)
    replacement.provide(lambda: part, provides=kind)
    return replacement
