"""Rows whose times are PostgreSQL's infinity, as earlier versions stored the ends of the calendar."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.http.services import Caller
from tests.http.wallets import invited
from tests.integration.postgres.sessions import session, superuser_of

SLIP = {"player_id": "ada", "game": "slots", "average_bet": 1}


@pytest.mark.parametrize(("stored", "is_valid"), [("infinity", True), ("-infinity", False)])
async def test_an_invite_that_ends_at_infinity_can_be_asked_for(
    anyone: Caller, server: tuple[str, str], owner_dsn: str, stored: str, is_valid: bool
) -> None:
    expires_at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    owner = anyone.named("owner", "invites:create")
    invite = (await owner.post("/api/invites", {"max_uses": 5, "expires_at": expires_at})).json()
    async with session(superuser_of(server, owner_dsn)) as superuser:
        await superuser.execute(f"UPDATE tallystick.invites SET expires_at = '{stored}'")

    validated = await anyone.post("/api/invites/validate", {"code": invite["code"]})
    shown = await owner.get(f"/api/invites/{invite['invite_id']}")
    redeemed = await anyone.named("bob").post("/api/invites/redeem", {"code": invite["code"]})

    assert (validated.status_code, validated.json()["isValid"]) == (200, is_valid)
    assert (shown.status_code, shown.json()["expires_at"][:4]) == (200, "9998" if is_valid else "0002")
    assert redeemed.status_code == (200 if is_valid else 410)


async def test_a_slip_that_was_opened_at_minus_infinity_is_shown_and_refused(
    anyone: Caller, server: tuple[str, str], owner_dsn: str
) -> None:
    await invited(anyone)
    await anyone.named("ada").post("/api/users/upsert", {})
    pit = anyone.named("pit", "slips:write")
    slip = (await pit.post("/api/rating-slips", SLIP)).json()
    async with session(superuser_of(server, owner_dsn)) as superuser:
        await superuser.execute("UPDATE tallystick.rating_slips SET opened_at = '-infinity'")

    shown = await pit.get(f"/api/rating-slips/{slip['slip_id']}")
    listed = await pit.get("/api/rating-slips")
    completed = await pit.post(f"/api/rating-slips/{slip['slip_id']}/complete")

    assert (shown.status_code, shown.json()["opened_at"][:4]) == (200, "0002")
    assert listed.status_code == 200
    assert completed.status_code in {200, 422}
