"""Rating slips in memory."""

from collections.abc import Collection, Sequence

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.rating_slips import RatingSlips, Slip, SlipId, SlipState

_OPENED = ("player_id", "game", "decisions_per_hour", "house_edge_bp", "points_per_100", "opened_at")


class MemoryRatingSlips(RatingSlips):
    """The slips of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def add(self, slips: Sequence[Slip]) -> None:
        self._view.require_writable()
        for slip in slips:
            self._check(slip)
            if slip.slip_id not in self._view.slips:
                self._view.slips.put(slip.slip_id, slip)

    async def find(self, slip_ids: Collection[SlipId]) -> dict[SlipId, Slip]:
        found = {slip_id: self._view.slips.get(slip_id) for slip_id in sorted(slip_ids)}
        return {slip_id: slip for slip_id, slip in found.items() if slip is not None}

    async def lock(self, slip_ids: Collection[SlipId]) -> dict[SlipId, Slip]:
        self._view.require_writable()
        found = await self.find(slip_ids)
        self._view.locked_slips |= found.keys()
        return found

    async def store(self, slips: Sequence[Slip]) -> None:
        self._view.require_writable()
        for slip in slips:
            held = self._view.slips.get(slip.slip_id)
            if held is None or slip.slip_id not in self._view.locked_slips:
                raise ConstraintViolated("a slip was stored without a lock")
            if any(getattr(held, name) != getattr(slip, name) for name in _OPENED):
                raise ConstraintViolated("a slip changed a value that it was opened with")
            self._check(slip)
            self._view.slips.put(slip.slip_id, slip)

    def _check(self, slip: Slip) -> None:
        if slip.player_id not in self._view.users:
            raise ConstraintViolated("rating_slips_player_fkey")
        end = (slip.closed_at, slip.points, slip.completed_at, slip.correlation_id, slip.account_version)
        if any((fact is None) != (slip.state == "open") for fact in end):
            raise ConstraintViolated("rating_slips_closed_as_a_whole")
        if slip.closed_at is not None and slip.closed_at < slip.opened_at:
            raise ConstraintViolated("rating_slips_times_ordered")
        if slip.state == "accrual_pending" and not slip.points:
            raise ConstraintViolated("rating_slips_points_bounded")

    async def page(self, *, state: SlipState | None, before: SlipId | None, limit: int) -> list[Slip]:
        slips = [
            slip
            for slip in self._view.slips.values()
            if state in {None, slip.state} and (before is None or slip.slip_id < before)
        ]
        return sorted(slips, key=lambda slip: slip.slip_id, reverse=True)[:limit]
