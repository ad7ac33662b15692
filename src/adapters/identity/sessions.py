"""Sessions of our own: a signed cookie that every instance understands."""

from datetime import timedelta
from typing import Literal, NewType

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from adapters.identity.claims import MAX_TOKEN_BYTES, ClaimsCheck
from application.ports import Clock
from domain.identity import Principal
from domain.refusals import Unauthenticated
from domain.users import UserId

Form = Literal["cookie", "bearer"]
"""How a session travels. One form is not taken for the other: a cookie is bound to the CSRF rule."""

LIFETIME = timedelta(days=7)
_ISSUER = "tallystick"
_AUDIENCE: dict["Form", str] = {"cookie": "tallystick-session", "bearer": "tallystick-bearer"}
_ALGORITHM = "HS256"


class Sessions:
    """Issues and verifies session tokens, under a key that no bearer token is signed with."""

    def __init__(self, key: bytes, clock: Clock, form: Form = "cookie") -> None:
        self._key, self._clock, self._audience = OctKey.import_key(key), clock, _AUDIENCE[form]
        self._check = ClaimsCheck(clock, issuer=_ISSUER, audience=self._audience)
        self._registry = jws.JWSRegistry(algorithms=[_ALGORITHM])

    def issue(self, user_id: UserId) -> str:
        """Return a session token for a user; it carries no permissions."""
        now = self._clock.now()
        claims = {
            "iss": _ISSUER,
            "aud": self._audience,
            "sub": user_id,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key, registry=self._registry)

    async def verify(self, token: str) -> Principal:
        """Return whose session it is; Unauthenticated for anything but a valid one."""
        try:
            if len(token) > MAX_TOKEN_BYTES:
                raise Unauthenticated
            return self._check.principal(jwt.decode(token, self._key, registry=self._registry).claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated from error


Bearers = NewType("Bearers", Sessions)
"""The sessions that travel as bearer tokens."""
