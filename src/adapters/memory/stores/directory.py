"""Credentials in memory."""

from collections.abc import Collection, Sequence

import msgspec

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.identity import Credentials, IdentityDirectory
from tallystick.domain.users import UserId, email_key


class MemoryIdentityDirectory(IdentityDirectory):
    """The credentials of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, Credentials]:
        found = {user_id: self._view.credentials.get(user_id) for user_id in user_ids}
        return {user_id: credentials for user_id, credentials in found.items() if credentials is not None}

    async def by_email(self, email: str) -> Credentials | None:
        holder = self._view.emails.get(email_key(email))
        return self._view.credentials.get(holder) if holder is not None else None

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, Credentials]:
        self._view.require_writable()
        return await self.find(user_ids)

    async def replace(self, credentials: Sequence[Credentials]) -> None:
        self._view.require_writable()
        for each in credentials:
            if each.user_id in self._view.credentials:
                self._view.credentials.put(each.user_id, each)

    async def forget(self, user_ids: Collection[UserId]) -> None:
        self._view.require_writable()
        for user_id, credentials in (await self.find(user_ids)).items():
            self._view.credentials.put(user_id, msgspec.structs.replace(credentials, password_hash=None))

    async def enrol(self, credentials: Sequence[Credentials]) -> None:
        self._view.require_writable()
        for each in credentials:
            if each.user_id in self._view.credentials or each.user_id not in self._view.users:
                raise ConstraintViolated("credentials_pkey or credentials_user_fkey")
            self._view.credentials.put(each.user_id, each)
