"""Users in memory."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.application.transactions import WriteConflict
from tallystick.domain.usernames import username_key
from tallystick.domain.users import Profile, User, UserId, Users, email_key, is_user_id


class MemoryUsers(Users):
    """The users of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, User]:
        self._view.require_writable()
        users = await self.find(user_ids)
        self._view.locked |= users.keys()
        return users

    async def admit(self, user_ids: Collection[UserId], at: datetime) -> set[UserId]:
        self._view.require_writable()
        admitted = {user_id for user_id in user_ids if user_id not in self._view.users}
        for user_id in admitted:
            if not is_user_id(user_id):
                raise ConstraintViolated("users_user_id_form")
            self._view.users.put(user_id, User(user_id, at))
        self._view.locked |= admitted
        return admitted

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, User]:
        found = {user_id: self._view.users.get(user_id) for user_id in sorted(user_ids)}
        return {user_id: user for user_id, user in found.items() if user is not None}

    async def deleted(self, user_ids: Collection[UserId]) -> set[UserId]:
        return {user_id for user_id, user in (await self.find(user_ids)).items() if user.deleted_at is not None}

    async def deleted_since(self, *, after: tuple[datetime, UserId], limit: int) -> list[tuple[datetime, UserId]]:
        gone = [(user.deleted_at, user.user_id) for user in self._view.users.values() if user.deleted_at is not None]
        return sorted(deletion for deletion in gone if deletion > after)[:limit]

    async def named(self, user_ids: Collection[UserId]) -> set[UserId]:
        view = self._view
        named: set[str | None] = {claim.user_id for claim, _ in view.claims.values()}
        named |= {account.user_id for account in view.accounts.values()}
        named |= {reward.owner_id for reward in view.rewards.values()}
        named |= {key.caller for key, _ in view.replies.values()}
        named |= {entry.staff_id for entry in view.entries.values() if entry.unit == "points"}
        named |= {member.user_id for member in view.members.values()}
        named |= {roster.owner_id for roster in view.rosters.values()}
        named |= {slot.player_id for roster in view.rosters.values() for slot in roster.slots}
        named |= {overlay.owner_id for overlay in view.overlays.values()}
        named |= {switch.updated_by for switch in view.flags.values()}
        named |= {invite.owner_id for invite in view.invites.values()}
        named |= {use.user_id for use in view.invite_uses.values()}
        return {user_id for user_id in user_ids if user_id in named}

    async def holders(self, *, emails: Collection[str], usernames: Collection[str]) -> list[User]:
        ids = {self._view.emails.get(email_key(email)) for email in emails}
        ids |= {self._view.usernames.get(username_key(username)) for username in usernames}
        return list((await self.find({user_id for user_id in ids if user_id is not None})).values())

    async def store(self, users: Sequence[User]) -> None:
        self._view.require_writable()
        self._check_claims(users)
        for user in users:
            before = self._view.users.get(user.user_id)
            if before is None or user.user_id not in self._view.locked:
                raise ConstraintViolated("a user was stored without a lock")
            if user.referrals < 0:
                raise ConstraintViolated("users_referrals_not_negative")
            if user.deleted_at is not None and user.profile != Profile():
                raise ConstraintViolated("users_deleted_are_nobody")
            if before.profile.email is not None:
                self._view.emails.remove(email_key(before.profile.email))
            if user.username_key is not None and user.profile.username is None:
                raise ConstraintViolated("users_key_has_username")
            if before.username_key is not None:
                self._view.usernames.remove(before.username_key)
            if user.profile.email is not None:
                self._view.emails.put(email_key(user.profile.email), user.user_id)
            if user.username_key is not None:
                self._view.usernames.put(user.username_key, user.user_id)
            self._view.users.put(user.user_id, user)

    def _check_claims(self, users: Sequence[User]) -> None:
        """Refuse an address or username that another user has: a statement stores its rows in no fixed order."""
        emails, usernames = set[str](), set[str]()
        for user in users:
            if user.profile.email is not None:
                email = email_key(user.profile.email)
                if email in emails or self._view.emails.get(email) not in {None, user.user_id}:
                    raise WriteConflict("users_email_key")
                emails.add(email)
            if (username := user.username_key) is not None:
                if username in usernames or self._view.usernames.get(username) not in {None, user.user_id}:
                    raise WriteConflict("users_username_once")
                usernames.add(username)
