"""JSON Web Tokens: what a token has to say, once its signature holds."""

from collections.abc import Mapping

from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from application.ports import Clock
from domain.identity import Principal
from domain.refusals import Unauthenticated
from domain.users import UserId, is_user_id

LEEWAY_SECONDS = 30
MAX_TOKEN_BYTES = 8192
MAX_PERMISSIONS = 256


class ClaimsCheck:
    """Checks times, issuer, audience and subject, and reads who speaks with which permissions."""

    def __init__(self, clock: Clock, *, issuer: str | None = None, audience: str | None = None) -> None:
        self._clock = clock
        options: dict[str, ClaimsOption] = {"exp": {"essential": True}, "sub": {"essential": True}}
        if issuer is not None:
            options["iss"] = {"essential": True, "value": issuer}
        if audience is not None:
            options["aud"] = {"essential": True, "value": audience}
        self._registry = JWTClaimsRegistry(now=lambda: int(clock.now().timestamp()), leeway=LEEWAY_SECONDS, **options)

    def ends_at(self, claims: Mapping[str, object]) -> float:
        """Return when claims that hold now end, in seconds since 1970, the leeway included."""
        expires_at = claims["exp"]
        return float(expires_at) + LEEWAY_SECONDS if isinstance(expires_at, int | float) else 0.0

    def is_over(self, ends_at: float) -> bool:
        """Tell whether that time has come."""
        return self._clock.now().timestamp() >= ends_at

    def principal(self, claims: Mapping[str, object]) -> Principal:
        """Return the principal; JoseError or Unauthenticated where a claim does not hold."""
        self._registry.validate(dict(claims))
        subject = claims["sub"]
        if not is_user_id(subject):
            raise Unauthenticated
        permissions = claims.get("permissions")
        return Principal(
            UserId(str(subject)),
            frozenset(name for name in permissions[:MAX_PERMISSIONS] if isinstance(name, str))
            if isinstance(permissions, list)
            else frozenset(),
            phone_verified=claims.get("phone_verified") is True,
            phone_disputed=claims.get("phone_verified") is False,
            phone=phone if isinstance(phone := claims.get("phone"), str) and phone else None,
        )
