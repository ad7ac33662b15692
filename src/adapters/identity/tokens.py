"""Bearer tokens: JWTs signed with a shared secret, or with a key that the provider publishes."""

import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import Key, OctKey
from joserfc.util import to_bytes, urlsafe_b64decode

from adapters.identity.claims import MAX_TOKEN_BYTES, ClaimsCheck
from adapters.identity.signatures import SharedSecretSignatures
from domain.identity import Principal
from domain.refusals import Unauthenticated

SECRET_ALGORITHMS = frozenset({"HS256"})
PUBLISHED_ALGORITHMS = frozenset({"RS256", "ES256"})
_MOST_VERIFIED = 4096


class _Verified(NamedTuple):
    """A token whose signature held, and the key it held for."""

    algorithm: str
    kid: str | None
    key: Key
    principal: Principal
    ends_at: float
    """When it ends by itself, in seconds since 1970, the leeway included."""


class PublishedKeys(Protocol):
    """The provider's public keys."""

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key to verify with; None where there is none that fits."""


class JwtVerifier:
    """Verifies JWTs. The algorithm decides the kind of key, and settings decide which algorithms are taken."""

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
        self._secrets = tuple(map(OctKey.import_key, secrets))
        self._signatures = SharedSecretSignatures([secret.encode() for secret in secrets])
        self._published = published
        self._algorithms = frozenset(algorithms)
        # Providers put headers of their own beside the registered ones; `crit` is checked all the same.
        self._registry = jws.JWSRegistry(algorithms=list(self._algorithms), strict_check_header=False)

    async def verify(self, token: str) -> Principal:
        """Return whom a token speaks for; Unauthenticated for anything but a valid one."""
        try:
            verified = self._verified.get(token)
            # A token that held is good until it ends or its key is gone: nothing else about it can change.
            if (
                verified is None
                or self._check.is_over(verified.ends_at)
                or verified.key not in await self._keys(verified.algorithm, verified.kid)
            ):
                verified = await self._verify(token)
        except (JoseError, ValueError, TypeError, OverflowError, RecursionError) as error:
            # What is wrong with a token is nobody's business but its issuer's.
            raise Unauthenticated from error
        return verified.principal

    async def _verify(self, token: str) -> _Verified:
        self._verified.pop(token, None)
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            raise Unauthenticated
        algorithm, kid, key, claims = self._signed(token) or await self._decode(token)
        verified = _Verified(algorithm, kid, key, self._check.principal(claims), self._check.ends_at(claims))
        if len(self._verified) >= _MOST_VERIFIED:
            self._verified.popitem(last=False)
        self._verified[token] = verified
        return verified

    def _signed(self, token: str) -> tuple[str, str | None, Key, Mapping[str, object]] | None:
        """Return what a token of a shared secret says; None where its header was in none that held."""
        signed = self._signatures.claims(token)
        return ("HS256", signed[0], self._secrets[0], signed[1]) if signed is not None else None

    async def _decode(self, token: str) -> tuple[str, str | None, Key, Mapping[str, object]]:
        """Return what a token says whose signature holds, as the library sees it."""
        algorithm, kid = _header(token)
        keys = await self._keys(algorithm, kid)
        if not keys:
            raise Unauthenticated
        key, claims = self._decoded(token, keys)
        if algorithm == "HS256":
            self._signatures.remember(token, kid)
        return algorithm, kid, key, claims

    def _decoded(self, token: str, keys: Sequence[Key]) -> tuple[Key, Mapping[str, object]]:
        """Return the key that a token is signed with and its claims; JoseError where it is signed with none of them."""
        for key in keys[:-1]:
            with suppress(BadSignatureError):
                return key, jwt.decode(token, key, registry=self._registry).claims
        return keys[-1], jwt.decode(token, keys[-1], registry=self._registry).claims

    async def _keys(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        """Return the keys that may have signed: every shared secret, or the published key that the token names."""
        if algorithm not in self._algorithms:
            return ()
        if algorithm in SECRET_ALGORITHMS:
            return self._secrets
        key = await self._published.key(kid, algorithm) if self._published is not None else None
        return (key,) if key is not None else ()


def _header(token: str) -> tuple[str, str | None]:
    """Read which key a token asks for; nothing else of an unverified header counts."""
    header = json.loads(urlsafe_b64decode(to_bytes(token.split(".", 1)[0])))
    algorithm, kid = (header.get("alg"), header.get("kid")) if isinstance(header, dict) else (None, None)
    if not isinstance(algorithm, str) or not isinstance(kid, str | None):
        raise Unauthenticated
    return algorithm, kid
