"""Players in memory."""

from collections import Counter
from collections.abc import Collection

from tallystick.adapters.memory.stores.ledger import MemoryLedger
from tallystick.adapters.memory.tables import View
from tallystick.domain.ledger import AccountKey
from tallystick.domain.loyalty import Player, PlayerDay, Players
from tallystick.domain.users import UserId


class MemoryPlayers(Players):
    """The users of a view with their points."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, Player]:
        players = await self.find(user_ids)
        await MemoryLedger(self._view).lock([AccountKey(user_id, "points") for user_id in players])
        return players

    async def referrals_credited(self, days: Collection[PlayerDay]) -> dict[PlayerDay, int]:
        made = Counter(
            PlayerDay.of(entry.user_id, entry.created_at)
            for entry in self._view.entries.values()
            if entry.unit == "points" and entry.event_type == "referral_signup"
        )
        return {day: made[day] for day in days}

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, Player]:
        users = {user_id: self._view.users.get(user_id) for user_id in user_ids}
        return {
            user_id: Player(
                user_id, user.deleted_at is not None, self._view.accounts.get(AccountKey(user_id, "points"))
            )
            for user_id, user in users.items()
            if user is not None
        }
