"""Users: who the identity provider says exists, what we hold of them, and how a profile changes."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NewType, Protocol

import msgspec

from domain.refusals import Refusal

UserId = NewType("UserId", str)
"""Opaque text of the identity provider: 1 to 128 of `A-Z a-z 0-9 _ . : | @ -`."""

MAX_USER_ID_LENGTH = 128
MAX_EMAIL_LENGTH = 254
MAX_NAME_LENGTH = 128
MAX_PHONE_LENGTH = 32

_USER_ID = re.compile(r"[A-Za-z0-9_.:|@-]{1,128}\Z")
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+\Z")
_FEWEST_DIGITS = 3
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UserDeleted(Refusal):
    """The caller's account is gone, whatever their token says."""

    code = "USER_DELETED"

    def __init__(self) -> None:
        super().__init__("this user was deleted")


class UserNotFound(Refusal):
    """Nobody has been seen under this id or address, and no row names them."""

    code = "USER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no such user has been seen here")


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
    """What is told about a user; None stands for nothing told."""

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
    """The identity provider's time of the profile; None while only the user has told us."""
    referrals: int = 0
    """How many edges name this user as the inviter."""
    deleted_at: datetime | None = None

    def told(self, profile: Profile) -> "User":
        """Return the user with what was told; what was not told stays."""
        changes = {name: value for name, value in msgspec.structs.asdict(profile).items() if value is not None}
        return msgspec.structs.replace(self, profile=msgspec.structs.replace(self.profile, **changes))

    def deleted(self, at: datetime) -> "User":
        """Return the user without anything that names a person; who was deleted before stays so since then."""
        if self.deleted_at is not None:
            return self
        return msgspec.structs.replace(self, profile=Profile(), deleted_at=at)


class Users(Protocol):
    """Users by id. Nobody is ever removed."""

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, User]:
        """Lock and return those who exist, deleted ones included, in key order."""

    async def admit(self, user_ids: Collection[UserId], at: datetime) -> set[UserId]:
        """Create those who do not exist, and return and lock them."""

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, User]:
        """Return those who exist, without a lock."""

    async def deleted(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return those who were deleted, without a lock."""

    async def leavers(self, *, after: tuple[datetime, UserId], limit: int) -> list[tuple[datetime, UserId]]:
        """Return who was deleted, and when, in that order, behind (deleted at, user id)."""

    async def named(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return those whom a row of another table names: staged, given to, offering, inviting, seated or at work."""

    async def holders(self, *, emails: Collection[str], usernames: Collection[str]) -> list[User]:
        """Return the living users who hold one of these; e-mail addresses are compared without regard to case."""

    async def store(self, users: Sequence[User]) -> None:
        """Replace what is held of existing users."""


def is_user_id(text: object) -> bool:
    """Tell whether a foreign value can name a user."""
    return isinstance(text, str) and _USER_ID.match(text) is not None


def email_key(email: str) -> str:
    """Return what an e-mail address is compared by."""
    return email.lower()


def is_email(text: str) -> bool:
    """Tell whether a text has the shape of an e-mail address, of at most 254 characters."""
    return len(text) <= MAX_EMAIL_LENGTH and _EMAIL.match(text) is not None


def is_phone(text: str) -> bool:
    """Tell whether a text can be dialled: at least three digits, of at most 32 characters."""
    return is_plain(text, longest=MAX_PHONE_LENGTH) and len(phone_digits(text)) >= _FEWEST_DIGITS


def phone_digits(phone: str) -> str:
    """Return what two spellings of one number share."""
    return "".join(character for character in phone if character in "0123456789")


def is_plain(text: str, *, longest: int) -> bool:
    """Tell whether a text is 1 to `longest` characters without control characters."""
    return 0 < len(text) <= longest and _CONTROL.search(text) is None
