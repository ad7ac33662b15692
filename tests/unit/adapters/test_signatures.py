"""Signatures that are checked without the library: only under headers that it took, and never more than it takes."""

import json

import pytest

from tallystick.adapters.identity.signatures import SharedSecretSignatures
from tests.http.services import JWT_SECRET
from tests.http.tokens import HS256, by_secret, claims, encoded, token

HEADER = {**HS256, "kid": "first"}


PAYLOAD = encoded(json.dumps(claims()).encode())


def _signed(text: str) -> str:
    """Return any text with its right signature."""
    return f"{text}.{encoded(by_secret()(text.encode()))}"


@pytest.fixture
def signatures() -> SharedSecretSignatures:
    """Return what has seen the library take a token."""
    seen = SharedSecretSignatures([JWT_SECRET.encode()])
    seen.remember(token(HEADER, claims(), by_secret()), "first")
    return seen


def test_another_token_under_a_header_that_was_taken_is_read(signatures: SharedSecretSignatures) -> None:
    expected = claims(sub="grace")

    assert signatures.claims(token(HEADER, expected, by_secret())) == ("first", expected)


@pytest.mark.parametrize(
    "other",
    [
        token(HS256, claims(), by_secret()),
        token(HEADER, claims(), by_secret("another secret, just as long")),
        token(HEADER, claims(), by_secret()) + "=",
        token(HEADER, claims(), by_secret()).replace(".", "..", 1),
        token(HEADER, [], by_secret()),
        token(HEADER, b'{"exp": NaN}', by_secret()),
        token(HEADER, b"\xff", by_secret()),
        "",
        "..",
        *(
            _signed(f"{encoded(json.dumps(HEADER).encode())}.{payload}")
            for payload in (f"{PAYLOAD}.{PAYLOAD}", f"{PAYLOAD}!", f"{PAYLOAD}==", f"\n{PAYLOAD}", f".{PAYLOAD}")
        ),
    ],
    ids=[
        *("header", "secret", "padding", "dots", "no object", "no JSON", "no UTF-8", "empty", "only dots"),
        *("four parts", "a stray character", "padded claims", "white space", "an empty part"),
    ],
)
def test_the_library_looks_at_everything_else(signatures: SharedSecretSignatures, other: str) -> None:
    assert signatures.claims(other) is None


def test_claims_under_another_signature_are_not_read(signatures: SharedSecretSignatures) -> None:
    header, _, signature = token(HEADER, claims(), by_secret()).split(".")

    assert signatures.claims(f"{header}.{encoded(json.dumps(claims(sub='root')).encode())}.{signature}") is None


@pytest.mark.parametrize("more", [{"crit": ["exp"]}, {"b64": False}, {"x": 1}], ids=repr)
def test_headers_that_may_change_the_meaning_are_not_remembered(more: dict[str, object]) -> None:
    signatures, given = SharedSecretSignatures([JWT_SECRET.encode()]), token({**HS256, **more}, claims(), by_secret())

    signatures.remember(given, None)

    assert signatures.claims(given) is None


@pytest.mark.parametrize("header", [b'{"alg":"HS256","typ":NaN}', b'{"alg":"HS256","typ":"\\ud800"}', b"\xff\xfe{"])
def test_headers_that_only_the_library_can_read_are_left_to_it(header: bytes) -> None:
    signatures, given = SharedSecretSignatures([JWT_SECRET.encode()]), token(header, claims(), by_secret())

    signatures.remember(given, None)

    assert signatures.claims(given) is None


def test_few_headers_are_remembered() -> None:
    signatures = SharedSecretSignatures([JWT_SECRET.encode()])
    tokens = [token({**HS256, "kid": str(number)}, claims(), by_secret()) for number in range(100)]
    for number, given in enumerate(tokens):
        signatures.remember(given, str(number))

    assert [signatures.claims(given) is not None for given in tokens] == [True] * 64 + [False] * 36
