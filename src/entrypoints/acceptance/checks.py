"""The checks of an acceptance run, in their order."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from tallystick.entrypoints.acceptance import boundary_checks, referral_checks
from tallystick.entrypoints.acceptance.outside import Finding, Outside, Unusable

Check = Callable[[Outside], Awaitable[Finding]]

CHECKS: Mapping[str, Check] = {
    "ready": boundary_checks.readiness,
    "time to code": referral_checks.time_to_code,
    "no collisions": referral_checks.collisions,
    "randomness": referral_checks.randomness,
    "share": referral_checks.share,
    "normal form": referral_checks.normal_form,
    "alias": referral_checks.aliases,
    "verified phone": referral_checks.verified_phone,
    "authentication": boundary_checks.authentication,
    "cross-site": boundary_checks.cross_site,
    "cache headers": boundary_checks.cache_headers,
    "constant shape": boundary_checks.constant_shape,
    "constant time": boundary_checks.constant_time,
    "rate limit": boundary_checks.rate_limit,
}
"""Each check by its name. The limit is tried last: afterwards this address is refused for a while."""


async def accept(outside: Outside) -> AsyncIterator[tuple[str, Finding]]:
    """Run the checks; a server that is not ready is asked nothing else."""
    for name, check in CHECKS.items():
        try:
            finding = await check(outside)
        except (Unusable, KeyError) as error:
            finding = Finding("no", str(error) if isinstance(error, Unusable) else "a user got no code")
        yield name, finding
        if name == "ready" and finding.state == "no":
            return
