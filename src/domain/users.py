"""Users: the users of the identity provider, their profiles, and how a profile changes."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, NewType, Protocol, get_args

import msgspec

from tallystick.domain.refusals import Refusal
from tallystick.domain.usernames import is_visible, username_key

UserId = NewType("UserId", str)
"""Opaque text of the identity provider: 1 to 128 of `A-Z a-z 0-9 _ . : | @ -`."""

ProfileField = Literal["email", "username", "display_name", "phone"]
UniqueField = Literal["email", "username"]
"""A profile field that only one living user can hold at a time."""
UNIQUE_FIELDS: tuple[UniqueField, ...] = get_args(UniqueField)

MAX_USER_ID_LENGTH = 128
MAX_EMAIL_LENGTH = 254
MAX_NAME_LENGTH = 128
MAX_PHONE_LENGTH = 32

_USER_ID = re.compile(r"[A-Za-z0-9_.:|@-]{1,128}\Z")
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+\Z")
_FEWEST_DIGITS = 3
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class UserDeleted(Refusal):
    """The user was deleted; the token of a deleted user may still be valid."""

    code = "USER_DELETED"

    def __init__(self) -> None:
        super().__init__("this user was deleted")


class UserNotFound(Refusal):
    """No user has this id or address, and no row names one."""

    code = "USER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("there is no such user")


class EmailTaken(Refusal):
    """A living user holds this e-mail address."""

    code = "EMAIL_TAKEN"

    def __init__(self) -> None:
        super().__init__("another user has this e-mail address")


class UsernameTaken(Refusal):
    """A living user holds this username."""

    code = "USERNAME_TAKEN"

    def __init__(self) -> None:
        super().__init__("another user has this username")


class Profile(msgspec.Struct, frozen=True):
    """The profile of a user; None for an unknown value."""

    email: str | None = None
    username: str | None = None
    display_name: str | None = None
    phone: str | None = None


class User(msgspec.Struct, frozen=True):
    """A user as stored. Rows are never removed: a deleted user keeps id, times and history."""

    user_id: UserId
    created_at: datetime
    profile: Profile = Profile()
    profile_at: datetime | None = None
    """The identity provider's time of the profile; None as long as only the user has set it."""
    referrals: int = 0
    """How many edges name this user as the inviter."""
    deleted_at: datetime | None = None

    email_proved_at: datetime | None = None
    """The identity provider's time of the event that verified the e-mail address; None where it is not verified."""
    username_proved_at: datetime | None = None
    username_key: str | None = None
    """The key that reserves the username. None also for an old duplicate: a name from a version without keys, which
    another user held first."""

    def merged_with(
        self,
        profile: Profile,
        *,
        clears: Collection[ProfileField] = (),
        proves: Collection[UniqueField] = (),
        at: datetime | None = None,
    ) -> "User":
        """Return the user with the values of the profile; `proves` names the claims that were verified at that time.

        A field without a value stays as it is, or becomes empty where `clears` names it. A claim that changes without
        a verification is not verified any more.
        """
        values = {
            name: value if value is not None or name in clears else getattr(self.profile, name)
            for name, value in msgspec.structs.asdict(profile).items()
        }
        merged = Profile(**values)
        proved = {claim for claim in proves if getattr(profile, claim) is not None}
        keeps_email = merged.email is not None and _is_same_email(merged.email, self.profile.email)
        if merged.username == self.profile.username and "username" not in proved:
            key = self.username_key
        else:
            key = username_key(merged.username) if merged.username is not None else None
        keeps_username = key is not None and key == self.username_key
        return msgspec.structs.replace(
            self,
            profile=merged,
            username_key=key,
            email_proved_at=at if "email" in proved else self.email_proved_at if keeps_email else None,
            username_proved_at=at if "username" in proved else self.username_proved_at if keeps_username else None,
        )

    def proved_at(self, claim: UniqueField) -> datetime | None:
        """Return the time when the identity provider verified this claim; None where it did not."""
        return self.email_proved_at if claim == "email" else self.username_proved_at

    def deleted(self, at: datetime) -> "User":
        """Return the user without anything that names a person; an earlier deletion keeps its time."""
        if self.deleted_at is not None:
            return self
        return msgspec.structs.replace(
            self,
            profile=Profile(),
            deleted_at=at,
            email_proved_at=None,
            username_proved_at=None,
            username_key=None,
        )


class Users(Protocol):
    """Users by id. A row is never removed."""

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, User]:
        """Lock and return the users who exist, including deleted ones, in key order."""

    async def admit(self, user_ids: Collection[UserId], at: datetime) -> set[UserId]:
        """Create and lock the users who do not exist, and return their ids."""

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, User]:
        """Return the users who exist, without a lock."""

    async def deleted(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return the users who were deleted, without a lock."""

    async def deleted_since(self, *, after: tuple[datetime, UserId], limit: int) -> list[tuple[datetime, UserId]]:
        """Return deleted users with the times of their deletion, in that order, after (deleted at, user id)."""

    async def named(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return the users who are named by a row of another table, such as an account, a reward or an invite."""

    async def holders(self, *, emails: Collection[str], usernames: Collection[str]) -> list[User]:
        """Return the living users with one of these e-mail addresses or usernames, compared by their keys."""

    async def store(self, users: Sequence[User]) -> None:
        """Replace existing users."""


def is_user_id(text: object) -> bool:
    """Return whether a value from outside is a user id."""
    return isinstance(text, str) and _USER_ID.match(text) is not None


def email_key(email: str) -> str:
    """Return the key by which e-mail addresses are compared."""
    return email.lower()


def _is_same_email(email: str, other: str | None) -> bool:
    return other is not None and email_key(email) == email_key(other)


def is_email(text: str) -> bool:
    """Return whether a text has the shape of an e-mail address, of at most 254 characters.

    Characters that cannot be seen, and compatibility forms of others, would make one address look like another.
    """
    if len(text) > MAX_EMAIL_LENGTH or _EMAIL.match(text) is None:
        return False
    return text.isascii() or (is_visible(text) and unicodedata.is_normalized("NFKC", text))


def is_phone(text: str) -> bool:
    """Return whether a text can be dialled: at least three digits, of at most 32 characters."""
    return is_plain(text, longest=MAX_PHONE_LENGTH) and len(phone_digits(text)) >= _FEWEST_DIGITS


def phone_digits(phone: str) -> str:
    """Return the digits of a phone number, by which its spellings are compared."""
    return "".join(character for character in phone if character in "0123456789")


def is_plain(text: str, *, longest: int) -> bool:
    """Return whether a text is 1 to `longest` characters without control characters."""
    return 0 < len(text) <= longest and _CONTROL.search(text) is None
