"""The promises in memory, counted over the tables."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from adapters.memory.tables import View
from application.invariants import PROMISES, Invariant
from domain.users import UserId


class MemoryInvariants:
    """The same questions as SQL asks, over the values of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def count(self) -> Sequence[Invariant]:
        counts: Mapping[str, Callable[[], int]] = {
            "one_code_each": self._without_one_code,
            "living_codes_resolve": self._wrongly_resolving,
            "verified_users_exist": self._verified_nobodies,
            "one_inviter_no_cycle": self._cycles,
            "referrals_are_edges": self._miscounted,
        }
        return [Invariant(name, promise, counts[name]()) for name, promise in PROMISES.items()]

    def _is_living(self, user_id: UserId) -> bool:
        user = self._view.users.get(user_id)
        return user is not None and user.deleted_at is None

    def _without_one_code(self) -> int:
        canonical: Counter[UserId] = Counter()
        for entry in self._view.codes.values():
            canonical[entry.user_id] += entry.is_canonical
        return sum(1 for user_id, count in canonical.items() if count != 1 and self._is_living(user_id))

    def _wrongly_resolving(self) -> int:
        return sum((entry.retired_at is None) != self._is_living(entry.user_id) for entry in self._view.codes.values())

    def _verified_nobodies(self) -> int:
        return sum(verified.user_id not in self._view.users for verified in self._view.verifications.values())

    def _cycles(self) -> int:
        pairs = {(edge.invitee_id, edge.inviter_id) for edge in self._view.edges.values()}
        return sum((inviter_id, invitee_id) in pairs for invitee_id, inviter_id in pairs)

    def _miscounted(self) -> int:
        edges = Counter(edge.inviter_id for edge in self._view.edges.values())
        return sum(user.referrals != edges[user.user_id] for user in self._view.users.values())
