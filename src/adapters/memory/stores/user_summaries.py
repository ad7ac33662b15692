"""Summaries of users in memory."""

from collections.abc import Collection

from tallystick.adapters.memory.stores.codes import MemoryReferralCodes
from tallystick.adapters.memory.tables import View
from tallystick.domain.ledger import Account, AccountKey, Unit
from tallystick.domain.user_summaries import UserSummaries, UserSummary
from tallystick.domain.users import UserId, email_key


class MemoryUserSummaries(UserSummaries):
    """Values of several tables of a view, joined by the user."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def of(self, user_ids: Collection[UserId]) -> dict[UserId, UserSummary]:
        codes = await MemoryReferralCodes(self._view).canonical(user_ids)
        found = {user_id: self._view.users.get(user_id) for user_id in user_ids}
        return {
            user_id: UserSummary(
                user,
                codes.get(user_id),
                otp_verified=user_id in self._view.verifications,
                referred=user_id in self._view.edges,
                credits=self._account(user_id, "credits").balance,
                points=self._account(user_id, "points").balance,
                lifetime_points=self._account(user_id, "points").lifetime,
            )
            for user_id, user in found.items()
            if user is not None
        }

    def _account(self, user_id: UserId, unit: Unit) -> Account:
        return self._view.accounts.get(AccountKey(user_id, unit)) or Account(user_id, unit)

    async def by_email(self, email: str) -> UserSummary | None:
        holder = self._view.emails.get(email_key(email))
        return (await self.of([holder])).get(holder) if holder is not None else None
