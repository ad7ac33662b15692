"""Identity: the caller, their permissions, and what was verified about them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
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
    "overlays:manage",
    "profiles:read",
    "purchases:batch",
    "rewards:manage",
    "rewards:offer",
    "rooms:manage",
    "slips:write",
]

PERMISSIONS: Mapping[Permission, str] = MappingProxyType(
    {
        "admin:export": "exporting all rows of a kind",
        "admin:flags": "reading and switching flags",
        "admin:read": "reading the report of invariants",
        "admin:users": "deleting users",
        "credits:grant": "granting credits to users",
        "invites:create": "making invites",
        "invites:manage": "reading and revoking the invites of other users",
        "loyalty:award": (
            "awards in the name of the token's `sub`, to other users, of at most 10,000 points each, within the rate "
            "limit `award`"
        ),
        "loyalty:batch": "crediting points for batches of events",
        "loyalty:read": "reading the points, tiers, entries and pending accruals of every player",
        "loyalty:recover": "crediting pending accruals",
        "overlays:manage": "replacing and removing the overlays of sessions of other users",
        "profiles:read": "finding users by e-mail address",
        "purchases:batch": "purchases in the name of other users, in batches",
        "rewards:manage": "changing the rewards of other users",
        "rewards:offer": "offering rewards; every user may with `TALLYSTICK_REWARD_OFFERS=anyone`",
        "rooms:manage": "changing the rosters of stage rooms of other organisers",
        "slips:write": "opening, reading, completing and recovering rating slips",
    }
)
"""The routes that each permission allows. Routes name their permission, and tokens carry it."""

SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 128
"""In characters."""

VerificationSource = Literal["token", "webhook", "backfill"]


class IdentityMismatch(Refusal):
    """The body names another user than the token."""

    code = "IDENTITY_MISMATCH"
    member: str

    def __init__(self, member: str) -> None:
        super().__init__(f"{member} differs from the token")
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
    """The phone number in the token; only `phone_verified` says whether it was verified."""
    session: SessionKey | None = None
    """The session of the caller; None for a token of the identity provider."""
    token_ends_at: float | None = None
    """When the token ends, in seconds since 1970, as far as it is known."""

    def may(self, permission: Permission) -> bool:
        """Return whether the caller has a permission."""
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Raise PermissionMissing for callers without it."""
        if not self.may(permission):
            raise PermissionMissing(permission)


class Verification(msgspec.Struct, frozen=True):
    """A verified phone: a row that is inserted once, and so can never be unset."""

    user_id: UserId
    source: VerificationSource
    verified_at: datetime


class Verifications(Protocol):
    """Phone verifications by user; append-only."""

    async def verified(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return the users whose phone was ever verified."""

    async def record(self, verifications: Sequence[Verification]) -> None:
        """Store verifications; the first one of a user stays."""


class Credentials(msgspec.Struct, frozen=True):
    """The password hash of a user who signed up here; the password itself is not stored."""

    user_id: UserId
    password_hash: str | None
    """None where an identity provider signs the user in."""
    created_at: datetime


class IdentityDirectory(Protocol):
    """Credentials by user, where this service signs users in."""

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, Credentials]:
        """Return the credentials of the users who signed up here."""

    async def by_email(self, email: str) -> Credentials | None:
        """Return the credentials of the living user with this e-mail address."""

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, Credentials]:
        """Lock and return the credentials of the users who signed up here, in key order."""

    async def replace(self, credentials: Sequence[Credentials]) -> None:
        """Replace the locked credentials of users."""

    async def forget(self, user_ids: Collection[UserId]) -> None:
        """Drop the password hashes of these users; the record of the sign-up stays."""

    async def enrol(self, credentials: Sequence[Credentials]) -> None:
        """Store the credentials of users who sign up."""


class Passwords(Protocol):
    """Hashes passwords with a deliberately slow function, and checks them."""

    async def hashed(self, password: str) -> str:
        """Return a salted hash; Overloaded where too many hashes are waiting."""

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Return whether a password fits a hash, in the same time where there is no hash; Overloaded as above."""


class TokenVerifier(Protocol):
    """Bearer tokens of the identity provider, or sessions of our own."""

    async def verify(self, token: str) -> Principal:
        """Return the user of a token; TokenRefused where the token is not valid.

        IdentityKeysUnavailable where the keys to check it cannot be fetched at the moment.
        """


def is_fit(password: str) -> bool:
    """Return whether a password may be chosen."""
    return SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD
