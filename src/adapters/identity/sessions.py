"""Tokens of our own sessions: a signed cookie or bearer token that every instance understands."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NewType

from joserfc import jwt
from joserfc.jwk import OctKey

from tallystick.adapters.identity.claims import Check, ClaimsCheck
from tallystick.adapters.identity.signatures import jws_registry, signed_claims
from tallystick.application.ports import Clock
from tallystick.domain.identity import Principal, TokenVerifier
from tallystick.domain.sessions import Session, SessionId, SessionKey
from tallystick.domain.tokens import TokenRefused

Form = Literal["cookie", "bearer"]
"""How a session is sent. A token of one form is refused in the other: the CSRF rule applies to cookies."""

_ISSUER = "tallystick"
_AUDIENCE: dict["Form", str] = {"cookie": "tallystick-session", "bearer": "tallystick-bearer"}
_ALGORITHM = "HS256"
_SIGNER = "a key of sessions"
_NAMED = "sid names the session"
_SESSION_ID = re.compile(r"[0-9a-f]{32}\Z")


class SessionTokens(TokenVerifier):
    """Issues and verifies session tokens, under keys that no bearer token of an identity provider is signed with."""

    def __init__(self, keys: Sequence[bytes], clock: Clock, form: Form = "cookie") -> None:
        """The first key signs; the others verify tokens from before a rotation of the secrets."""
        self._keys, self._audience = [*map(OctKey.import_key, keys)], _AUDIENCE[form]
        self._check = ClaimsCheck(clock, issuer=_ISSUER, audience=self._audience)
        self._registry = jws_registry([_ALGORITHM])

    def issue(self, session: Session) -> str:
        """Return the token of a session. It names the user and carries no permissions."""
        claims = {
            "iss": _ISSUER,
            "aud": self._audience,
            "sub": session.user_id,
            "sid": session.session_id,
            "iat": int(session.created_at.timestamp()),
            "exp": int(session.expires_at.timestamp()),
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self._keys[0], registry=self._registry)

    async def verify(self, token: str) -> Principal:
        """Return the principal of a valid token; TokenRefused otherwise. Claims besides user and session are ignored.

        A session that has ended since is refused where callers are checked.
        """
        claims = self._claims(token)
        caller, session_id = self._check.principal(claims), _session_id(claims)
        if session_id is None:
            raise TokenRefused("malformed", _NAMED)
        session = SessionKey(caller.user_id, session_id)
        return Principal(caller.user_id, session=session, token_ends_at=caller.token_ends_at)

    async def checks(self, token: str) -> list[Check]:
        """Return the checks of a session in the order in which they are made, as far as they can be made."""
        try:
            claims = self._claims(token)
        except TokenRefused as refusal:
            return [Check("signature", refusal.expected, refusal.fault)]
        named = Check("session", _NAMED, None if _session_id(claims) is not None else "malformed")
        return [Check("signature", f"signed with {_SIGNER}"), *self._check.checks(claims), named]

    def _claims(self, token: str) -> Mapping[str, object]:
        return signed_claims(token, self._keys, self._registry, signer=_SIGNER)[1]


def _session_id(claims: Mapping[str, object]) -> SessionId | None:
    session_id = claims.get("sid")
    return SessionId(session_id) if isinstance(session_id, str) and _SESSION_ID.match(session_id) else None


Bearers = NewType("Bearers", SessionTokens)
"""The sessions that travel as bearer tokens."""
