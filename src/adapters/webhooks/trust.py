"""The trust table: where each identity provider writes each field of a user, and what proves it.

The reader of payloads follows this table, and `docs/webhooks.md` is rendered from it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from tallystick.domain.users import ProfileField

Provider = Literal["plain", "clerk", "supabase", "auth0", "stack_auth"]


class Proof(msgspec.Struct, frozen=True):
    """A member that states that a value was verified."""

    member: str
    says: Literal["true", "verified", "time"]
    """The literal true, the text "verified", or a time after 1970 that is not in the future."""


class Source(msgspec.Struct, frozen=True):
    """A member that a value is read from, and what proves the value.

    Members are paths: `a.b` is a member of a member, `list[id_member]` the entry of a list whose id stands in
    `id_member`, `list[0]` the first entry, and `a + b` two texts with a space between them.
    """

    member: str
    proofs: tuple[Proof, ...] = ()
    is_kept_unique: bool = False
    """True where the provider itself gives the value to one user only; that proves it."""
    is_written_by_users: bool = False


class FieldTrust(msgspec.Struct, frozen=True):
    """How one field of one provider is read: the first source with a usable value counts."""

    sources: tuple[Source, ...]
    is_cleared_when_absent: bool = False
    """True where a body that has no usable value clears the field; `null` always does."""


class ProviderTrust(msgspec.Struct, frozen=True):
    """Everything that is read from the bodies of one provider."""

    title: str
    is_full_state: bool
    """True where a body is the user's whole state, so that a member without a value clears what was there."""
    updated_at: tuple[str, ...]
    created_at: tuple[str, ...]
    """The member with the time of the change, for events about the creation of a user."""
    fields: Mapping[ProfileField, FieldTrust]
    omits_removed_values: bool = False
    """True where a missing member means that the value is gone; otherwise a missing member changes nothing."""


_CLERK_EMAIL, _CLERK_PHONE = "email_addresses[primary_email_address_id]", "phone_numbers[primary_phone_number_id]"

TRUST: Mapping[Provider, ProviderTrust] = MappingProxyType(
    {
        "plain": ProviderTrust(
            title="Standard Webhooks with a plain user",
            is_full_state=False,
            updated_at=("updated_at",),
            created_at=("created_at",),
            fields={
                "email": FieldTrust((Source("email", (Proof("email_verified", "true"),)),)),
                "username": FieldTrust((Source("username", (Proof("username_verified", "true"),)),)),
                "display_name": FieldTrust((Source("display_name"), Source("name"))),
                "phone": FieldTrust(
                    (Source("phone", (Proof("phone_verified", "true"), Proof("phone_confirmed_at", "time"))),)
                ),
            },
        ),
        "clerk": ProviderTrust(
            title="Clerk",
            is_full_state=True,
            updated_at=("updated_at",),
            created_at=("created_at",),
            fields={
                "email": FieldTrust(
                    (
                        Source(
                            f"{_CLERK_EMAIL}.email_address",
                            (Proof(f"{_CLERK_EMAIL}.verification.status", "verified"),),
                        ),
                        Source("email_addresses[0].email_address"),
                    ),
                    is_cleared_when_absent=True,
                ),
                "username": FieldTrust((Source("username", is_kept_unique=True),), is_cleared_when_absent=True),
                "display_name": FieldTrust((Source("first_name + last_name"),), is_cleared_when_absent=True),
                "phone": FieldTrust(
                    (
                        Source(
                            f"{_CLERK_PHONE}.phone_number",
                            (Proof(f"{_CLERK_PHONE}.verification.status", "verified"),),
                        ),
                        Source(
                            "phone_numbers[0].phone_number",
                            (Proof("phone_numbers[0].verification.status", "verified"),),
                        ),
                    ),
                    is_cleared_when_absent=True,
                ),
            },
        ),
        "supabase": ProviderTrust(
            title="Supabase's database webhook",
            is_full_state=True,
            updated_at=("updated_at",),
            created_at=("created_at",),
            fields={
                "email": FieldTrust(
                    (Source("email", (Proof("email_confirmed_at", "time"),)),), is_cleared_when_absent=True
                ),
                # Supabase has no names of its own: the app may not write any, so that a missing name clears nothing.
                "username": FieldTrust((Source("raw_user_meta_data.username", is_written_by_users=True),)),
                "display_name": FieldTrust(
                    (
                        Source("raw_user_meta_data.display_name", is_written_by_users=True),
                        Source("raw_user_meta_data.full_name", is_written_by_users=True),
                        Source("raw_user_meta_data.name", is_written_by_users=True),
                    )
                ),
                "phone": FieldTrust(
                    (Source("phone", (Proof("phone_confirmed_at", "time"),)),), is_cleared_when_absent=True
                ),
            },
        ),
        "auth0": ProviderTrust(
            title="Auth0's event streams",
            is_full_state=True,
            omits_removed_values=True,
            updated_at=("updated_at",),
            created_at=("created_at",),
            fields={
                "email": FieldTrust(
                    (Source("email", (Proof("email_verified", "true"),)),), is_cleared_when_absent=True
                ),
                # Unique within one connection only, and most connections have none.
                "username": FieldTrust((Source("username", is_written_by_users=True),)),
                "display_name": FieldTrust((Source("name"), Source("nickname")), is_cleared_when_absent=True),
                "phone": FieldTrust(
                    (Source("phone_number", (Proof("phone_verified", "true"),)),), is_cleared_when_absent=True
                ),
            },
        ),
        "stack_auth": ProviderTrust(
            title="Stack Auth",
            is_full_state=True,
            updated_at=(),
            created_at=("signed_up_at_millis",),
            fields={
                "email": FieldTrust(
                    (Source("primary_email", (Proof("primary_email_verified", "true"),)),),
                    is_cleared_when_absent=True,
                ),
                "display_name": FieldTrust((Source("display_name"),), is_cleared_when_absent=True),
            },
        ),
    }
)
