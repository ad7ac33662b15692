"""Signatures of tokens: verified by the library, or directly where the library has accepted the same header before."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence

import msgspec
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key
from joserfc.util import urlsafe_b64decode

from tallystick.domain.tokens import TokenRefused

FORM = "a signed JWT: header, claims and signature in base64url, separated by dots"
"""The form of a token."""

_MOST_HEADERS = 64
_PLAIN = {"alg", "typ", "kid"}
_OBJECTS = msgspec.json.Decoder(dict[str, object])

_LONGEST_PART = 1 << 20
"""More than the headers of a request may hold: the bound on headers is the bound on tokens."""


def jws_registry(algorithms: Collection[str], *, strict: bool = True) -> jws.JWSRegistry:
    """Return the rules of the library: these algorithms, and parts of any length. `crit` is always checked.

    Where it is not strict, headers of the provider's own may stand beside the registered ones.
    """
    registry = jws.JWSRegistry(algorithms=list(algorithms), strict_check_header=strict)
    registry.max_header_length = registry.max_payload_length = registry.max_signature_length = _LONGEST_PART
    return registry


def signed_claims(
    token: str, keys: Sequence[Key], registry: jws.JWSRegistry, *, signer: str
) -> tuple[Key, Mapping[str, object]]:
    """Return the key that signed a token, and the claims; TokenRefused where none of the keys signed it.

    `signer` describes the keys to the operator.
    """
    for key in keys:
        try:
            return key, jwt.decode(token, key, registry=registry).claims
        except BadSignatureError:
            continue
        except UnsupportedAlgorithmError:
            raise TokenRefused("algorithm", algorithms_expected(registry.allowed or ())) from None
        except (JoseError, ValueError, TypeError, OverflowError, RecursionError):
            raise TokenRefused("malformed", FORM) from None
    raise TokenRefused("wrong_secret", f"signed with {signer}")


def algorithms_expected(algorithms: Collection[str]) -> str:
    """Describe the algorithms that are accepted."""
    return f"alg is {' or '.join(sorted(algorithms))}"


class SharedSecretSignatures:
    """Verifies HS256 tokens whose header was accepted before. The library takes ten times as long, mostly for headers.

    It only accepts tokens. The library decides about every other one.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = tuple(secrets)
        self._headers: dict[str, str | None] = {}

    def remember(self, token: str, kid: str | None) -> None:
        """Remember the header of an HS256 token that the library accepted."""
        header = token.partition(".")[0]
        members = _object(header)
        # `crit` and `b64` change what a signature means: the library verifies each token that has them.
        if members is not None and members.keys() <= _PLAIN and len(self._headers) < _MOST_HEADERS:
            self._headers[header] = kid

    def claims(self, token: str) -> tuple[str | None, dict[str, object]] | None:
        """Return the key id and the claims of a token that is signed; None where the library has to verify it."""
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        if header not in self._headers:
            return None
        text, given = signed.encode(), signature.encode()
        if not any(hmac.compare_digest(_signature(secret, text), given) for secret in self._secrets):
            return None
        claims = _object(payload)
        return (self._headers[header], claims) if claims is not None else None


def _signature(secret: bytes, text: bytes) -> bytes:
    return urlsafe_b64encode(hmac.digest(secret, text, hashlib.sha256)).rstrip(b"=")


def _object(part: str) -> dict[str, object] | None:
    """Return the JSON object in a part of a token; None where it is not canonical base64url of an object."""
    try:
        return _OBJECTS.decode(urlsafe_b64decode(part.encode()))
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None
