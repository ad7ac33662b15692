"""Users inside a transaction: locked, created where they are new, kept current while a batch is decided."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from tallystick.application.transactions import Stores, WriteConflict
from tallystick.domain.usernames import username_key
from tallystick.domain.users import EmailTaken, Profile, UniqueField, User, UserId, UsernameTaken, email_key


async def lock_or_create(stores: Stores, user_ids: Collection[UserId], at: datetime) -> dict[UserId, User]:
    """Lock these users and return them; users who do not exist are created."""
    users = await stores.users.lock(user_ids)
    unseen = [user_id for user_id in user_ids if user_id not in users]
    if unseen:
        await stores.users.admit(unseen, at)
        users |= await stores.users.lock(unseen)
    return users


async def holders_of(stores: Stores, profiles: Sequence[Profile]) -> list[User]:
    """Return the living users who hold an e-mail address or a username that these profiles claim."""
    emails = {profile.email for profile in profiles if profile.email is not None}
    usernames = {profile.username for profile in profiles if profile.username is not None}
    return await stores.users.holders(emails=emails, usernames=usernames) if emails or usernames else []


class UserBatch:
    """The locked users of a batch and the holders of claimed e-mail addresses and usernames, kept current."""

    def __init__(
        self, users: dict[UserId, User], holders: Iterable[User], *, newcomers: Iterable[UserId] = (), at: datetime
    ) -> None:
        """Take the locked users, and newcomers, who are created after `create`."""
        self._users = users | {user_id: User(user_id, at) for user_id in newcomers}
        self._newcomers = self._users.keys() - users.keys()
        self._created: set[UserId] = set()
        self._at = at
        self._stored = dict(self._users)
        self._changed: dict[UserId, User] = {}
        self._released: dict[UserId, User] = {}
        """Users as they were stored, without the claims that they give up."""
        self._by_email: dict[str, UserId] = {}
        self._by_username: dict[str, UserId] = {}
        for holder in holders:
            self._note(holder)

    def __getitem__(self, user_id: UserId) -> User:
        return self._users[user_id]

    def keep(self, user: User) -> None:
        """Replace a locked user."""
        before = self._users[user.user_id]
        if user == before:
            return
        old, new = before.profile, user.profile
        if old.email is not None and (new.email is None or email_key(new.email) != email_key(old.email)):
            self._by_email.pop(email_key(old.email), None)
            self._release(before, "email")
        if before.username_key is not None and user.username_key != before.username_key:
            self._by_username.pop(before.username_key, None)
            self._release(before, "username")
        self._note(user)
        self._users[user.user_id] = self._changed[user.user_id] = user

    def _release(self, before: User, claim: UniqueField) -> None:
        stored = self._released.get(before.user_id, self._stored[before.user_id])
        self._released[before.user_id] = stored.merged_with(Profile(), clears={claim})

    def others(self, user_id: UserId, profile: Profile) -> tuple[UserId | None, UserId | None]:
        """Return the other users who hold the e-mail address and the username of the profile."""
        by_email = self._by_email.get(email_key(profile.email)) if profile.email is not None else None
        by_username = self._by_username.get(username_key(profile.username)) if profile.username is not None else None
        return (None if by_email == user_id else by_email, None if by_username == user_id else by_username)

    def refusal(self, user_id: UserId, profile: Profile) -> EmailTaken | UsernameTaken | None:
        """Return why this user cannot have the profile; None where they can.

        A username that the user has already is not claimed again, even where another user held it first.
        """
        by_email, by_username = self.others(user_id, profile)
        if by_email is not None:
            return EmailTaken()
        is_own = profile.username == self._users[user_id].profile.username
        return UsernameTaken() if by_username is not None and not is_own else None

    def create(self, user_id: UserId) -> None:
        """Create the user where they are new; a newcomer who is not created is not stored."""
        if user_id in self._newcomers:
            self._created.add(user_id)

    def deleted(self) -> list[UserId]:
        """Return the users who were deleted by this batch."""
        return [user_id for user_id, user in self._changed.items() if user.deleted_at is not None]

    async def store(self, stores: Stores) -> None:
        """Store new and changed users; a claim that one user gives up is free before another user takes it.

        WriteConflict where another transaction created a newcomer meanwhile: a retry reads their row.
        """
        if self._created and await stores.users.admit(self._created, self._at) != self._created:
            raise WriteConflict("another transaction created a newcomer")
        if self._released:
            await stores.users.store(list(self._released.values()))
        if self._changed:
            await stores.users.store(list(self._changed.values()))

    def _note(self, user: User) -> None:
        if user.profile.email is not None:
            self._by_email[email_key(user.profile.email)] = user.user_id
        if user.username_key is not None:
            self._by_username[user.username_key] = user.user_id
