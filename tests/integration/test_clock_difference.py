"""How far this machine's clock may be from the database's: measured, shown, and refused past 30 seconds."""

import json
from datetime import timedelta
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
