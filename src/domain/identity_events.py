"""Identity events: changes of users at the identity provider, delivered at least once and in any order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from tallystick.domain.users import Profile, ProfileField, UniqueField, User, UserId

EventKind = Literal["created", "updated", "deleted"]


class IdentityEvent(msgspec.Struct, frozen=True):
    """One delivery of the provider's webhook about one user."""

    delivery_id: str
    kind: EventKind
    user_id: UserId
    occurred_at: datetime
    """The provider's time of the change. Profiles are ordered by it, not by the order of arrival."""
    sent_at: datetime
    """The time when the provider sent this delivery."""
    received_at: datetime
    profile: Profile = Profile()
    clears: frozenset[ProfileField] = frozenset()
    """The fields that become empty where the profile has no value for them."""
    proves: frozenset[UniqueField] = frozenset()
    """The claims of the profile that the provider verified. Only these can take a name from another user."""
    phone_confirmed: bool = False

    def without(self, claim: UniqueField) -> "IdentityEvent":
        """Return the event without a claim that another user keeps."""
        profile = msgspec.structs.replace(self.profile, **{claim: None})
        return msgspec.structs.replace(self, profile=profile, proves=self.proves - {claim})


class Deliveries(Protocol):
    """Deliveries that took effect, kept for longer than a signature stays valid."""

    async def claim(self, events: Sequence[IdentityEvent]) -> set[str]:
        """Store the deliveries and return the ids that were not there before."""

    async def forget(self, *, before: datetime, limit: int) -> int:
        """Drop at most `limit` deliveries older than that and return how many."""


def is_out_of_order(event: IdentityEvent, user: User) -> bool:
    """Return whether an event arrived after a later event, or before an earlier one."""
    if user.deleted_at is not None:
        return True
    if user.profile_at is None:
        return event.kind != "created"
    return event.occurred_at < user.profile_at


def carries_profile(event: IdentityEvent, user: User) -> bool:
    """Return whether the event changes the profile: the user is not deleted, and the profile is not newer."""
    if user.deleted_at is not None or event.kind == "deleted":
        return False
    return user.profile_at is None or event.occurred_at >= user.profile_at


def apply(event: IdentityEvent, user: User) -> User:
    """Return the user after the event. Deletion is final."""
    if event.kind == "deleted":
        return user.deleted(event.received_at)
    if carries_profile(event, user):
        merged = user.merged_with(event.profile, clears=event.clears, proves=event.proves, at=event.occurred_at)
        return msgspec.structs.replace(merged, profile_at=event.occurred_at)
    return user


def yields_claim(holder: User, claim: UniqueField, event: IdentityEvent) -> bool:
    """Return whether a holder loses an e-mail address or username to the event.

    Only a verified claim takes it, and not from a holder whose own claim the provider verified later.
    """
    proved_at = holder.proved_at(claim)
    return claim in event.proves and (proved_at is None or proved_at <= event.occurred_at)
