"""Tokens that are signed as they should be and do not say what they should say."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.services import Caller, running, settings
from tests.tokens import HS256, TURNED_AWAY, answer_to, by_secret, claims, good_token, seconds_from_now, token

ISSUER, AUDIENCE = "https://id.example.org", "tallystick-app"

BAD_CLAIMS: dict[str, Callable[[], object]] = {
    "no exp": lambda: claims(exp=...),
    "exp null": lambda: claims(exp=None),
    "exp of a minute ago": lambda: claims(exp=seconds_from_now(-60)),
    "exp exactly the leeway ago": lambda: claims(exp=seconds_from_now(-30)),
    "exp zero": lambda: claims(exp=0),
    "exp negative": lambda: claims(exp=-seconds_from_now(600)),
    "exp a string": lambda: claims(exp=str(seconds_from_now(600))),
    "exp true": lambda: claims(exp=True),
    "exp not a number": lambda: claims(exp=float("nan")),
    "exp without end": lambda: claims(exp=float("inf")),
    "exp past every float": lambda: b'{"sub":"ada","exp":1e999}',
    "exp of five thousand digits": lambda: b'{"sub":"ada","exp":' + b"9" * 5000 + b"}",
    "exp a list": lambda: claims(exp=[seconds_from_now(600)]),
    "nbf in the future": lambda: claims(nbf=seconds_from_now(120)),
    "nbf a string": lambda: claims(nbf="now"),
    "iat in the future": lambda: claims(iat=seconds_from_now(120)),
    "iat a string": lambda: claims(iat="now"),
    "no sub": lambda: claims(sub=...),
    "sub null": lambda: claims(sub=None),
    "sub empty": lambda: claims(sub=""),
    "sub of 129 characters": lambda: claims(sub="x" * 129),
    "sub with a space": lambda: claims(sub="ada lovelace"),
    "sub with a newline at its end": lambda: claims(sub="ada\n"),
    "sub with a slash": lambda: claims(sub="ada/bob"),
    "sub with an umlaut": lambda: claims(sub="ädä"),
    "sub with NUL": lambda: claims(sub="ada\x00"),
    "sub with half a surrogate pair": lambda: b'{"sub":"ada\\ud800","exp":%d}' % seconds_from_now(600),
    "sub a number": lambda: claims(sub=7),
    "sub true": lambda: claims(sub=True),
    "sub a list": lambda: claims(sub=["ada"]),
    "sub an object": lambda: claims(sub={"id": "ada"}),
    "claims a list": lambda: ["ada"],
    "claims a string": lambda: "ada",
    "claims null": lambda: None,
    "claims empty": lambda: b"",
    "claims not JSON": lambda: b"sub=ada",
    "claims not UTF-8": lambda: b'{"sub":"ada\xff"}',
    "claims nested too deep": lambda: (
        b'{"sub":"ada","exp":%d,"x":' % seconds_from_now(600) + b"[" * 1500 + b"]" * 1500 + b"}"
    ),
}

BAD_PARTIES: dict[str, dict[str, object]] = {
    "no iss": {"iss": ...},
    "iss null": {"iss": None},
    "another iss": {"iss": "https://id.example.com"},
    "iss with a slash at its end": {"iss": f"{ISSUER}/"},
    "iss in capitals": {"iss": ISSUER.upper()},
    "iss a list with ours": {"iss": [ISSUER]},
    "no aud": {"aud": ...},
    "aud null": {"aud": None},
    "another aud": {"aud": "another-app"},
    "aud that only begins like ours": {"aud": f"{AUDIENCE}-2"},
    "aud a list without ours": {"aud": ["another-app", "a-third-app"]},
    "aud an empty list": {"aud": []},
    "aud an object": {"aud": {AUDIENCE: True}},
}


@pytest.fixture(scope="module")
async def anyone() -> AsyncIterator[Caller]:
    async with running(settings(), "memory") as (caller, _):
        await answer_to(caller, f"Bearer {good_token()}")  # its header is known from now on
        yield caller


@pytest.fixture(scope="module")
async def particular() -> AsyncIterator[Caller]:
    """Return a caller of a service that knows from whom and for whom tokens have to be."""
    async with running(settings(jwt_issuer=ISSUER, jwt_audience=AUDIENCE), "memory") as (caller, _):
        yield caller


@pytest.mark.parametrize("row", BAD_CLAIMS)
async def test_a_token_that_says_too_little_or_too_much_is_turned_away(anyone: Caller, row: str) -> None:
    signed = token(HS256, BAD_CLAIMS[row](), by_secret())

    assert await answer_to(anyone, f"Bearer {signed}") == TURNED_AWAY


@pytest.mark.parametrize("row", BAD_PARTIES)
async def test_a_token_from_or_for_somebody_else_is_turned_away(particular: Caller, row: str) -> None:
    signed = good_token(**{"iss": ISSUER, "aud": AUDIENCE, **BAD_PARTIES[row]})

    assert await answer_to(particular, f"Bearer {signed}") == TURNED_AWAY


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["another-app", AUDIENCE]], ids=repr)
async def test_a_token_from_and_for_the_right_ones_is_taken(particular: Caller, audience: object) -> None:
    status, *_ = await answer_to(particular, f"Bearer {good_token(iss=ISSUER, aud=audience)}")

    assert status == 200


async def test_issuer_and_audience_do_not_matter_where_none_are_set(anyone: Caller) -> None:
    status, *_ = await answer_to(anyone, f"Bearer {good_token(iss='anybody', aud=['anything'])}")

    assert status == 200
