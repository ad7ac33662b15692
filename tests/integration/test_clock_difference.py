"""How far this machine's clock may be from the database's: measured and shown; past 30 seconds not ready, not used."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from click.testing import CliRunner

from tallystick.entrypoints.cli.main import main
from tests.http.replacements import SkewedClock, skewed
from tests.http.services import Caller, running, settings
from tests.integration.cli.conftest import on
from tests.integration.conftest import service_of

READY = [(29, None), (-29, None)]
NOT_READY = [
    (31, "this machine's clock is 31 s ahead of the database's, 30 s are allowed: synchronise both"),
    (-31, "this machine's clock is 31 s behind the database's, 30 s are allowed: synchronise both"),
]


async def measured(anyone: Caller) -> float:
    """Return the clock difference as a scrape shows it."""
    lines = (await anyone.get("/metrics")).text.splitlines()
    (line,) = [line for line in lines if "clock_difference_seconds" in line and not line.startswith("#")]
    return float(line.split()[-1])


@pytest.mark.parametrize(("seconds", "reason"), [*READY, *NOT_READY])
async def test_readiness_is_red_past_30_seconds_and_the_difference_is_measured(
    seconds: int, reason: str | None, owner_dsn: str
) -> None:
    wrong = skewed(timedelta(seconds=seconds))
    async with running(settings(database_url=service_of(owner_dsn)), "postgres", wrong) as (anyone, _):
        reply = await anyone.get("/readyz")

        assert reply.json()["reasons"] == ([] if reason is None else [reason])
        assert reply.status_code == (200 if reason is None else 503)
        assert await measured(anyone) == pytest.approx(seconds, abs=0.5)


@pytest.mark.parametrize("minutes", [10, -10])
async def test_a_server_whose_clock_is_wrong_decides_and_stores_by_the_time_of_the_database(
    minutes: int, owner_dsn: str
) -> None:
    before = datetime.now(UTC)
    wrong = skewed(timedelta(minutes=minutes))
    name = f"clock_{minutes}"
    async with running(settings(database_url=service_of(owner_dsn)), "postgres", wrong) as (anyone, _):
        assert (await anyone.get("/readyz")).status_code == 503
        staff, guest = (
            anyone.named("staff", "invites:create", "credits:grant"),
            anyone.named("ada", lifetime_seconds=300),
        )
        ends_at = (before + timedelta(minutes=5)).isoformat()
        code = (await staff.post("/api/invites", {"max_uses": 5, "expires_at": ends_at})).json()["code"]
        redeemed = await guest.post("/api/invites/redeem", {"code": code})
        grant = {"user_id": "ada", "amount": 1, "reason": name, "event_key": name}
        granted = await staff.post("/api/credits/grants", grant)
        delivered = await anyone.deliver({"type": "user.created", "data": {"id": "bea"}}, message_id=name)
        expired = await anyone.named("ada", lifetime_seconds=-300).get("/api/credits")

    after = datetime.now(UTC)
    answers = (redeemed, granted, delivered, expired)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 401]
    for stored in (redeemed.json()["redeemed_at"], granted.json()["created_at"]):
        assert before - timedelta(seconds=1) < datetime.fromisoformat(stored) < after + timedelta(seconds=1)


@pytest.mark.parametrize(("seconds", "reason"), [*READY, *NOT_READY])
def test_a_check_names_the_difference(
    seconds: int, reason: str | None, owner_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tallystick.entrypoints.cli.check.SystemClock", partial(SkewedClock, timedelta(seconds=seconds))
    )

    checked = CliRunner().invoke(main, ["check", "--json"], env=on(owner_dsn))

    report = json.loads(checked.stdout)
    assert report["reasons"] == ([] if reason is None else [reason])
    assert [row["state"] for row in report["checks"] if row["check"] == "clock"] == ["ok" if reason is None else "no"]
    assert checked.exit_code == (0 if reason is None else 1)
