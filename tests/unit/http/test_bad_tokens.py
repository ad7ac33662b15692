"""Bad bearer tokens: forged, mistaken for others, broken, or sent in another way; the sender learns nothing."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.http.replacements import published
from tests.http.services import JWT_SECRET, Caller, running, settings
from tests.http.tokens import (
    HS256,
    TURNED_AWAY,
    answer_to,
    by_secret,
    claims,
    good_token,
    provider,
    stranger,
    token,
)

SESSION_SECRET = "a secret for the sessions"
KEYS = {"jwt_secret": None, "jwks_url": "https://id.example.org/keys", "session_secret": SESSION_SECRET}
SERVICES: dict[str, dict[str, Any]] = {
    "secret": {},
    "keys": KEYS,
    "both": {**KEYS, "jwt_secret": JWT_SECRET},
    "RS256 only": {**KEYS, "jwt_secret": JWT_SECRET, "jwt_algorithms": "RS256"},
}
"""Services by what they verify tokens with."""


def signed(header: dict[str, object]) -> str:
    """Return a token under a header of its own, signed with the shared secret all the same."""
    return token(header, claims(), by_secret())


def unsigned(algorithm: str) -> str:
    """Return a token without a signature."""
    return token({"alg": algorithm}, claims(), lambda _text: b"")


def confused(secret: Callable[[], bytes]) -> str:
    """Return a token that takes what everybody may know of a published key for a shared secret."""
    return token({"alg": "HS256", "kid": provider().rsa.kid}, claims(), by_secret(secret()))


FORGED: dict[str, tuple[str, Callable[[], str]]] = {
    **{f"alg {name}, unsigned": ("secret", partial(unsigned, name)) for name in ("none", "None", "NONE")},
    **{f"alg {name}, signed": ("secret", partial(signed, {"alg": name})) for name in ("none", "hs256", "")},
    "alg none where keys are published": ("keys", lambda: unsigned("none")),
    "HS256 without a signature": ("secret", lambda: unsigned("HS256")),
    "HS256 where only keys are published": ("keys", good_token),
    "HS256 where only RS256 is taken": ("RS256 only", good_token),
    "HS256 with the secret of the sessions": ("keys", lambda: token(HS256, claims(), by_secret(SESSION_SECRET))),
    "HS384": ("secret", lambda: token({"alg": "HS384"}, claims(), by_secret(digest="sha384"))),
    "HS512": ("secret", lambda: token({"alg": "HS512"}, claims(), by_secret(digest="sha512"))),
    "another secret": ("secret", lambda: token(HS256, claims(), by_secret("another secret, just as long"))),
    "an empty secret": ("secret", lambda: token(HS256, claims(), by_secret(b""))),
    "RS256 where only a secret is set": ("secret", lambda: provider().token("RS256")),
    "ES256 where only a secret is set": ("secret", lambda: provider().token("ES256")),
    "ES256 where only RS256 is taken": ("RS256 only", lambda: provider().token("ES256")),
    "RS512 by the published key": ("keys", lambda: provider().token("RS512")),
    "PS256 by the published key": ("keys", lambda: provider().token("PS256")),
    "RS256 by a stranger under a published name": (
        "keys",
        lambda: stranger().token("RS256", {"kid": provider().rsa.kid}),
    ),
    "ES256 by a stranger under a published name": (
        "keys",
        lambda: stranger().token("ES256", {"kid": provider().ec.kid}),
    ),
    "RS256 by a stranger without a name": ("keys", lambda: stranger().token("RS256", {"kid": ...})),
    "ES256 with the name of the RSA key": ("keys", lambda: provider().token("ES256", {"kid": provider().rsa.kid})),
    "RS256 signed as ES256": ("keys", lambda: token({"alg": "RS256"}, claims(), provider().signs("ES256"))),
    **{
        f"HS256 with the published {name} ({service})": (service, partial(confused, secret))
        for service in ("keys", "both")
        for name, secret in {
            "PEM": lambda: provider().rsa.as_pem(private=False),
            "PEM without its last newline": lambda: provider().rsa.as_pem(private=False).rstrip(),
            "PKCS 1 PEM": lambda: provider().rsa.public_key.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
            "DER": lambda: provider().rsa.as_der(private=False),
            "EC PEM": lambda: provider().ec.as_pem(private=False),
            "JWK": lambda: json.dumps(provider().rsa.as_dict(private=False)).encode(),
            "document": lambda: provider().document(),
        }.items()
    },
    "HS256 with a published secret": (
        "keys",
        lambda: token({"alg": "HS256", "kid": provider().secret.kid}, claims(), by_secret(provider().secret.raw_value)),
    ),
    "kid a number": ("keys", lambda: provider().token("RS256", {"kid": 7})),
    "kid a list": ("keys", lambda: provider().token("RS256", {"kid": [provider().rsa.kid]})),
    "kid null": ("keys", lambda: provider().token("RS256", {"kid": None})),
    "a key that comes along": (
        "keys",
        lambda: stranger().token("RS256", {"kid": ..., "jwk": stranger().rsa.as_dict(private=False)}),
    ),
    "a key that lies elsewhere": (
        "keys",
        lambda: stranger().token("RS256", {"kid": provider().rsa.kid, "jku": "https://stranger.example/keys"}),
    ),
    "a certificate that lies elsewhere": (
        "keys",
        lambda: stranger().token("RS256", {"kid": provider().rsa.kid, "x5u": "https://stranger.example/certificate"}),
    ),
    "a certificate that comes along": (
        "keys",
        lambda: stranger().token("RS256", {"kid": provider().rsa.kid, "x5c": ["MIIB"]}),
    ),
    "no alg": ("secret", lambda: signed({"typ": "JWT"})),
    "alg null": ("secret", lambda: signed({"alg": None})),
    "alg a list": ("secret", lambda: signed({"alg": ["HS256"]})),
    "crit of something unknown": ("secret", lambda: signed({**HS256, "crit": ["urgent"], "urgent": True})),
    "crit of something absent": ("secret", lambda: signed({**HS256, "crit": ["exp"]})),
    "crit a string": ("secret", lambda: signed({**HS256, "crit": "exp"})),
    "crit a number": ("secret", lambda: signed({**HS256, "crit": 7})),
    "header a list": ("secret", lambda: token(["HS256"], claims(), by_secret())),
    "header a string": ("secret", lambda: token("HS256", claims(), by_secret())),
    "header null": ("secret", lambda: token(None, claims(), by_secret())),
    "header empty": ("secret", lambda: token(b"", claims(), by_secret())),
    "header not JSON": ("secret", lambda: token(b"alg=HS256", claims(), by_secret())),
    "header not UTF-8": ("secret", lambda: token(b'{"alg":"HS256","x":"\xff"}', claims(), by_secret())),
    "header nested too deep": (
        "secret",
        lambda: token(b'{"alg":"HS256","x":' + b"[" * 1500 + b"]" * 1500 + b"}", claims(), by_secret()),
    ),
}


@pytest.fixture(scope="module")
async def services() -> AsyncIterator[dict[str, Caller]]:
    async with AsyncExitStack() as running_services:
        callers: dict[str, Caller] = {}
        for name, given in SERVICES.items():
            replaced = [published(provider().document)] if "jwks_url" in given else []
            service = running(settings(**given), "memory", *replaced)
            callers[name], _ = await running_services.enter_async_context(service)
            await answer_to(callers[name], f"Bearer {provider().token('RS256')}")
            await answer_to(callers[name], f"Bearer {good_token()}")  # where it holds, its header is known from now on
        yield callers


@pytest.mark.parametrize("row", FORGED)
async def test_a_forged_token_is_turned_away(services: dict[str, Caller], row: str) -> None:
    service, forge = FORGED[row]

    assert await answer_to(services[service], f"Bearer {forge()}") == TURNED_AWAY


@pytest.mark.parametrize("kid", ["nobody's", ""])
async def test_a_key_that_may_not_be_asked_for_yet_is_neither_a_good_one_nor_a_bad_one(
    services: dict[str, Caller], kid: str
) -> None:
    status, _, challenge, body = await answer_to(services["keys"], f"Bearer {provider().token('RS256', {'kid': kid})}")

    assert (status, challenge, json.loads(body)["code"]) == (503, None, "IDENTITY_KEYS_UNAVAILABLE")


@pytest.mark.parametrize(
    ("service", "issue"),
    [
        ("secret", good_token),
        ("keys", lambda: provider().token("RS256")),
        ("keys", lambda: provider().token("ES256")),
        ("both", good_token),
        ("both", lambda: provider().token("RS256")),
        ("RS256 only", lambda: provider().token("RS256")),
    ],
    ids=["HS256", "RS256", "ES256", "HS256 beside keys", "RS256 beside a secret", "RS256 only"],
)
async def test_a_good_token_is_taken(services: dict[str, Caller], service: str, issue: Callable[[], str]) -> None:
    status, *_ = await answer_to(services[service], f"Bearer {issue()}")

    assert status == 200
