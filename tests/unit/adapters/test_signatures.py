"""Signatures, held against the specification's own library; and secrets, which no message repeats."""

import base64
import secrets
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from adapters.webhooks.signatures import SignatureInvalid, Signed, WebhookSecrets

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = st.binary(min_size=16, max_size=64)
IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)
BODIES = st.text(st.characters(exclude_categories=["Cs"]), max_size=2000)
SECONDS = st.integers(1, 9_999_999_999)
OFFSETS = st.integers(-290, 290)
PREFIXES = st.sampled_from(["webhook", "svix"])


def secret_of(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def headers_of(message_id: str, seconds: int, signature: str, *, prefix: str = "webhook") -> dict[str, str]:
    return {f"{prefix}-id": message_id, f"{prefix}-timestamp": str(seconds), f"{prefix}-signature": signature}


def ours_takes(key: bytes, headers: dict[str, str], body: bytes, now: datetime) -> bool:
    try:
        WebhookSecrets([key]).verify(headers, body, now)
    except SignatureInvalid:
        return False
    return True


def theirs_takes(key: bytes, headers: dict[str, str], body: str) -> bool:
    try:
        Webhook(secret_of(key)).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


class TestAgainstTheSpecificationsLibrary:
    @untimed
    @given(KEYS, IDS, SECONDS, BODIES)
    def test_both_sign_alike(self, key: bytes, message_id: str, seconds: int, body: str) -> None:
        theirs = Webhook(secret_of(key)).sign(message_id, at(seconds), body)

        assert WebhookSecrets.parse(secret_of(key)).sign(message_id, at(seconds), body.encode()) == theirs

    @untimed
    @given(KEYS, IDS, SECONDS, BODIES, PREFIXES)
    def test_what_they_sign_holds_here(self, key: bytes, message_id: str, seconds: int, body: str, prefix: str) -> None:
        signature = Webhook(secret_of(key)).sign(message_id, at(seconds), body)
        headers = headers_of(message_id, seconds, signature, prefix=prefix)

        signed = WebhookSecrets.parse(secret_of(key)).verify(headers, body.encode(), at(seconds))

        assert signed == Signed(message_id, at(seconds))

    @untimed
    @given(KEYS, IDS, OFFSETS, BODIES)
    def test_what_we_sign_holds_there(self, key: bytes, message_id: str, offset: int, body: str) -> None:
        seconds = int(time.time()) + offset
        signature = WebhookSecrets([key]).sign(message_id, at(seconds), body.encode())

        assert theirs_takes(key, headers_of(message_id, seconds, signature), body)

    @untimed
    @given(KEYS, IDS, OFFSETS, BODIES, st.data())
    def test_both_refuse_a_message_of_which_a_part_was_not_signed(
        self, key: bytes, message_id: str, offset: int, body: str, data: st.DataObject
    ) -> None:
        now = int(time.time())
        signature = WebhookSecrets([key]).sign(message_id, at(now + offset), body.encode())
        part = data.draw(st.sampled_from(["id", "time", "body"]))
        other_id = data.draw(IDS) if part == "id" else message_id
        other_offset = data.draw(OFFSETS) if part == "time" else offset
        other_body = data.draw(BODIES) if part == "body" else body
        headers = headers_of(other_id, now + other_offset, signature)
        is_same = (other_id, other_offset, other_body) == (message_id, offset, body)

        assert ours_takes(key, headers, other_body.encode(), at(now)) is is_same
        assert theirs_takes(key, headers, other_body) is is_same

    @untimed
    @given(KEYS, KEYS, IDS, BODIES)
    def test_both_refuse_another_key(self, key: bytes, other: bytes, message_id: str, body: str) -> None:
        now = int(time.time())
        headers = headers_of(message_id, now, WebhookSecrets([other]).sign(message_id, at(now), body.encode()))
        # HMAC fills keys up with zeros, so that two that differ in those alone are one.
        is_same = key.rstrip(b"\0") == other.rstrip(b"\0")

        assert ours_takes(key, headers, body.encode(), at(now)) is is_same
        assert theirs_takes(key, headers, body) is is_same

    @untimed
    @given(
        st.text(st.characters(codec="latin-1"), max_size=40),
        st.one_of(st.text(st.characters(codec="latin-1"), max_size=20), SECONDS.map(str)),
        st.text(st.characters(codec="latin-1"), max_size=120),
        st.binary(max_size=100),
    )
    def test_whatever_headers_hold_is_refused_and_nothing_else_is_raised(
        self, message_id: str, timestamp: str, signature: str, body: bytes
    ) -> None:
        headers = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}

        assert not ours_takes(secrets.token_bytes(32), headers, body, datetime.now(UTC))


class TestVerifying:
    @untimed
    @given(st.binary(max_size=200))
    def test_a_body_may_be_any_bytes(self, body: bytes) -> None:
        key, now = secrets.token_bytes(32), datetime.now(UTC)
        headers = headers_of("msg_1", int(now.timestamp()), WebhookSecrets([key]).sign("msg_1", now, body))

        assert ours_takes(key, headers, body, now)
        assert not ours_takes(key, headers, body + b"\n", now)

    @pytest.mark.parametrize(
        ("microseconds", "takes"),
        [(-300_000_001, False), (-300_000_000, True), (300_000_000, True), (300_000_001, False)],
    )
    def test_five_minutes_are_exact_to_the_microsecond(self, microseconds: int, takes: bool) -> None:
        key, sent_at = secrets.token_bytes(32), at(1_767_225_600)
        headers = headers_of("msg_1", 1_767_225_600, WebhookSecrets([key]).sign("msg_1", sent_at, b"{}"))

        assert ours_takes(key, headers, b"{}", sent_at + timedelta(microseconds=microseconds)) is takes

    def test_we_sign_with_the_newest_secret_and_verify_with_all(self) -> None:
        old, new, now = secrets.token_bytes(32), secrets.token_bytes(32), at(1_767_225_600)
        both = WebhookSecrets.parse(f"{secret_of(old)} {secret_of(new)}")

        assert both.sign("msg_1", now, b"{}") == WebhookSecrets([new]).sign("msg_1", now, b"{}")
        for key in (old, new):
            signature = WebhookSecrets([key]).sign("msg_1", now, b"{}")
            assert both.verify(headers_of("msg_1", 1_767_225_600, signature), b"{}", now).sent_at == now


TELLING = "c2VjcmV0LXRoYXQtbXVzdC1uZXZlci1zaG93"
"""Base64 of a text that no message may hold."""
GOOD = secret_of(b"a good secret, that is to be kept")


class TestSecrets:
    @pytest.mark.parametrize("length", [16, 24, 33, 64])
    @pytest.mark.parametrize("form", ["whsec_{}", "v1,whsec_{}", " whsec_{}\n"])
    def test_they_are_read_as_providers_show_them_padded_or_not(self, length: int, form: str) -> None:
        key, now = secrets.token_bytes(length), at(1_767_225_600)
        padded = base64.b64encode(key).decode()

        for written in (padded, padded.rstrip("=")):
            read = WebhookSecrets.parse(form.format(written))
            assert read.sign("msg_1", now, b"{}") == WebhookSecrets([key]).sign("msg_1", now, b"{}")

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (TELLING, "does not start with whsec_"),
            (f"WHSEC_{TELLING}", "does not start with whsec_"),
            (f"v2,whsec_{TELLING}", "does not start with whsec_"),
            (f"v1,{TELLING}", "does not start with whsec_"),
            (f"whsec_{TELLING}!", "is not base64"),
            (f"whsec_{TELLING}-_", "is not base64"),
            (f"whsec_{TELLING}x", "is not base64"),
            (f"whsec_é{TELLING}", "is not base64"),
            (f"whsec_{TELLING}==whsec_", "is not base64"),
            ("whsec_", "holds 0 bytes"),
            (f"whsec_{TELLING[:20]}", "holds 15 bytes"),
            (f"whsec_{TELLING[:32] * 3}", "holds 72 bytes"),
        ],
    )
    @pytest.mark.parametrize("place", [1, 2, 3])
    def test_what_is_wrong_is_said_with_its_place_and_without_the_secret(
        self, wrong: str, said: str, place: int
    ) -> None:
        words = [GOOD] * 3
        words[place - 1] = wrong

        with pytest.raises(ValueError, match=f"^secret {place} {said}") as refused:
            WebhookSecrets.parse(" ".join(words))

        told = f"{refused.value!r}{refused.value.__cause__!r}"
        assert not any(part in told for part in (TELLING[:8], TELLING[-8:], GOOD.removeprefix("whsec_")))

    @pytest.mark.parametrize("count", [0, 11])
    def test_one_to_ten_are_needed(self, count: int) -> None:
        with pytest.raises(ValueError, match=r"^1 to 10 secrets are needed$"):
            WebhookSecrets.parse(" ".join([GOOD] * count))

    def test_ten_may_be_given(self) -> None:
        WebhookSecrets.parse(" ".join([GOOD] * 10))
