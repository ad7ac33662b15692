"""Tokens that are signed as they should be and do not say what they should say."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial

import pytest

from tests.http.services import Caller, running, settings
from tests.http.tokens import (
    EXPIRED,
    HS256,
    TURNED_AWAY,
    answer_to,
    by_secret,
    claims,
    good_token,
    seconds_from_now,
    token,
)

ISSUER, AUDIENCE = "https://id.example.org", "tallystick-app"

NO_TIMES: list[object] = [float("nan"), float("inf"), float("-inf"), -(10**18), 10**18, "0", True, [0], {}]

BAD_CLAIMS: dict[str, Callable[[], object]] = {
    "no exp": lambda: claims(exp=...),
    "exp null": lambda: claims(exp=None),
    "exp before the year 2": lambda: claims(exp=datetime(2, 1, 1, tzinfo=UTC).timestamp() - 1),
    "exp after the year 9998": lambda: claims(exp=int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())),
    "exp in milliseconds": lambda: claims(exp=seconds_from_now(600) * 1000),
    "exp of four hundred digits": lambda: claims(exp=10**400),
    "exp minus four hundred digits": lambda: claims(exp=-(10**400)),
    "exp minus without end": lambda: claims(exp=float("-inf")),
    **{f"{claim} {value!r}": partial(claims, **{claim: value}) for claim in ("nbf", "iat") for value in NO_TIMES},
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

OVER: dict[str, Callable[[], int]] = {
    "a minute ago": lambda: seconds_from_now(-60),
    "exactly the leeway ago": lambda: seconds_from_now(-30),
    "zero": lambda: 0,
    "before 1970": lambda: -seconds_from_now(600),
    "in the first second that a time may lie in": lambda: int(datetime(2, 1, 1, tzinfo=UTC).timestamp()),
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


@pytest.mark.parametrize("row", OVER)
async def test_a_caller_with_a_good_token_learns_that_it_has_expired(anyone: Caller, row: str) -> None:
    signed = token(HS256, claims(exp=OVER[row]()), by_secret())

    assert await answer_to(anyone, f"Bearer {signed}") == EXPIRED


async def test_a_token_may_end_in_the_last_second_of_the_year_9998(anyone: Caller) -> None:
    last = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) - 1

    status, *_ = await answer_to(anyone, f"Bearer {good_token(exp=last, nbf=0.5, iat=-1)}")

    assert status == 200


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
