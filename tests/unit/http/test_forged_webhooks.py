"""Forged deliveries: all get the same answer and leave nothing behind, in the store or in their sender's knowledge."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count

import pytest

from tests.http.deliveries import KEY, REFUSED, Delivery, Sent, Target, and_also, genuine_delivery
from tests.http.services import WEBHOOK_SECRET, bearer, running, settings

BEARER = "a bearer for the database webhook"
SERVICES = {
    "signed": {},
    "bearer too": {"webhook_bearer": BEARER},
    "bearer alone": {"webhook_secrets": "off", "webhook_bearer": BEARER},
}
"""Services by what they recognise a delivery by."""


def url_safe(delivery: Delivery) -> Sent:
    """Return a delivery whose signature tells the two alphabets apart."""
    telling = next(
        drawn for number in count() if b"/" in (drawn := replace(delivery, message_id=b"msg_%d" % number)).encoded()
    )
    return telling.sent(signature=telling.signature().replace(b"+", b"-").replace(b"/", b"_"))


def without(prefix: str, name: str) -> Callable[[Delivery], Sent]:
    return lambda genuine: replace(genuine, prefix=prefix).sent(**{name: None})


def with_id(message_id: bytes) -> Callable[[Delivery], Sent]:
    return lambda genuine: replace(genuine, message_id=message_id).sent()


def with_time(form: Callable[[bytes], bytes]) -> Callable[[Delivery], Sent]:
    return lambda genuine: replace(genuine, timestamp=form(genuine.timestamp)).sent()


def with_signature(form: Callable[[bytes], bytes]) -> Callable[[Delivery], Sent]:
    """Return a forger who is given the genuine signature without its version."""
    return lambda genuine: genuine.sent(signature=form(genuine.encoded()))


WRONG = b"v1," + base64.b64encode(bytes(32))

BY_SIGNATURE: dict[str, Callable[[Delivery], Sent]] = {
    "no headers": lambda genuine: ([], genuine.body),
    **{
        f"no {prefix}-{name}": without(prefix, name)
        for prefix in ("webhook", "svix")
        for name in ("id", "timestamp", "signature")
    },
    "another secret": lambda genuine: genuine.sent(signature=genuine.signature(bytes(32))),
    "an empty secret": lambda genuine: genuine.sent(signature=genuine.signature(b"")),
    "the secret as it is written": lambda genuine: genuine.sent(signature=genuine.signature(WEBHOOK_SECRET.encode())),
    "SHA-1": lambda genuine: genuine.sent(signature=genuine.signature(digest="sha1")),
    "SHA-512": lambda genuine: genuine.sent(signature=genuine.signature(digest="sha512")),
    "a hash without a secret": lambda genuine: genuine.sent(
        signature=b"v1," + base64.b64encode(hashlib.sha256(genuine.body).digest())
    ),
    "a signature of the body alone": lambda genuine: genuine.sent(
        signature=b"v1," + base64.b64encode(hmac.digest(KEY, genuine.body, "sha256"))
    ),
    "another body": lambda genuine: genuine.sent(body=genuine.body.replace(b"created", b"deleted")),
    "a newline behind the body": lambda genuine: genuine.sent(body=genuine.body + b"\n"),
    "a space before the body": lambda genuine: genuine.sent(body=b" " + genuine.body),
    "the same JSON in other bytes": lambda genuine: genuine.sent(body=genuine.body.replace(b": ", b":")),
    "no body": lambda genuine: genuine.sent(body=b""),
    "another id": lambda genuine: genuine.sent(id=b"msg_2"),
    "another time": lambda genuine: genuine.sent(timestamp=genuine.later(1).timestamp),
    "the signature of another id": lambda genuine: genuine.sent(
        signature=replace(genuine, message_id=b"msg_2").signature()
    ),
    "the signature of another time": lambda genuine: genuine.sent(signature=genuine.later(1).signature()),
    "the signature of another body": lambda genuine: genuine.sent(
        signature=replace(genuine, user="somebody").signature()
    ),
    "six minutes old": lambda genuine: genuine.later(-360).sent(),
    "six minutes ahead": lambda genuine: genuine.later(360).sent(),
    "two ids": lambda genuine: and_also(genuine.sent(), ("webhook-id", b"msg_2")),
    "one id twice": lambda genuine: and_also(genuine.sent(), ("webhook-id", genuine.message_id)),
    "two timestamps": lambda genuine: and_also(genuine.sent(), ("webhook-timestamp", genuine.later(1).timestamp)),
    "one timestamp twice": lambda genuine: and_also(genuine.sent(), ("webhook-timestamp", genuine.timestamp)),
    "two signatures": lambda genuine: and_also(genuine.sent(), ("webhook-signature", WRONG)),
    "a forged id over what Svix signed": lambda genuine: and_also(
        replace(genuine, prefix="svix").sent(), ("webhook-id", b"msg_2")
    ),
    "forged names over what Svix signed": lambda genuine: and_also(
        replace(genuine, prefix="svix").sent(),
        ("webhook-id", b"msg_2"),
        ("webhook-timestamp", genuine.timestamp),
        ("webhook-signature", WRONG),
    ),
    "Svix's signature under our other names": lambda genuine: and_also(
        genuine.sent(signature=None), ("svix-signature", genuine.signature())
    ),
    "our signature under Svix's other names": lambda genuine: and_also(
        replace(genuine, prefix="svix").sent(signature=None), ("webhook-signature", genuine.signature())
    ),
    "id empty": with_id(b""),
    "id of 256 characters": with_id(b"x" * 256),
    "id of 300 characters": with_id(b"x" * 300),
    "id with spaces": with_id(b"msg 1"),
    "id with a space behind it": with_id(b"msg_1 "),
    "id with a tab": with_id(b"msg\t1"),
    "id with an accent": with_id("msg_é".encode("latin-1")),
    "id with DEL": with_id(b"msg_\x7f"),
    "time with a fraction": with_time(lambda now: now + b".75"),
    "time with an empty fraction": with_time(lambda now: now + b"."),
    "time with an exponent": with_time(lambda now: now + b"e0"),
    "time with a space before it": with_time(lambda now: b" " + now),
    "time with a space behind it": with_time(lambda now: now + b" "),
    "time with a newline behind it": with_time(lambda now: now + b"\n"),
    "time with an underscore": with_time(lambda now: now[:1] + b"_" + now[1:]),
    "time with a plus": with_time(lambda now: b"+" + now),
    "time with a minus": with_time(lambda now: b"-" + now),
    "time with a zero before it": with_time(lambda now: b"0" + now),
    "time in hexadecimal": with_time(lambda now: hex(int(now)).encode()),
    "time in milliseconds": with_time(lambda now: now + b"000"),
    "time in another script": with_time(
        lambda now: "".join(chr(0x660 + int(digit)) for digit in now.decode()).encode()
    ),
    "time in superscript": with_time(lambda now: now[:-1] + b"\xb9"),
    "time empty": with_time(lambda _: b""),
    "time zero": with_time(lambda _: b"0"),
    "time of eleven digits": with_time(lambda _: b"9" * 11),
    "time of five thousand digits": with_time(lambda _: b"9" * 5000),
    "time in words": with_time(lambda _: b"now"),
    "time not a number": with_time(lambda _: b"nan"),
    "signature empty": with_signature(lambda _: b""),
    "version alone": with_signature(lambda _: b"v1"),
    "version and a comma": with_signature(lambda _: b"v1,"),
    "another version": with_signature(lambda genuine: b"v2," + genuine),
    "a version in capitals": with_signature(lambda genuine: b"V1," + genuine),
    "the version of public keys": with_signature(lambda genuine: b"v1a," + genuine),
    "no version": with_signature(lambda genuine: genuine),
    "an empty version": with_signature(lambda genuine: b"," + genuine),
    "a semicolon for the comma": with_signature(lambda genuine: b"v1;" + genuine),
    "an equals sign for the comma": with_signature(lambda genuine: b"v1=" + genuine),
    "two commas": with_signature(lambda genuine: b"v1,," + genuine),
    "a space behind the comma": with_signature(lambda genuine: b"v1, " + genuine),
    "a comma behind it": with_signature(lambda genuine: b"v1," + genuine + b","),
    "in quotes": with_signature(lambda genuine: b'v1,"' + genuine + b'"'),
    "in hexadecimal": with_signature(lambda genuine: b"v1," + base64.b64decode(genuine).hex().encode()),
    "not base64": with_signature(lambda _: b"v1,!!!!"),
    "not ASCII": with_signature(lambda genuine: b"v1,\xe9" + genuine),
    "URL-safe base64": url_safe,
    "base64 without its padding": with_signature(lambda genuine: b"v1," + genuine.rstrip(b"=")),
    "cut in half": with_signature(lambda genuine: b"v1," + base64.b64encode(base64.b64decode(genuine)[:16])),
    "longer by a byte": with_signature(lambda genuine: b"v1," + base64.b64encode(base64.b64decode(genuine) + b"\0")),
    "with a tab between two": with_signature(lambda genuine: WRONG + b"\tv1," + genuine),
    "the genuine one as the twenty-first": with_signature(lambda genuine: b" ".join([WRONG] * 20 + [b"v1," + genuine])),
}

BY_BEARER: dict[str, tuple[str, bytes]] = {
    "where none is set": ("signed", f"Bearer {BEARER}".encode()),
    "empty where none is set": ("signed", b"Bearer "),
    "None where none is set": ("signed", b"Bearer None"),
    "a user's token": ("signed", bearer("mallory").encode()),
    **{
        f"{name}, {service}": (service, authorization)
        for service in ("bearer too", "bearer alone")
        for name, authorization in {
            "another": b"Bearer another one, just as long...",
            "cut": f"Bearer {BEARER[:-1]}".encode(),
            "longer": f"Bearer {BEARER}x".encode(),
            "in capitals": f"Bearer {BEARER.upper()}".encode(),
            "without a scheme": BEARER.encode(),
            "under another scheme": f"Basic {BEARER}".encode(),
            "twice": f"Bearer {BEARER}, Bearer {BEARER}".encode(),
            "with an accent": f"Bearer {BEARER}".encode() + b"\xe9",
            "empty": b"",
        }.items()
    },
}


@pytest.fixture(scope="module")
async def targets() -> AsyncIterator[dict[str, Target]]:
    async with AsyncExitStack() as services:
        yield {
            name: Target(*await services.enter_async_context(running(settings(**given), "memory")))
            for name, given in SERVICES.items()
        }


async def assert_refused_without_a_trace(target: Target, user: str, sent: Sent) -> None:
    before = await target.refusals()

    assert await target.answer_to(sent) == REFUSED
    assert await target.holds(user) == (0, 0)
    assert await target.refusals() == before + 1


@pytest.mark.parametrize("row", BY_SIGNATURE)
async def test_a_forged_signature_is_refused(targets: dict[str, Target], row: str) -> None:
    user = f"mallory-{list(BY_SIGNATURE).index(row)}"

    await assert_refused_without_a_trace(targets["signed"], user, BY_SIGNATURE[row](genuine_delivery(user)))


@pytest.mark.parametrize("row", BY_BEARER)
async def test_a_forged_bearer_is_refused(targets: dict[str, Target], row: str) -> None:
    user = f"mallory-{list(BY_BEARER).index(row)}-of-bearers"
    service, authorization = BY_BEARER[row]

    sent = [(b"authorization", authorization)], genuine_delivery(user).body

    await assert_refused_without_a_trace(targets[service], user, sent)


@pytest.mark.parametrize(
    "row", ["another body", "six minutes old", "signature empty", "no webhook-id", "version alone"]
)
async def test_a_good_bearer_does_not_help_a_forged_signature(targets: dict[str, Target], row: str) -> None:
    user = f"mallory-with-a-bearer-{row.replace(' ', '-')}"
    forged = BY_SIGNATURE[row](genuine_delivery(user))

    sent = and_also(forged, ("authorization", f"Bearer {BEARER}".encode()))

    await assert_refused_without_a_trace(targets["bearer too"], user, sent)


@pytest.mark.parametrize("service", ["signed", "bearer too"])
@pytest.mark.parametrize("prefix", ["webhook", "svix"])
async def test_the_delivery_that_the_forgers_began_with_is_accepted(
    targets: dict[str, Target], service: str, prefix: str
) -> None:
    user = f"ada-by-{prefix}"

    status, *_ = await targets[service].answer_to(replace(genuine_delivery(user), prefix=prefix).sent())

    assert (status, await targets[service].holds(user)) == (200, (1, 1))


REASONS: dict[str, tuple[dict[str, str], Callable[[Delivery], Sent], str]] = {
    "no headers": ({}, lambda genuine: ([], genuine.body), "neither the headers of a signature nor a bearer token"),
    "no id": ({}, without("webhook", "id"), "webhook-id or webhook-timestamp"),
    "old": ({}, with_time(lambda _: b"1000000000"), "compare the clocks"),
    "another secret": ({}, BY_SIGNATURE["another secret"], "no secret of TALLYSTICK_WEBHOOK_SECRETS"),
    "another bearer": (
        {"webhook_bearer": BEARER},
        lambda genuine: ([(b"authorization", b"Bearer another-bearer-token")], genuine.body),
        "none of TALLYSTICK_WEBHOOK_BEARER",
    ),
}


@pytest.mark.parametrize("case", REASONS)
async def test_the_operator_finds_the_reason_in_the_log(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    configured, forge, reason = REASONS[case]
    async with running(settings(**configured), "memory") as (anyone, container):
        status, _, body = await Target(anyone, container).answer_to(forge(genuine_delivery("mallory")))

    assert status == 401
    lines = [line for line in capsys.readouterr().out.splitlines() if "delivery refused" in line]
    assert len(lines) == 1
    assert reason in lines[0]
    assert reason.encode() not in body
