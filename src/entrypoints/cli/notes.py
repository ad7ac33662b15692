"""Notes of `serve` and `check` about settings that are right in one set-up and wrong in another."""

from collections.abc import Iterator

from tallystick.adapters.rate_limits.limiter import IN_MEMORY
from tallystick.application.readiness import Fault
from tallystick.entrypoints.settings import Settings


def notes(settings: Settings, *, workers: int | None = None) -> Iterator[Fault]:
    """Yield a note for each setting that only the operator can judge."""
    if settings.rate_limit_storage == IN_MEMORY:
        each = "each process" if workers is None else f"each of {workers} processes"
        yield Fault(
            "rate limits",
            f"{each} counts requests by itself and grants the whole limit: with several workers or instances, set "
            "TALLYSTICK_RATE_LIMIT_STORAGE to a Valkey or Redis",
        )
    if not settings.trusted_proxies:
        yield Fault(
            "proxies",
            "X-Forwarded-For is ignored: behind a proxy, all callers without a token share one limit; "
            "name the proxy in TALLYSTICK_TRUSTED_PROXIES",
        )
    if settings.single_login == "accept":
        yield Fault("login", "one login for the service and the owner is accepted: it can drop every table")
