"""The scheduled look at the invariants, by a server: what it finds is measured, and nobody asked for it."""

import httpx2

from tests.integration.cli.conftest import installed, on
from tests.integration.conftest import with_database
from tests.integration.postgres.sessions import database_name, session
from tests.processes.installations import until

FOUND = 'tallystick_invariant_violations{promise="referrals_are_edges"} 1.0'


async def test_a_server_finds_a_broken_promise_by_itself(owner_dsn: str, server: tuple[str, str]) -> None:
    async with session(with_database(server[0], database_name(owner_dsn))) as superuser:
        await superuser.execute(
            "INSERT INTO tallystick.users (user_id, referrals, created_at) VALUES ('ada', 3, now())"
        )
    with installed({**on(owner_dsn), "TALLYSTICK_INVARIANTS_EVERY_SECONDS": "1"}) as installation:
        address = installation.serve().address

        def found() -> str | None:
            text = httpx2.get(f"{address}/metrics", trust_env=False).text
            return text if FOUND in text else None

        measured = until(found, "no look found it")

    assert "tallystick_invariants_unchecked 0.0" in measured
    assert 'tallystick_scheduled_job_success_timestamp_seconds{schedule="check_invariants"}' in measured
