"""Tokens of streams: a signed cookie that reads streams and does nothing else, for browsers that send no headers."""

from collections.abc import Sequence

from joserfc import jwt
from joserfc.jwk import OctKey

from tallystick.adapters.identity.claims import ClaimsCheck
from tallystick.adapters.identity.signatures import jws_registry, signed_claims
from tallystick.application.ports import Clock
from tallystick.domain.identity import Principal, TokenVerifier
from tallystick.domain.sessions import SessionId, SessionKey

LIFETIME_SECONDS = 3600
_ISSUER, _AUDIENCE, _ALGORITHM = "tallystick", "tallystick-stream", "HS256"


class StreamTokens(TokenVerifier):
    """Issues and verifies tokens of streams, under keys that sign nothing else."""

    def __init__(self, keys: Sequence[bytes], clock: Clock) -> None:
        """The first key signs; the others verify tokens from before a rotation of the secrets."""
        self._keys, self._clock = [*map(OctKey.import_key, keys)], clock
        self._check = ClaimsCheck(clock, issuer=_ISSUER, audience=_AUDIENCE)
        self._registry = jws_registry([_ALGORITHM])

    def issue(self, caller: Principal) -> tuple[str, int]:
        """Return a token for a caller and its lifetime in seconds: an hour, and never longer than the caller's own."""
        now = int(self._clock.now().timestamp())
        ends_at = now + LIFETIME_SECONDS
        if caller.token_ends_at is not None:
            ends_at = min(ends_at, int(caller.token_ends_at))
        claims: dict[str, object] = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": caller.user_id, "exp": ends_at}
        if caller.session is not None:
            claims["sid"] = caller.session.session_id
        token = jwt.encode({"alg": _ALGORITHM}, claims, self._keys[0], registry=self._registry)
        return token, max(0, ends_at - now)

    async def verify(self, token: str) -> Principal:
        """Return the caller of a valid token, without permissions; TokenRefused otherwise."""
        claims = signed_claims(token, self._keys, self._registry, signer="a key of streams")[1]
        caller, session_id = self._check.principal(claims), claims.get("sid")
        session = SessionKey(caller.user_id, SessionId(session_id)) if isinstance(session_id, str) else None
        return Principal(caller.user_id, session=session, token_ends_at=caller.token_ends_at)
