"""Maintenance with rights that are granted for one transaction: two at once do not get in each other's way."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime

from tallystick.adapters.postgres.operator_actions import Operator
from tallystick.adapters.postgres.reconciliation import InviteReconciliation, InviteSession, WrongInvite
from tests.integration.postgres.sessions import session

OPERATOR = Operator("ops (command line)", datetime.now(UTC), os.urandom)
WRONG = 12


async def test_two_repair_the_same_invites_at_once(dsn: str) -> None:
    async with session(dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        await owner.execute(
            "INSERT INTO tallystick.invites (code, invite_id, owner_id, max_uses, current_uses, created_at) "
            f"SELECT 'WRONG' || n, 'invite ' || n, 'owner', 5, 4, now() FROM generate_series(1, {WRONG}) AS n"
        )

    reconciliation = InviteReconciliation(dsn)
    async with reconciliation.session() as one, reconciliation.session() as other:
        wrong = await one.wrong()

        await asyncio.gather(*(repair_all(each, wrong) for each in (one, other)))

        assert len(wrong) == WRONG
        assert await one.wrong() == []


async def repair_all(invites: InviteSession, wrong: Sequence[WrongInvite]) -> None:
    for invite in wrong:
        await invites.repair(invite, OPERATOR)
