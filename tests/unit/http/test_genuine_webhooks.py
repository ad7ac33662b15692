"""The other side of the line: deliveries that just hold, signed by the specification's own library."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tallystick.adapters.memory.ports import ManualClock
from tests.http.deliveries import REFUSED, Delivery, Target, and_also, genuine_delivery
from tests.http.replacements import stopped
from tests.http.services import WEBHOOK_SECRET, Caller, Serve, running, settings, signature_headers

NEXT_SECRET = f"whsec_{base64.b64encode(b'the webhook secret after that one').decode()}"
THIRD_SECRET = f"whsec_{base64.b64encode(b'a webhook secret of nobody here.').decode()}"
BEARER = "a bearer for the database webhook"
CREATED = {"type": "user.created", "data": {"id": "ada"}}
PROCESSED = (200, {"status": "processed"})
WRONG = f"v1,{base64.b64encode(bytes(32)).decode()}"
MALFORMED = ("v1", "v1,", ",", "", "v2,AAAA", "v1,!", "v1;x", "v1,\xe9", "v1a,AAAA", "x" * 500)


async def delivered(anyone: Caller, **how: str) -> tuple[int, object]:
    receipt = await anyone.deliver(CREATED, **how)  # type: ignore[arg-type]  # passed through
    return receipt.status_code, receipt.json()


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
async def test_both_names_are_read(anyone: Caller, prefix: str) -> None:
    assert await delivered(anyone, prefix=prefix) == PROCESSED


@pytest.mark.parametrize("form", ["{}", "v1,{}", "  {}\n", "v1,{} v1,{}"])
async def test_secrets_are_read_as_providers_show_them(serve: Serve, form: str) -> None:
    anyone = await serve(webhook_secrets=form.replace("{}", WEBHOOK_SECRET))

    assert await delivered(anyone) == PROCESSED


@pytest.mark.parametrize("secrets", [(WEBHOOK_SECRET, NEXT_SECRET), (NEXT_SECRET, WEBHOOK_SECRET)])
async def test_while_secrets_rotate_each_of_them_signs(serve: Serve, secrets: tuple[str, str]) -> None:
    anyone = await serve(webhook_secrets=" ".join(secrets))

    for secret in secrets:
        assert await delivered(anyone, secret=secret, message_id=secret[-8:]) == PROCESSED
    assert (await delivered(anyone, secret=THIRD_SECRET))[0] == 401


async def test_after_the_rotation_the_old_secret_signs_no_more(serve: Serve) -> None:
    anyone = await serve(webhook_secrets=NEXT_SECRET)

    assert (await delivered(anyone, secret=WEBHOOK_SECRET))[0] == 401


class TestSeveralSignatures:
    @pytest.fixture
    async def target(self) -> AsyncIterator[Target]:
        async with running(settings(), "memory") as (anyone, container):
            yield Target(anyone, container)

    @staticmethod
    async def status_of(target: Target, entries: list[str]) -> int:
        """Return the status of a delivery with these entries; {} stands for the genuine one."""
        genuine = genuine_delivery("ada")
        header = " ".join(entries).encode("latin-1").replace(b"{}", genuine.signature())
        return (await target.answer_to(genuine.sent(signature=header)))[0]

    @pytest.mark.parametrize("malformed", MALFORMED)
    async def test_a_malformed_one_does_not_spoil_a_good_one(self, target: Target, malformed: str) -> None:
        assert await self.status_of(target, [malformed, "{}"]) == 200
        assert await self.status_of(target, ["{}", malformed]) == 200

    async def test_nor_do_all_of_them(self, target: Target) -> None:
        assert await self.status_of(target, [*MALFORMED, "{}", *MALFORMED]) == 200

    async def test_the_twentieth_is_read_and_the_next_is_not(self, target: Target) -> None:
        assert await self.status_of(target, [*[WRONG] * 19, "{}"]) == 200
        assert await self.status_of(target, [*[WRONG] * 20, "{}"]) == 401

    async def test_providers_that_rotate_send_one_for_each_secret(self, serve: Serve) -> None:
        anyone = await serve(webhook_secrets=NEXT_SECRET)
        raw = b'{"type":"user.created","data":{"id":"ada"}}'
        by_both = [signature_headers(raw, secret=secret) for secret in (WEBHOOK_SECRET, NEXT_SECRET)]

        joined = {"webhook-signature": " ".join(signed["webhook-signature"] for signed in by_both)}

        assert (await anyone.deliver(raw, headers=joined)).status_code == 200


class TestTimes:
    """With time summary still, so that both sides of a line are one second apart."""

    @pytest.mark.parametrize(
        ("seconds", "taken"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)], ids=str
    )
    async def test_a_delivery_may_be_five_minutes_old_or_ahead(self, seconds: int, taken: bool) -> None:
        clock = ManualClock()
        async with running(settings(), "memory", stopped(clock)) as (anyone, container):
            delivery = Delivery("ada", b"%d" % clock.now().timestamp()).later(seconds)

            answer = await Target(anyone, container).answer_to(delivery.sent())

        assert (answer[0] == 200) is taken
        assert taken or answer == REFUSED


class TestIds:
    @pytest.mark.parametrize("message_id", [b"1", b"x" * 255, b"msg_!#$%&'*+-.^_`|~", b"a.b.c"], ids=len)
    async def test_an_id_is_visible_ascii(self, message_id: bytes) -> None:
        async with running(settings(), "memory") as (anyone, container):
            target = Target(anyone, container)

            answer = await target.answer_to(replace(genuine_delivery("ada"), message_id=message_id).sent())

            assert (answer[0], await target.holds("ada")) == (200, (1, 1))


class TestBearers:
    @pytest.mark.parametrize("secrets", [WEBHOOK_SECRET, "off"], ids=["beside signatures", "alone"])
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    async def test_an_unsigned_delivery_is_taken_by_its_bearer(self, serve: Serve, secrets: str, scheme: str) -> None:
        anyone = await serve(webhook_secrets=secrets, webhook_bearer=BEARER)
        authorization = {"authorization": f"{scheme} {BEARER}"}

        receipt = await anyone.post("/api/webhooks/auth", CREATED, headers=authorization)
        again = await anyone.post("/api/webhooks/auth", CREATED, headers=authorization)

        assert (receipt.status_code, receipt.json()) == PROCESSED
        assert again.json() == {"status": "duplicate"}

    async def test_a_signed_delivery_needs_no_bearer(self, serve: Serve) -> None:
        anyone = await serve(webhook_bearer=BEARER)

        assert await delivered(anyone) == PROCESSED

    async def test_a_genuine_signature_counts_beside_another_authorization(self) -> None:
        async with running(settings(webhook_bearer=BEARER), "memory") as (anyone, container):
            sent = and_also(genuine_delivery("ada").sent(), ("authorization", b"Bearer somebody's"))

            assert (await Target(anyone, container).answer_to(sent))[0] == 200
