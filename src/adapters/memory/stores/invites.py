"""Invites in memory."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from tallystick.adapters.memory.stores.users import MemoryUsers
from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.codes import Code, normal_form
from tallystick.domain.invites import Invite, InviteId, Invites, InviteUse, SeatKey
from tallystick.domain.users import UserId


class MemoryInvites(Invites):
    """The invites of a view, and their uses."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def add(self, invite: Invite) -> bool:
        self._view.require_writable()
        if normal_form(invite.code) != invite.code or invite.max_uses < 1:
            raise ConstraintViolated("invites_normal_form or invites_capacity")
        held = self._view.invites.get(invite.code)
        if held is None and invite.invite_id not in self._view.invite_codes:
            self._view.invites.put(invite.code, invite)
            self._view.invite_codes.put(invite.invite_id, invite.code)
            return True
        return held is not None and held.invite_id == invite.invite_id

    async def find(self, invite_id: InviteId) -> Invite | None:
        code = self._view.invite_codes.get(invite_id)
        return self._view.invites.get(code) if code is not None else None

    async def by_code(self, codes: Collection[Code]) -> dict[Code, Invite]:
        found = {code: self._view.invites.get(code) for code in codes}
        return {code: invite for code, invite in found.items() if invite is not None}

    async def lock(self, codes: Collection[Code]) -> dict[Code, Invite]:
        self._view.require_writable()
        return await self.by_code(codes)

    async def store(self, invites: Sequence[Invite]) -> None:
        self._view.require_writable()
        for invite in invites:
            if invite.code not in self._view.invites or not 0 <= invite.current_uses <= invite.max_uses:
                raise ConstraintViolated("invites_never_oversold")
            self._view.invites.put(invite.code, invite)

    async def seats(
        self, keys: Collection[SeatKey], user_ids: Collection[UserId]
    ) -> tuple[dict[SeatKey, InviteUse], set[UserId]]:
        found = {key: self._view.invite_uses.get(key) for key in keys}
        taken = {key: use for key, use in found.items() if use is not None}
        return taken, await MemoryUsers(self._view).deleted(user_ids)

    async def record_uses(self, uses: Sequence[InviteUse]) -> None:
        self._view.require_writable()
        for use in uses:
            key = SeatKey(use.invite_id, use.user_id)
            invite = await self.find(use.invite_id)
            if key in self._view.invite_uses or invite is None:
                raise ConstraintViolated("invite_uses_pkey or invite_uses_invite_fkey")
            self._view.invite_uses.put(key, use)
            await self.store([msgspec.structs.replace(invite, current_uses=invite.current_uses + 1)])

    async def uses_of(
        self, invite_id: InviteId, *, after: tuple[datetime, UserId] | None, limit: int
    ) -> list[InviteUse]:
        own = sorted((use for use in self._view.invite_uses.values() if use.invite_id == invite_id), key=_sort_key)
        return [use for use in own if after is None or _sort_key(use) > after][:limit]


def _sort_key(use: InviteUse) -> tuple[datetime, UserId]:
    return (use.used_at, use.user_id)
