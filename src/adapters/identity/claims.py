"""Claims of JSON Web Tokens: the checks that follow the check of the signature."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeGuard

import msgspec

from tallystick.application.ports import Clock
from tallystick.domain.identity import PERMISSIONS, Principal
from tallystick.domain.tokens import TokenFault, TokenRefused
from tallystick.domain.users import UserId, is_user_id

LEEWAY_SECONDS = 30
_PERMISSIONS = frozenset(PERMISSIONS)
_FIRST_SECOND = datetime(2, 1, 1, tzinfo=UTC).timestamp()
_END = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_SUBJECT = "sub is 1 to 128 of A-Z a-z 0-9 _ . : | @ -"


class Check(msgspec.Struct, frozen=True):
    """One check of a token: what is expected, and the fault where the token does not meet it."""

    name: str
    """`form`, `signature`, or the member of the header or of the claims that was checked."""
    expected: str
    fault: TokenFault | None = None


class ClaimsCheck:
    """Checks issuer, audience, times and subject, and reads the caller and their permissions."""

    def __init__(self, clock: Clock, *, issuer: str | None = None, audience: str | None = None) -> None:
        self._clock, self._issuer, self._audience = clock, issuer, audience

    def ends_at(self, claims: Mapping[str, object]) -> float:
        """Return when claims that are valid now expire, in seconds since 1970, including the leeway."""
        expires_at = claims["exp"]
        return float(expires_at) + LEEWAY_SECONDS if isinstance(expires_at, int | float) else 0.0

    def is_over(self, ends_at: float) -> bool:
        """Return whether that time has passed."""
        return self._clock.now().timestamp() >= ends_at

    def principal(self, claims: Mapping[str, object]) -> Principal:
        """Return the principal; TokenRefused names the first claim that fails its check."""
        for check in self.checks(claims):
            if check.fault is not None:
                raise TokenRefused(check.fault, check.expected)
        permissions = claims.get("permissions")
        return Principal(
            UserId(str(claims["sub"])),
            # A token may name any number of permissions: only those that Tallystick knows are kept.
            _PERMISSIONS.intersection(name for name in permissions if isinstance(name, str))
            if isinstance(permissions, list)
            else frozenset(),
            phone_verified=claims.get("phone_verified") is True,
            # Some providers write ids as JSON numbers: a claim that is present, in any form, must match the caller.
            phone=str(phone) if (phone := claims.get("phone")) else None,
            token_ends_at=float(ends_at) if isinstance(ends_at := claims["exp"], int | float) else None,
        )

    def checks(self, claims: Mapping[str, object]) -> Iterator[Check]:
        """Yield every check of the claims, first the ones that settings ask for."""
        if self._issuer is not None:
            holds = claims.get("iss") == self._issuer
            yield Check("iss", f"iss is {self._issuer}", None if holds else "issuer")
        if self._audience is not None:
            audience = claims.get("aud")
            holds = self._audience in audience if isinstance(audience, list) else audience == self._audience
            yield Check("aud", f"aud is or names {self._audience}", None if holds else "audience")
        yield self._expiry(claims.get("exp"))
        for claim in ("nbf", "iat"):
            value = claims.get(claim)
            if value is not None:
                yield self._start(claim, value)
        yield Check("sub", _SUBJECT, None if is_user_id(claims.get("sub")) else "subject")

    def _expiry(self, value: object) -> Check:
        if value is None:
            return Check("exp", "exp says when the token ends", "no_exp")
        if not _is_time(value):
            return Check("exp", _times("exp"), "malformed")
        is_over = self.is_over(value + LEEWAY_SECONDS)
        return Check("exp", f"exp ended at most {LEEWAY_SECONDS} s ago", "expired" if is_over else None)

    def _start(self, claim: str, value: object) -> Check:
        if not _is_time(value):
            return Check(claim, _times(claim), "malformed")
        is_ahead = value > self._clock.now().timestamp() + LEEWAY_SECONDS
        return Check(claim, f"{claim} lies at most {LEEWAY_SECONDS} s in the future", "not_yet" if is_ahead else None)


def _times(claim: str) -> str:
    return f"{claim} is a number of seconds since 1970, in the years 2 to 9998"


def _is_time(value: object) -> TypeGuard[float]:
    """Return whether a claim is a time that every part of the service can represent."""
    # NaN and infinities lie outside of the bounds; an integer of any length is compared without a conversion.
    return isinstance(value, int | float) and not isinstance(value, bool) and _FIRST_SECOND <= value < _END
