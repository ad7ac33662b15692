"""Identity: who is calling, with which permissions, and what was verified of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from tallystick.domain.refusals import PermissionMissing, Refusal
from tallystick.domain.sessions import SessionKey
from tallystick.domain.users import UserId

Permission = Literal[
    "admin:export",
    "admin:flags",
    "admin:read",
    "admin:users",
    "credits:grant",
    "invites:create",
    "invites:manage",
    "loyalty:award",
    "loyalty:batch",
    "loyalty:read",
    "loyalty:recover",
    "profiles:read",
    "purchases:batch",
    "rewards:manage",
    "rewards:offer",
    "slips:write",
]

SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 128
"""In characters."""

VerificationSource = Literal["token", "webhook", "backfill"]


class IdentityMismatch(Refusal):
    """The body names somebody else than the token does."""

    code = "IDENTITY_MISMATCH"

    def __init__(self, member: str) -> None:
        super().__init__(f"{member} is not what the token says")
        self.member = member


class WeakPassword(Refusal):
    """The password is too short or too long."""

    code = "WEAK_PASSWORD"

    def __init__(self) -> None:
        super().__init__(f"a password of {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters is needed")


class IdentityExternal(Refusal):
    """An identity provider signs users in, not this service."""

    code = "IDENTITY_EXTERNAL"

    def __init__(self) -> None:
        super().__init__("the identity provider signs users in here")


class Principal(msgspec.Struct, frozen=True):
    """The acting user: always the token's subject."""

    user_id: UserId
    permissions: frozenset[str] = frozenset()
    phone_verified: bool = False
    phone: str | None = None
    """The user's number, as the token gives it; that it was verified only `phone_verified` says."""
    session: SessionKey | None = None
    """The session that the caller signed in with; None where a token of the identity provider came."""

    def require(self, permission: Permission) -> None:
        """Raise PermissionMissing for callers without it."""
        if permission not in self.permissions:
            raise PermissionMissing(permission)


class Verification(msgspec.Struct, frozen=True):
    """A phone was verified: a fact that is inserted once, so that it can never be unset."""

    user_id: UserId
    source: VerificationSource
    verified_at: datetime


class Verifications(Protocol):
    """Phone verifications by user; append-only."""

    async def verified(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return those whose phone was ever verified."""

    async def record(self, verifications: Sequence[Verification]) -> None:
        """Store them; the first one of a user stays."""


class Credentials(msgspec.Struct, frozen=True):
    """Who signed up here, and what they sign in with; the password itself is nowhere."""

    user_id: UserId
    password_hash: str | None
    """None where an identity provider signs them in."""
    created_at: datetime


class IdentityDirectory(Protocol):
    """Credentials by user, where sign-in is not left to an identity provider."""

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, Credentials]:
        """Return the credentials of those who signed up here."""

    async def by_email(self, email: str) -> Credentials | None:
        """Return the credentials of the living user with this e-mail address."""

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, Credentials]:
        """Lock and return the credentials of those who signed up here, in key order."""

    async def replace(self, credentials: Sequence[Credentials]) -> None:
        """Store other passwords of users whose credentials are locked."""

    async def forget(self, user_ids: Collection[UserId]) -> None:
        """Drop what these users sign in with; that they signed up stays."""

    async def enrol(self, credentials: Sequence[Credentials]) -> None:
        """Store the credentials of users who sign up."""


class Passwords(Protocol):
    """Turns passwords into hashes that can be checked, and takes its time for it."""

    async def hashed(self, password: str) -> str:
        """Return a salted hash; Overloaded where too many are being made."""

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Tell whether a password is the hashed one; takes as long where there is no hash. Overloaded as above."""


class TokenVerifier(Protocol):
    """Bearer tokens of the identity provider, or sessions of our own."""

    async def verify(self, token: str) -> Principal:
        """Return whom a token speaks for; TokenRefused for anything but a valid one.

        IdentityKeysUnavailable where nobody can tell at the moment.
        """


def is_fit(password: str) -> bool:
    """Tell whether a password may be chosen."""
    return SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD
