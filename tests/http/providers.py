"""Bodies of identity providers, built around what a test is about: the rest of each is as their documents show it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tallystick.adapters.webhooks.trust import Provider
from tallystick.domain.users import UniqueField

Body = dict[str, Any]
Members = Mapping[str, Any]
_ROW_TYPES = {"created": "INSERT", "updated": "UPDATE", "deleted": "DELETE"}
CONFIRMED_AT = "2026-01-01T09:00:00.5+00:00"

NOT_TRUE: tuple[Any, ...] = (False, None, "true", "", 1, 0, [], {}, [True], CONFIRMED_AT)
NOT_VERIFIED: tuple[Any, ...] = ("unverified", "expired", "failed", "Verified", "", None, True, 1, [], {}, ["verified"])
NO_TIMES: tuple[Any, ...] = (
    *("", " ", "false", "never", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"),
    *("20011231", "2026-W01-1", "2026W011", "1700000000"),
    *("9999-12-31T23:59:59Z", "2999-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "2026-02-30T00:00:00Z"),
    *(None, False, True, 0, 1, -1, 10**30, -(10**30), 1e300, [], {}, [CONFIRMED_AT], {"time": CONFIRMED_AT}),
)
ABSENT = object()
"""Stands for a member that is left out."""


def _plain(user: Members, kind: str) -> Body:
    return {"type": f"user.{kind}", "data": dict(user)}


def _clerk(user: Members, kind: str) -> Body:
    whole: Body = {
        "email_addresses": [],
        "primary_email_address_id": None,
        "phone_numbers": [],
        "primary_phone_number_id": None,
        "username": None,
        "first_name": None,
        "last_name": None,
        "unsafe_metadata": {"username": "vic"},
        "object": "user",
    }
    return {"type": f"user.{kind}", "object": "event", "data": {**whole, **user}}


def _supabase(user: Members, kind: str) -> Body:
    whole: Body = {
        "email": None,
        "email_confirmed_at": None,
        "phone": None,
        "phone_confirmed_at": None,
        "deleted_at": None,
        "raw_user_meta_data": {},
    }
    row, deleted = {**whole, **user}, kind == "deleted"
    return {
        "type": _ROW_TYPES[kind],
        "schema": "auth",
        "table": "users",
        "record": None if deleted else row,
        "old_record": row if deleted else None,
    }


def _auth0(user: Members, kind: str) -> Body:
    members = dict(user)
    members["user_id"] = members.pop("id")
    return {
        "id": "evt_1",
        "source": "urn:auth0:example.auth0app.com",
        "specversion": "1.0",
        "type": f"com.auth0.user.{kind}",
        "data": {"object": {"user_metadata": {"username": "vic"}, **members}},
        "a0tenant": "example",
        "a0stream": "est_1",
    }


def _stack_auth(user: Members, kind: str) -> Body:
    whole: Body = {
        "primary_email": None,
        "primary_email_verified": False,
        "display_name": None,
        "client_metadata": None,
    }
    return {"type": f"user.{kind}", "data": {**whole, **user}}


_BUILDERS: Mapping[Provider, Callable[[Members, str], Body]] = {
    "plain": _plain,
    "clerk": _clerk,
    "supabase": _supabase,
    "auth0": _auth0,
    "stack_auth": _stack_auth,
}


def body_of(provider: Provider, user_id: str, *, kind: str = "updated", **members: Any) -> Body:
    """Return a provider's body about a user with these members."""
    user = {name: value for name, value in members.items() if value is not ABSENT}
    return _BUILDERS[provider]({"id": user_id, **user}, kind)


class ClaimCase(NamedTuple):
    """One way in which a provider writes a claim, and whether it proves it."""

    provider: Provider
    claim: UniqueField
    is_proved: bool
    members: Callable[[str], Members]
    """The members of a user that claims a value."""

    def body(self, user_id: str, value: str, **members: Any) -> Body:
        return body_of(self.provider, user_id, **{**self.members(value), **members})


def _marked(
    provider: Provider, claim: UniqueField, member: str, mark: str, *, proof: Any, not_proofs: tuple[Any, ...]
) -> Any:
    def case(said: Any, *, is_proved: bool) -> ClaimCase:
        return ClaimCase(provider, claim, is_proved, lambda value: {member: value, mark: said})

    return [case(proof, is_proved=True), *(case(said, is_proved=False) for said in (*not_proofs, ABSENT))]


def _address(value: str, verification: Any, identifier: Any = "idn_1") -> Members:
    entry = {"id": identifier, "email_address": value, "verification": verification}
    return {name: each for name, each in entry.items() if each is not ABSENT}


def _clerk_addresses() -> Iterator[ClaimCase]:
    def case(verification: Any, primary: Any, *, is_proved: bool = False, identifier: Any = "idn_1") -> ClaimCase:
        return ClaimCase(
            "clerk",
            "email",
            is_proved,
            lambda value: {
                "email_addresses": [_address(value, verification, identifier)],
                "primary_email_address_id": primary,
            },
        )

    yield case({"status": "verified"}, "idn_1", is_proved=True)
    for status in NOT_VERIFIED:
        yield case({"status": status}, "idn_1")
    for verification in (None, ABSENT, {}, [], "verified", True):
        yield case(verification, "idn_1")
    for primary in (None, ABSENT, "", "idn_2", 0, [], {}):
        for verification in ({"status": "verified"}, {"status": "unverified"}, None):
            yield case(verification, primary)
    for primary, identifier in ((None, None), (1, True), (True, 1), (0, False), (1, 1.0), (1, 1), ([], []), ({}, {})):
        yield case({"status": "verified"}, primary, identifier=identifier)


def _metadata(value: Any) -> Members:
    return {"raw_user_meta_data": {"username": value}}


CLAIM_CASES: tuple[ClaimCase, ...] = (
    *_marked("plain", "email", "email", "email_verified", proof=True, not_proofs=NOT_TRUE),
    *_marked("plain", "username", "username", "username_verified", proof=True, not_proofs=NOT_TRUE),
    *_clerk_addresses(),
    ClaimCase("clerk", "username", True, lambda value: {"username": value}),
    *_marked("supabase", "email", "email", "email_confirmed_at", proof=CONFIRMED_AT, not_proofs=NO_TIMES),
    ClaimCase("supabase", "username", False, _metadata),
    *_marked("auth0", "email", "email", "email_verified", proof=True, not_proofs=NOT_TRUE),
    ClaimCase("auth0", "username", False, lambda value: {"username": value}),
    *_marked("stack_auth", "email", "primary_email", "primary_email_verified", proof=True, not_proofs=NOT_TRUE),
)
