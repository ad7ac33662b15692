"""Bodies of identity providers, as the document shows them: the members that the service reads.

`adapters/webhooks` reads these bodies member by member, and other members in them are ignored.
"""

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class ProviderUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user in a plain body. Clerk and Stack Auth send members of their own, which are read too."""

    id: str
    """The user id, which is the `sub` of the user's tokens."""
    email: str | None = None
    email_verified: bool | UnsetType = UNSET
    """True if the provider verified the address; only then it is taken from another user."""
    username: str | None = None
    username_verified: bool | UnsetType = UNSET
    """True if the provider gives the name to one user only."""
    display_name: str | None = None
    phone: str | None = None
    phone_verified: bool | UnsetType = UNSET
    """True if the provider verified the phone: it is then verified here for good."""
    created_at: datetime | UnsetType = UNSET


class UserEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event about a user: a plain body, or one of Clerk or Stack Auth."""

    type: Literal["user.created", "user.updated", "user.deleted"]
    """The change of the user; any other type is ignored."""
    data: ProviderUser
    """The user."""


class Auth0Object(msgspec.Struct, frozen=True, omit_defaults=True):
    """The user of an event of Auth0."""

    user_id: str
    email: str | None = None
    email_verified: bool | UnsetType = UNSET
    """True if the provider verified the address; only then it is taken from another user."""


class Auth0Data(msgspec.Struct, frozen=True):
    """The data of an event of Auth0."""

    object: Auth0Object
    """The user."""


class Auth0Event(msgspec.Struct, frozen=True):
    """An event of Auth0's event streams."""

    type: Literal["user.created", "user.updated", "user.deleted"]
    """The change of the user; any other type is ignored."""
    specversion: str
    """The version of CloudEvents."""
    data: Auth0Data
    """The user, in an object of its own."""


class SupabaseUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row of Supabase's table `auth.users`."""

    id: str
    email: str | None = None
    email_confirmed_at: str | None = None
    """The time at which the address was verified; null or empty if it was not."""
    phone: str | None = None
    phone_confirmed_at: str | None = None
    """The time at which the phone was verified; null or empty if it was not."""
    deleted_at: str | None = None


class SupabaseEvent(msgspec.Struct, frozen=True):
    """A change of a row, from Supabase's database webhook. Rows of other tables are ignored."""

    type: Literal["INSERT", "UPDATE", "DELETE"]
    """The change of the row."""
    schema: str
    """The schema of the table: `auth`."""
    table: str
    """The table: `users`."""
    record: SupabaseUser | None
    """The new row; null where it was deleted."""
    old_record: SupabaseUser | None
    """The old row; null where it was inserted."""


PROVIDER_EVENTS = (UserEvent, Auth0Event, SupabaseEvent)
"""The bodies that identity providers send."""
