"""`tallystick check --url`: a running server, checked from outside by users who are deleted afterwards."""

import json

from tallystick.entrypoints.acceptance.checks import CHECKS
from tests.integration.postgres.sessions import session
from tests.processes.installations import Installation


async def test_a_sound_server_passes_and_keeps_no_living_user(connected: Installation, dsn: str) -> None:
    address = connected.serve().address

    passed = connected.run("check", "--url", f"{address}/", "--users", "30", "--yes", "--json")
    unsure = connected.run("check", "--url", address)
    flooded = connected.run("probe", address, "--flood", "130", "--json")
    nowhere = connected.run("check", "--url", "127.0.0.1", "--yes")

    report = json.loads(passed.stdout)
    assert [row for row in report["checks"] if row["state"] == "no"] == []
    assert [row["check"] for row in report["checks"]] == [*CHECKS, "users deleted"]
    assert (passed.returncode, report["ok"]) == (0, True)
    assert (unsure.returncode, nowhere.returncode) == (2, 2)
    assert (flooded.returncode, json.loads(flooded.stdout)["shapes"]) == (0, 0)  # all are refused since the check
    async with session(dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        assert await owner.fetchval("SELECT count(*) FROM tallystick.users WHERE deleted_at IS NULL") == 0
        assert await owner.fetchval("SELECT count(*) FROM tallystick.users") >= 30


def test_a_server_that_does_not_answer_is_named(connected: Installation) -> None:
    refused = connected.run("check", "--url", "http://127.0.0.1:9", "--users", "10", "--yes")

    assert refused.returncode == 1
    assert "GET /readyz: ConnectError" in refused.stdout
