"""Legacy metadata in memory."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from tallystick.adapters.memory.stores.codes import MemoryReferralCodes
from tallystick.adapters.memory.stores.metadata_mirror import mirrored_code
from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.codes import Code, CodeEntry
from tallystick.domain.legacy_metadata import Claim, LegacyMetadata
from tallystick.domain.users import User, UserId


class MemoryLegacyMetadata(LegacyMetadata):
    """The codes that backfill runs of a view staged."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def resolve(self, codes: Collection[str]) -> dict[str, Claim]:
        kept = sorted(self._kept(), key=lambda claim: -claim.run)
        return {claim.code: claim for claim in kept if claim.code in codes and self._is_missing(claim)}

    async def codes_of(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        canonical = sorted((claim for claim in self._kept() if claim.is_canonical), key=lambda c: (-c.run, c.code))
        imported = {claim.user_id: claim.code for claim in canonical}
        shown = {user_id: mirrored_code(self._view, user_id) or imported.get(user_id) for user_id in user_ids}
        return {user_id: code for user_id, code in shown.items() if code is not None}

    async def hold(self) -> None:
        self._view.require_writable()

    async def claims_of(self, user_ids: Collection[UserId]) -> dict[UserId, list[Claim]]:
        # Where two runs staged the same code for the same user, the first run counts.
        missing = {claim.code: claim for claim in sorted(self._kept(), key=lambda claim: -claim.run)}
        claims: dict[UserId, list[Claim]] = {}
        for claim in sorted(missing.values(), key=lambda claim: (not claim.is_canonical, claim.code)):
            if claim.user_id in user_ids and self._is_missing(claim):
                claims.setdefault(claim.user_id, []).append(claim)
        return claims

    async def admit(self, user_ids: Collection[UserId], at: datetime) -> None:
        self._view.require_writable()
        for user_id in user_ids:
            if user_id not in self._view.users:
                self._view.users.put(user_id, User(user_id, at))

    async def adopt(self, claims: Sequence[Claim]) -> set[Code]:
        self._view.require_writable()
        codes, adopted = MemoryReferralCodes(self._view), set[Code]()
        for claim in sorted(claims, key=lambda claim: claim.code):
            if claim.user_id not in self._view.locked:
                raise ConstraintViolated("a code was adopted for a user without a lock")
            is_second = claim.is_canonical and await codes.canonical([claim.user_id])
            if claim.code in self._view.codes or is_second:
                continue
            entry = CodeEntry(claim.code, claim.user_id, claim.is_canonical, claim.created_at)
            codes.put(entry)
            self._view.imported.put(claim.code, claim.run)
            if not claim.is_canonical:
                self._view.demotions.put(claim.code, (claim.created_at.timestamp(), 0))
            adopted.add(claim.code)
        return adopted

    async def forget(self, user_ids: Collection[UserId]) -> None:  # noqa: ARG002  nothing staged here names a person
        self._view.require_writable()

    def _kept(self) -> Iterator[Claim]:
        for claim, kept_by in self._view.claims.values():
            if kept_by is None and self._view.runs.get(claim.run) in {"applying", "applied"}:
                yield claim

    def _is_missing(self, claim: Claim) -> bool:
        user = self._view.users.get(claim.user_id)
        return claim.code not in self._view.codes and (user is None or user.deleted_at is None)
