"""Refused tokens: the operator learns the reason; the caller learns only whether the token has expired."""

from collections.abc import Mapping
from typing import Literal

from tallystick.domain.refusals import Unauthenticated, Unavailable

TokenFault = Literal[
    "wrong_secret",
    "audience",
    "issuer",
    "expired",
    "no_exp",
    "not_yet",
    "algorithm",
    "unknown_kid",
    "malformed",
    "subject",
    "session_ended",
]

REMEDIES: Mapping[TokenFault, str] = {
    "wrong_secret": "The signature does not fit the key. Give this service the secret or the JWKS URL of the issuer.",
    "audience": "Set TALLYSTICK_JWT_AUDIENCE to the `aud` of your tokens, or have tokens issued for this service.",
    "issuer": "Set TALLYSTICK_JWT_ISSUER to the `iss` of your tokens, to the last slash.",
    "expired": "Ask the identity provider for a new token. If tokens are new, compare the clocks.",
    "no_exp": "Have the identity provider put `exp` into its tokens: a token must end.",
    "not_yet": "Compare the clocks: `nbf` or `iat` of the token lies in the future.",
    "algorithm": "Set TALLYSTICK_JWT_SECRET for HS256, TALLYSTICK_JWKS_URL for RS256 and ES256; "
    "TALLYSTICK_JWT_ALGORITHMS narrows them.",
    "unknown_kid": "Compare the `kid` of the token with the keys that TALLYSTICK_JWKS_URL publishes.",
    "malformed": "Send the JWT whole and unchanged, as Authorization: Bearer TOKEN; times are numbers of seconds.",
    "subject": "Have the identity provider put the user's id into `sub`: 1 to 128 of A-Z a-z 0-9 _ . : | @ -",
    "session_ended": "Nothing to do: the user signed out, changed their password, or has signed in too often since.",
}
"""The advice to an operator for each fault."""

_FAULTS_OF_CLAIMS = frozenset({"audience", "issuer", "expired", "no_exp", "not_yet", "subject", "session_ended"})
_EXPIRED = "the token has expired; sign in again"


class TokenRefused(Unauthenticated):
    """The token or session of the request is not valid."""

    def __init__(self, fault: TokenFault, expected: str) -> None:
        if fault == "expired":
            super().__init__(_EXPIRED)
        else:
            super().__init__()
        self._fault, self._expected = fault, expected

    @property
    def fault(self) -> TokenFault:
        """The reason, for operators alone."""
        return self._fault

    @property
    def expected(self) -> str:
        """The expected value, from the settings; never from the token, and never a secret."""
        return self._expected

    @property
    def is_signed(self) -> bool:
        """Return whether the signature was valid, so that the token was meant for the verifier that refused it."""
        return self._fault in _FAULTS_OF_CLAIMS


class IdentityKeysUnavailable(Unavailable):
    """The keys of the provider cannot be fetched, or must not be fetched again yet: the token cannot be checked."""

    code = "IDENTITY_KEYS_UNAVAILABLE"
    retry_after_seconds: int
    _failure_cause = "identity_keys"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"the identity provider's keys cannot be fetched at the moment; ask again in {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds
