"""The circuit breaker of the shared counters: while they fail, requests do not wait for them."""

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.ports import Clock

FAILURES = 3
"""After so many failures in a row the storage is paused."""
PAUSE_SECONDS = 2.0


class Breaker:
    """Decides which requests ask the storage: all of them, or one after each pause while it fails."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._next_at = 0.0

    @property
    def is_open(self) -> bool:
        """Return whether the storage is paused."""
        return self._failures >= FAILURES

    def may_ask(self) -> bool:
        """Return whether this request may ask the storage. If it may, report the outcome."""
        if not self.is_open:
            return True
        now = self._clock.monotonic()
        if now < self._next_at:
            return False
        self._next_at = now + PAUSE_SECONDS
        return True

    def failed(self, error: Exception) -> None:
        """Count a failure, and begin a pause with the last of `FAILURES` in a row."""
        self._failures += 1
        self._next_at = self._clock.monotonic() + PAUSE_SECONDS
        if self._failures == 1:
            logger().warning("the storage of shared rate limits is out of reach", error=error)
        if self._failures == FAILURES:
            logger().warning("the storage of shared rate limits is paused", asked_again_every_seconds=PAUSE_SECONDS)

    def succeeded(self) -> None:
        """End the pause."""
        if self.is_open:
            logger().info("the storage of shared rate limits answers again")
        self._failures = 0
