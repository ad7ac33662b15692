"""The export of conflicts: each user who lost a code, with the user who kept it, and the reason."""

import pytest

from tallystick.application import exports
from tallystick.application.exports import ReadExport
from tallystick.domain.codes import Code
from tallystick.domain.exports import ExportedConflict
from tallystick.domain.users import UserId
from tests.worlds.moving import Moving, a_user


async def conflicts(moving: Moving) -> list[ExportedConflict]:
    pages = [page async for page in ReadExport(moving.world.reads)("conflicts")]
    return [row for page in pages for row in page if isinstance(row, ExportedConflict)]


async def test_a_user_who_lost_a_code_is_exported_with_its_holder_and_the_reason(moving: Moving) -> None:
    await moving.world.mint("old", candidates=["HERE1111"] * 8)
    run = await moving.move_in(
        a_user("ada", "HERE1111"), a_user("ben", "SAME1111", day=2), a_user("cyd", "SAME1111", day=1)
    )

    found = await conflicts(moving)

    listed = [(row.code, row.user_id, row.kept_by, row.reason) for row in found]
    assert listed == [("HERE1111", "ada", "old", "held"), ("SAME1111", "ben", "cyd", "duplicate")]
    assert all(row.created_at >= run.planned_at for row in found)

    await moving.roll_back(run)
    assert await conflicts(moving) == []


@pytest.mark.parametrize("rows", [1, 2, 3, 10])
async def test_pages_go_on_between_two_claims_on_one_code(
    moving: Moving, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await moving.move_in(*(a_user(f"user{n}", f"SAME111{n % 2}", day=n) for n in range(8)))
    monkeypatch.setattr(exports, "PAGE_ROWS", rows)

    found = [(row.code, row.user_id) for row in await conflicts(moving)]

    assert found == [(f"SAME111{n % 2}", f"user{n}") for n in (2, 4, 6, 3, 5, 7)]


async def test_a_page_begins_behind_its_place(moving: Moving) -> None:
    await moving.move_in(*(a_user(f"user{n}", "SAME1111", day=n) for n in range(4)))

    page = await moving.world.reads(
        lambda stores: stores.exports.page("conflicts", after=(Code("SAME1111"), UserId("user1")), limit=1)
    )

    assert [row.position for row in page] == [("SAME1111", "user2")]
