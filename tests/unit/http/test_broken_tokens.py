"""Good tokens that were broken on the way, or are sent in another way than the scheme asks for."""

import base64
import json
from collections.abc import AsyncIterator, Callable

import pytest

from tests.http.services import Caller, running, settings
from tests.http.tokens import NO_TOKEN, TURNED_AWAY, answer_to, by_secret, claims, encoded, good_token, token


def header_of(text: str) -> str:
    return text.split(".", maxsplit=1)[0]


def claims_of(text: str) -> str:
    return text.split(".")[1]


def signature_of(text: str) -> str:
    return text.split(".")[2]


def resigned(text: str, signature: bytes) -> str:
    return f"{header_of(text)}.{claims_of(text)}.{encoded(signature)}"


def raw_signature_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(signature_of(text) + "=")


BROKEN: dict[str, Callable[[str], str]] = {
    "one part": header_of,
    "two parts": lambda text: f"{header_of(text)}.{claims_of(text)}",
    "four parts": lambda text: f"{text}.{signature_of(text)}",
    "five parts, as if encrypted": lambda text: f"{header_of(text)}.{claims_of(text)}.{text}",
    "a dot behind it": lambda text: f"{text}.",
    "a dot before it": lambda text: f".{text}",
    "only dots": lambda _: "..",
    "no signature": lambda text: f"{header_of(text)}.{claims_of(text)}.",
    "no claims": lambda text: f"{header_of(text)}..{signature_of(text)}",
    "signature cut by a character": lambda text: text[:-1],
    "signature cut by a byte": lambda text: resigned(text, raw_signature_of(text)[:-1]),
    "signature cut in half": lambda text: resigned(text, raw_signature_of(text)[:16]),
    "signature longer by a byte": lambda text: resigned(text, raw_signature_of(text) + b"\x00"),
    "signature twice": lambda text: resigned(text, raw_signature_of(text) * 2),
    "signature changed in its first bit": lambda text: resigned(
        text, bytes([raw_signature_of(text)[0] ^ 0x80]) + raw_signature_of(text)[1:]
    ),
    "signature changed in its last bit": lambda text: resigned(
        text, raw_signature_of(text)[:-1] + bytes([raw_signature_of(text)[-1] ^ 1])
    ),
    "signature in capitals": lambda text: f"{header_of(text)}.{claims_of(text)}.{signature_of(text).upper()}",
    "signature padded": lambda text: f"{text}=",
    "other claims under the signature": lambda text: (
        f"{header_of(text)}.{encoded(json.dumps(claims(sub='root')).encode())}.{signature_of(text)}"
    ),
    "another header over the signature": lambda text: (
        f"{header_of(token({'alg': 'HS256'}, claims(), by_secret()))}.{claims_of(text)}.{signature_of(text)}"
    ),
    "signature of another token": lambda text: (
        f"{header_of(text)}.{claims_of(text)}.{signature_of(good_token(sub='bob'))}"
    ),
    "header and claims exchanged": lambda text: f"{claims_of(text)}.{header_of(text)}.{signature_of(text)}",
    "not base64": lambda text: f"!{text[1:]}",
    "a space inside": lambda text: f"{text[:20]} {text[20:]}",
    "a tab inside": lambda text: f"{text[:20]}\t{text[20:]}",
    "a letter with an accent": lambda text: f"{text[:20]}é{text[21:]}",
    "a letter with an accent behind it": lambda text: f"{text}é",
    "white space of no header behind it": lambda text: f"{text}\xa0",
}

SENT_OTHERWISE: dict[str, Callable[[str], tuple[str, ...]]] = {
    "no scheme": lambda text: (text,),
    "scheme alone": lambda _: ("Bearer",),
    "scheme and a space": lambda _: ("Bearer ",),
    "empty header": lambda _: ("",),
    "another scheme": lambda text: (f"Basic {text}",),
    "basic credentials": lambda _: (f"Basic {base64.b64encode(b'ada:secret').decode()}",),
    "a scheme that begins alike": lambda text: (f"Bearers {text}",),
    "no space behind the scheme": lambda text: (f"Bearer{text}",),
    "a tab behind the scheme": lambda text: (f"Bearer\t{text}",),
    "nothing at all": lambda _: (),
}

SENT_TWICE: dict[str, Callable[[str], tuple[str, ...]]] = {
    "scheme twice": lambda text: (f"Bearer Bearer {text}",),
    "token in quotes": lambda text: (f'Bearer "{text}"',),
    "token twice": lambda text: (f"Bearer {text} {text}",),
    "two in one header": lambda text: (f"Bearer {text}, Bearer {text}",),
    "two headers": lambda text: (f"Bearer {text}", f"Bearer {text}"),
    "two headers, one of another scheme": lambda text: (f"Bearer {text}", "Basic YTpi"),
    "two headers, one empty": lambda text: (f"Bearer {text}", ""),
}


@pytest.fixture(scope="module")
async def anyone() -> AsyncIterator[Caller]:
    async with running(settings(), "memory") as (caller, _):
        await answer_to(caller, f"Bearer {good_token()}")  # its header is known from now on
        yield caller


@pytest.mark.parametrize("row", BROKEN)
async def test_a_good_token_that_was_broken_is_turned_away(anyone: Caller, row: str) -> None:
    assert await answer_to(anyone, f"Bearer {BROKEN[row](good_token())}") == TURNED_AWAY


@pytest.mark.parametrize("row", SENT_OTHERWISE)
async def test_a_good_token_that_is_not_sent_as_a_bearer_token_is_turned_away(anyone: Caller, row: str) -> None:
    assert await answer_to(anyone, *SENT_OTHERWISE[row](good_token())) == NO_TOKEN


@pytest.mark.parametrize("row", SENT_TWICE)
async def test_a_good_token_with_something_beside_it_is_turned_away(anyone: Caller, row: str) -> None:
    assert await answer_to(anyone, *SENT_TWICE[row](good_token())) == TURNED_AWAY
