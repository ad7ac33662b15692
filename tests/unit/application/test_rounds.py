"""Sign-ups whose inviters gain inviters meanwhile: looked at anew a few times, and then left to the next try."""

import pytest

from tallystick.application.idempotency import Keyed
from tallystick.application.referrals import AttributeReferrals, TopsNotLocked
from tallystick.application.transactions import WriteConflict
from tallystick.domain.users import UserId
from tests.worlds.world import World

ROUNDS = 8


class Outrun(AttributeReferrals):
    """Finds another user above the owners in each round."""

    rounds = 0

    async def _attribute(self, upserts: object, tops: set[UserId]) -> list[object]:  # type: ignore[override]  # it ends in no answer
        assert len(tops) == self.rounds
        self.rounds += 1
        raise TopsNotLocked({UserId(f"top {self.rounds}")})


async def test_after_eight_rounds_the_batch_is_left_to_its_next_try(world: World) -> None:
    outrun = Outrun(world.transactions, world.adopt_codes, world.points, world.clock, world.metrics, world.once)

    with pytest.raises(WriteConflict):
        await outrun([Keyed(world.upsert("ada"))])

    assert outrun.rounds == ROUNDS
