"""Bearer tokens: JWTs signed with a shared secret, or with a key that the provider publishes."""

import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from joserfc.jwk import Key, OctKey
from joserfc.util import to_bytes, urlsafe_b64decode

from tallystick.adapters.identity.claims import Check, ClaimsCheck
from tallystick.adapters.identity.signatures import (
    FORM,
    SharedSecretSignatures,
    algorithms_expected,
    jws_registry,
    signed_claims,
)
from tallystick.domain.identity import Principal, TokenVerifier
from tallystick.domain.tokens import TokenRefused

SECRET_ALGORITHMS = frozenset({"HS256"})
PUBLISHED_ALGORITHMS = frozenset({"RS256", "ES256"})
_MOST_VERIFIED = 4096
_MOST_VERIFIED_BYTES = 16 << 20
"""A token may be as long as the headers of a request allow."""
_DOTS = 2


class _Verified(NamedTuple):
    """A token whose signature was valid, and the key that signed it."""

    algorithm: str
    kid: str | None
    key: Key
    principal: Principal
    ends_at: float
    """When it expires, in seconds since 1970, including the leeway."""


class PublishedKeys(Protocol):
    """The provider's public keys."""

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key to verify with; None where no key fits.

        IdentityKeysUnavailable where the keys could not be fetched.
        """


class JwtVerifier(TokenVerifier):
    """Verifies JWTs. The algorithm decides the kind of key, and settings decide which algorithms are accepted."""

    def __init__(
        self,
        check: ClaimsCheck,
        *,
        secrets: Sequence[str],
        published: PublishedKeys | None,
        algorithms: Collection[str],
    ) -> None:
        self._check = check
        # Ordered for its ends: finding the oldest of a dict whose first members are gone looks through their places.
        self._verified: OrderedDict[str, _Verified] = OrderedDict()
        self._verified_bytes = 0
        self._secrets = tuple(map(OctKey.import_key, secrets))
        self._signatures = SharedSecretSignatures([secret.encode() for secret in secrets])
        self._published = published
        self._algorithms = frozenset(algorithms)
        self._registry = jws_registry(self._algorithms, strict=False)

    async def verify(self, token: str) -> Principal:
        """Return the principal of a valid token; TokenRefused for every other token.

        IdentityKeysUnavailable where the provider's keys cannot be fetched.
        """
        verified = self._verified.get(token)
        # A valid token stays valid until it expires or its key is gone: nothing else about it can change.
        if (
            verified is None
            or self._check.is_over(verified.ends_at)
            or verified.key not in await self._keys(verified.algorithm, verified.kid)
        ):
            self._forget(token)
            verified = await self._verify(token)
            self._remember(token, verified)
        return verified.principal

    async def checks(self, token: str) -> list[Check]:
        """Return the checks of a token in the order of `verify`; the first fault is the reason of a refusal.

        Claims are checked also where the signature is not valid. IdentityKeysUnavailable as `verify` raises it.
        """
        try:
            algorithm, kid = read_header(token)
            claims = read_claims(token)
        except TokenRefused as refusal:
            return [Check("form", refusal.expected, refusal.fault)]
        is_accepted = algorithm in self._algorithms
        algorithms = algorithms_expected(self._algorithms)
        made = [Check("form", FORM), Check("alg", algorithms, None if is_accepted else "algorithm")]
        keys = await self._keys(algorithm, kid) if is_accepted else ()
        if is_accepted and algorithm in PUBLISHED_ALGORITHMS:
            made.append(Check("kid", _key_expected(algorithm), None if keys else "unknown_kid"))
        if keys:
            made.append(self._signature(token, algorithm, keys))
        return [*made, *self._check.checks(claims)]

    def _signature(self, token: str, algorithm: str, keys: Sequence[Key]) -> Check:
        signer = _signer(algorithm)
        try:
            signed_claims(token, keys, self._registry, signer=signer)
        except TokenRefused as refusal:
            return Check("signature", refusal.expected, refusal.fault)
        return Check("signature", f"signed with {signer}")

    async def _verify(self, token: str) -> _Verified:
        algorithm, kid, key, claims = self._signed(token) or await self._decode(token)
        return _Verified(algorithm, kid, key, self._check.principal(claims), self._check.ends_at(claims))

    def _remember(self, token: str, verified: _Verified) -> None:
        self._forget(token)  # two requests may have verified it at the same time
        self._verified[token] = verified
        self._verified_bytes += len(token)
        while len(self._verified) > _MOST_VERIFIED or self._verified_bytes > _MOST_VERIFIED_BYTES:
            self._forget(next(iter(self._verified)))

    def _forget(self, token: str) -> None:
        if self._verified.pop(token, None) is not None:
            self._verified_bytes -= len(token)

    def _signed(self, token: str) -> tuple[str, str | None, Key, Mapping[str, object]] | None:
        """Return the claims of a token that a shared secret signed; None where its header was not accepted before."""
        signed = self._signatures.claims(token) if token.isascii() else None
        return ("HS256", signed[0], self._secrets[0], signed[1]) if signed is not None else None

    async def _decode(self, token: str) -> tuple[str, str | None, Key, Mapping[str, object]]:
        """Return the claims of a token whose signature the library found valid."""
        algorithm, kid = read_header(token)
        if algorithm not in self._algorithms:
            raise TokenRefused("algorithm", algorithms_expected(self._algorithms))
        keys = await self._keys(algorithm, kid)
        if not keys:
            raise TokenRefused("unknown_kid", _key_expected(algorithm))
        key, claims = signed_claims(token, keys, self._registry, signer=_signer(algorithm))
        if algorithm in SECRET_ALGORITHMS:
            self._signatures.remember(token, kid)
        return algorithm, kid, key, claims

    async def _keys(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        """Return the keys to verify with: every shared secret, or the published key that the token names."""
        if algorithm in SECRET_ALGORITHMS:
            return self._secrets
        key = await self._published.key(kid, algorithm) if self._published is not None else None
        return (key,) if key is not None else ()


def read_header(token: str) -> tuple[str, str | None]:
    """Return the algorithm and the key id that a token names; the rest of an unverified header is ignored.

    TokenRefused where the token is not a JWT.
    """
    header = _part(token, 0)
    algorithm, kid = (header.get("alg"), header.get("kid")) if isinstance(header, dict) else (None, None)
    if not isinstance(algorithm, str) or not isinstance(kid, str | None):
        raise TokenRefused("malformed", "the header names alg, and kid where there is one, as texts")
    return algorithm, kid


def read_claims(token: str) -> dict[str, object]:
    """Return the claims of a token without a check of its signature; TokenRefused where it is not a JWT."""
    claims = _part(token, 1)
    if not isinstance(claims, dict):
        raise TokenRefused("malformed", FORM)
    return claims


def _part(token: str, number: int) -> object:
    if not token.isascii() or token.count(".") != _DOTS:
        raise TokenRefused("malformed", FORM)
    try:
        part: object = json.loads(urlsafe_b64decode(to_bytes(token.split(".")[number])))
    except (ValueError, RecursionError):
        raise TokenRefused("malformed", FORM) from None
    return part


def _signer(algorithm: str) -> str:
    return "TALLYSTICK_JWT_SECRET" if algorithm in SECRET_ALGORITHMS else "the published key that kid names"


def _key_expected(algorithm: str) -> str:
    return f"kid names a key for {algorithm} that TALLYSTICK_JWKS_URL publishes"
