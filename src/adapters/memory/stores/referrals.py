"""Edges and the leaderboard in memory."""

from collections.abc import Collection, Sequence

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.application.transactions import WriteConflict
from tallystick.domain.referrals import Edge, Edges, Leader, Leaderboard
from tallystick.domain.users import User, UserId


class MemoryEdges(Edges):
    """The edges of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def find(self, invitee_ids: Collection[UserId]) -> dict[UserId, Edge]:
        found = {invitee_id: self._view.edges.get(invitee_id) for invitee_id in invitee_ids}
        return {invitee_id: edge for invitee_id, edge in found.items() if edge is not None}

    async def inviters_above(self, user_ids: Collection[UserId], *, steps: int) -> dict[UserId, UserId]:
        found: dict[UserId, UserId] = {}
        for user_id in user_ids:
            invitee_id: UserId = user_id
            for _ in range(steps):
                edge = self._view.edges.get(invitee_id)
                if edge is None:
                    break
                found[invitee_id] = edge.inviter_id
                invitee_id = edge.inviter_id
        return found

    async def record(self, edges: Sequence[Edge]) -> None:
        self._view.require_writable()
        for edge in edges:
            if edge.invitee_id not in self._view.users or edge.inviter_id not in self._view.users:
                raise ConstraintViolated("referral_edges_invitee_fkey or referral_edges_inviter_fkey")
            if edge.code is not None and edge.code not in self._view.codes:
                raise ConstraintViolated("referral_edges_code_fkey")
            back = self._view.edges.get(edge.inviter_id)
            if edge.inviter_id == edge.invitee_id:
                raise ConstraintViolated("referral_edges_never_self")
            if back is not None and back.inviter_id == edge.invitee_id:
                raise WriteConflict("referral_edges_no_cycle")
            if edge.invitee_id in self._view.edges:
                raise WriteConflict("referral_edges_pkey")
            self._view.edges.put(edge.invitee_id, edge)


class MemoryLeaderboard(Leaderboard):
    """The living users of a view, most referrals first."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def leaders(self, *, after: tuple[int, UserId] | None, limit: int) -> list[Leader]:
        behind = [
            user
            for user in self._living()
            if user.referrals > 0 and (after is None or _sort_key(user) > (-after[0], after[1]))
        ]
        return [
            Leader(user.user_id, user.profile.display_name or user.profile.username or "", user.referrals)
            for user in behind[:limit]
        ]

    async def most_connected(self, limit: int) -> list[tuple[UserId, int]]:
        return [(user.user_id, user.referrals) for user in self._living()[:limit]]

    def _living(self) -> list[User]:
        return sorted((user for user in self._view.users.values() if user.deleted_at is None), key=_sort_key)


def _sort_key(user: User) -> tuple[int, UserId]:
    return (-user.referrals, user.user_id)
