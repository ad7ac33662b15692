"""The code book in memory."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

import msgspec

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.codes import Code, CodeEntry, ReferralCodes, normal_form
from tallystick.domain.users import UserId


class MemoryReferralCodes(ReferralCodes):
    """The codes of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def canonical(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        return {entry.user_id: entry.code for entry in self._entries(user_ids) if entry.is_canonical}

    async def resolve(self, codes: Collection[str]) -> dict[str, CodeEntry]:
        found = {code: self._view.codes.get(code) for code in codes}
        return {code: entry for code, entry in found.items() if entry is not None and self._resolves(entry)}

    async def newest_aliases(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        aliases = [entry for entry in self._entries(user_ids) if not entry.is_canonical]
        return {entry.user_id: entry.code for entry in sorted(aliases, key=self._demotion)}

    async def assign(self, entries: Sequence[CodeEntry]) -> set[UserId]:
        self._view.require_writable()
        assigned: set[UserId] = set()
        for entry in sorted(entries, key=lambda entry: entry.code):
            if entry.user_id not in self._view.users or normal_form(entry.code) != entry.code:
                raise ConstraintViolated("referral_codes_user_fkey or referral_codes_normal_form")
            if (
                entry.code in self._view.codes
                or await self.canonical([entry.user_id])
                or self._is_planned_for_another(entry)
            ):
                continue
            self.put(entry)
            assigned.add(entry.user_id)
        return assigned

    async def demote(self, user_ids: Collection[UserId], at: datetime) -> None:
        self._view.require_writable()
        for entry in list(self._entries(user_ids)):
            if entry.is_canonical:
                self._view.codes.put(entry.code, msgspec.structs.replace(entry, is_canonical=False))
                self._view.demotions.put(entry.code, (at.timestamp(), sum(1 for _ in self._view.demotions.values())))

    async def retire(self, user_ids: Collection[UserId], at: datetime) -> None:
        self._view.require_writable()
        for entry in list(self._entries(user_ids)):
            if entry.is_canonical:
                self._retire(entry, at)

    async def retire_aliases(self, user_id: UserId, at: datetime, *, after: str, limit: int) -> str | None:
        self._view.require_writable()
        aliases = {e.code: e for e in self._entries([user_id]) if not e.is_canonical and e.code > after}
        page = sorted(aliases)[:limit]
        for code in page:
            self._retire(aliases[code], at)
        return page[-1] if len(page) == limit else None

    def _retire(self, entry: CodeEntry, at: datetime) -> None:
        if entry.retired_at is None:
            self._view.codes.put(entry.code, msgspec.structs.replace(entry, retired_at=at))

    def _resolves(self, entry: CodeEntry) -> bool:
        user = self._view.users.get(entry.user_id)
        return entry.retired_at is None and user is not None and user.deleted_at is None

    def put(self, entry: CodeEntry) -> None:
        """Store a new entry."""
        self._view.codes.put(entry.code, entry)
        self._view.codes_of.put(entry.user_id, (*(self._view.codes_of.get(entry.user_id) or ()), entry.code))

    def _is_planned_for_another(self, entry: CodeEntry) -> bool:
        """Return whether a backfill run planned the code for another user."""
        return any(
            claim.code == entry.code and claim.user_id != entry.user_id and kept_by is None
            for claim, kept_by in self._view.claims.values()
            if self._view.runs.get(claim.run) != "rolled_back"
        )

    def _entries(self, user_ids: Collection[UserId]) -> Iterator[CodeEntry]:
        for user_id in user_ids:
            for code in self._view.codes_of.get(user_id) or ():
                entry = self._view.codes.get(code)
                if entry is not None:
                    yield entry

    def _demotion(self, entry: CodeEntry) -> tuple[float, int]:
        return self._view.demotions.get(entry.code) or (0.0, 0)
