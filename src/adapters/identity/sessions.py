"""Sessions of our own: a signed cookie that every instance understands."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, NewType

from joserfc import jwt
from joserfc.jwk import OctKey

from adapters.identity.claims import Check, ClaimsCheck
from adapters.identity.signatures import jws_registry, signed_claims
from application.ports import Clock
from domain.identity import Principal
from domain.tokens import TokenRefused
from domain.users import UserId

Form = Literal["cookie", "bearer"]
"""How a session travels. One form is not taken for the other: a cookie is bound to the CSRF rule."""

LIFETIME = timedelta(days=7)
_ISSUER = "tallystick"
_AUDIENCE: dict["Form", str] = {"cookie": "tallystick-session", "bearer": "tallystick-bearer"}
_ALGORITHM = "HS256"
_SIGNER = "a key of sessions"


class Sessions:
    """Issues and verifies session tokens, under keys that no bearer token of an identity provider is signed with."""

    def __init__(self, keys: Sequence[bytes], clock: Clock, form: Form = "cookie") -> None:
        """The first key signs; the others verify what they signed before the secrets were rotated."""
        self._keys, self._clock, self._audience = [*map(OctKey.import_key, keys)], clock, _AUDIENCE[form]
        self._check = ClaimsCheck(clock, issuer=_ISSUER, audience=self._audience)
        self._registry = jws_registry([_ALGORITHM])

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
        return jwt.encode({"alg": _ALGORITHM}, claims, self._keys[0], registry=self._registry)

    async def verify(self, token: str) -> Principal:
        """Return whose session it is; TokenRefused for anything but a valid one. No other claim counts."""
        return Principal(self._check.principal(self._claims(token)).user_id)

    async def checks(self, token: str) -> list[Check]:
        """Return the checks of a session in the order in which they are made, as far as they can be made."""
        try:
            claims = self._claims(token)
        except TokenRefused as refusal:
            return [Check("signature", refusal.expected, refusal.fault)]
        return [Check("signature", f"signed with {_SIGNER}"), *self._check.checks(claims)]

    def _claims(self, token: str) -> Mapping[str, object]:
        return signed_claims(token, self._keys, self._registry, signer=_SIGNER)[1]


Bearers = NewType("Bearers", Sessions)
"""The sessions that travel as bearer tokens."""
