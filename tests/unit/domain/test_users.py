"""Valid user ids and addresses, and texts that may be stored."""

import pytest

from tallystick.domain.users import email_key, is_email, is_plain, is_user_id


@pytest.mark.parametrize(
    "text", ["a", "x" * 128, "user_29w83sxmDNGwOuEthce5gg56FcC", "auth0|5f7c", "a@b.c", "A:b-c_d.e"]
)
def test_ids_of_identity_providers_are_taken(text: str) -> None:
    assert is_user_id(text)


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "a\n", "a/b", "é", "a\x00", None, 7, True, ["a"]])
def test_anything_else_names_nobody(text: object) -> None:
    assert not is_user_id(text)


@pytest.mark.parametrize("text", ["a@b", "ada+tag@example.org", "é@exämple.org", f"{'x' * 248}@b.com"])
def test_addresses_are_taken_as_providers_send_them(text: str) -> None:
    assert is_email(text)


@pytest.mark.parametrize("text", ["", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "a\x00@b", f"{'x' * 249}@b.com"])
def test_a_text_that_is_no_address_is_none(text: str) -> None:
    assert not is_email(text)


def test_addresses_are_compared_without_regard_to_case() -> None:
    assert email_key("Ada@Example.ORG") == email_key("ada@example.org")


def test_plain_text_has_a_length_and_no_control_characters() -> None:
    assert is_plain("x", longest=1)
    assert is_plain("Ada Lovelace 💡", longest=128)
    for text in ("", "xx", "\n", "\x7f", "\x00"):
        assert not is_plain(text, longest=1)
