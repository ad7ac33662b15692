"""Callers who try to slow down other callers, against a server that was started for this.

`make attacks` runs every attack, and prints the other users' median latency without it and with it. It exits with
status 1 if an attack multiplied that median by five. It takes a few minutes and connects to loopback only.
"""

import asyncio
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import httpx2

from tallystick.adapters.embedded.cluster import Cluster
from tests.http.services import JWT_SECRET, WEBHOOK_SECRET, Caller
from tests.processes.installations import Installation

QUIET_SECONDS = 10.0
ATTACK_SECONDS = 15.0
PACE_SECONDS = 0.02
MOST_TIMES = 5.0
FULL = (350_000, 200_000, 700_000)
"""The number of aliases, rewards and stored replies of a user: two days at the default write limit."""
TENTH = (35_000, 20_000, 70_000)
ERASED_WITHIN_SECONDS = 600.0

FILLING = """
SET session_replication_role = replica;
SET search_path = tallystick;
INSERT INTO users (user_id, created_at) VALUES ('{user}', now());
INSERT INTO referral_codes (code, user_id, is_canonical, created_at, demoted_at)
SELECT '{prefix}' || n, '{user}', n = 0, now(), CASE WHEN n > 0 THEN now() END FROM generate_series(0, {aliases}) AS n;
INSERT INTO rewards (reward_id, owner_id, name, cost, active, created_at)
SELECT '{user}-' || n, '{user}', 'a name', 1, true, now() FROM generate_series(1, {rewards}) AS n;
INSERT INTO idempotency_keys (caller, key, fingerprint, status, body, created_at)
SELECT '{user}', 'key' || n, '', 200, '{{}}', now() FROM generate_series(1, {replies}) AS n;
ANALYZE;
"""


class OtherUsers:
    """The other users: they keep sending requests, and record how long each one took."""

    def __init__(self, anyone: Caller) -> None:
        self._anyone = anyone
        self._numbers = itertools.count()
        self._seconds: list[float] = []
        self.failures = 0

    async def median_ms(self, during: Callable[[], Awaitable[object]]) -> float:
        """Return the median latency of their requests during an attack."""
        self._seconds = []
        busy = [asyncio.create_task(self._go_on()) for _ in range(4)]
        await during()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        return statistics.median(self._seconds) * 1000

    async def _go_on(self) -> None:
        while True:
            number = next(self._numbers)
            user = self._anyone.named(f"other-{number % 400}")
            began = time.perf_counter()
            answer = await (
                user.post("/api/users/upsert", {}) if number % 4 == 0 else user.get("/api/my-referral-link")
            )
            self._seconds.append(time.perf_counter() - began)
            self.failures += answer.status_code >= 500
            await asyncio.sleep(PACE_SECONDS)


async def for_a_while() -> None:
    await asyncio.sleep(QUIET_SECONDS)


async def send_nested_megabytes(anyone: Caller) -> None:
    """Send a megabyte of JSON to a batch route, without its permission, as fast as the answers come."""
    body = b'["\\u0041"' + b",{}" * ((1024 * 1024 - 16) // 3) + b"]"
    attacker, until = anyone.named("attacker"), time.monotonic() + ATTACK_SECONDS
    statuses: dict[int, int] = {}
    while time.monotonic() < until:
        answer = await attacker.call("POST", "/api/rewards/purchases", raw=body)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    print(f"    {sum(statuses.values())} bodies of {len(body):,} bytes in {ATTACK_SECONDS:.0f} s ({counts})")


async def ask_for_the_globe(anyone: Caller) -> None:
    """Request the globe as four users at once, each within the rate limit."""
    until = time.monotonic() + ATTACK_SECONDS

    async def ask(number: int) -> int:
        asked = 0
        while time.monotonic() < until:
            await anyone.named(f"globe-{number}-{asked // 300}").get("/api/globe")
            asked += 1
        return asked

    print(f"    {sum(await asyncio.gather(*(ask(number) for number in range(4))))} globes")


async def count_promises(anyone: Caller) -> None:
    """Request the invariants twenty times at once, again and again."""
    until, rounds = time.monotonic() + ATTACK_SECONDS, 0
    while time.monotonic() < until:
        staff = anyone.named(f"staff-{rounds}", "admin:read")
        await asyncio.gather(*(staff.get("/api/admin/invariants") for _ in range(20)))
        rounds += 1
    print(f"    {rounds} times 20 at once")


async def fill(superuser: str, user: str, rows: tuple[int, int, int]) -> None:
    """Give a user this number of aliases, rewards and stored replies."""
    connection = await asyncpg.connect(superuser)
    try:
        aliases, rewards, replies = rows
        prefix = user.upper().replace("-", "")
        await connection.execute(
            FILLING.format(user=user, prefix=prefix, aliases=aliases, rewards=rewards, replies=replies), timeout=600
        )
    finally:
        await connection.close()


async def delete_and_wait(anyone: Caller, superuser: str, user: str, delete: Callable[[], Awaitable[object]]) -> None:
    """Delete a user with many rows, check that none of them is visible, and wait until all are erased."""
    code = user.upper().replace("-", "")
    began = time.monotonic()
    await delete()
    answered = time.monotonic() - began
    for number in (0, 1, 20_000):
        resolved = (await anyone.get(f"/api/referral/resolve?code={code}{number}")).json()
        assert resolved["valid"] is False, f"{code}{number} still resolves"
    connection = await asyncpg.connect(superuser)
    try:
        left = 1
        while left and time.monotonic() - began < ERASED_WITHIN_SECONDS:
            await asyncio.sleep(1)
            left = await connection.fetchval("SELECT count(*) FROM tallystick.users WHERE erasing_since IS NOT NULL")
    finally:
        await connection.close()
    print(f"    {user}: answered after {answered:.2f} s, erased after {time.monotonic() - began:.0f} s")
    assert left == 0, f"{left} users are still being erased"


@asynccontextmanager
async def started() -> AsyncIterator[tuple[Caller, Installation]]:
    """Start a server with its own database in a folder of its own."""
    environment = {"TALLYSTICK_JWT_SECRET": JWT_SECRET, "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET}
    installation = Installation(Path(tempfile.mkdtemp(prefix="tallystick-attacks-")), environment)
    try:
        server = await asyncio.to_thread(installation.serve)
        async with httpx2.AsyncClient(base_url=server.address, trust_env=False, timeout=120) as http:
            yield Caller(http), installation
    finally:
        installation.end()
        shutil.rmtree(installation.folder, ignore_errors=True)


async def run(rows: tuple[int, int, int]) -> bool:
    """Run every attack; return whether the other users kept their pace."""
    held = True
    async with started() as (anyone, installation):
        superuser = Cluster(installation.data).dsn("postgres", "tallystick")
        staff, others = anyone.named("chief", "admin:users"), OtherUsers(anyone)
        await others.median_ms(for_a_while)  # the first requests find cold caches

        async def attack(name: str, during: Callable[[], Awaitable[object]]) -> None:
            nonlocal held
            print(name)
            quiet, busy = await others.median_ms(for_a_while), await others.median_ms(during)
            held &= busy < quiet * MOST_TIMES
            print(f"    median of the others: {quiet:.2f} ms without, {busy:.2f} ms with it: {busy / quiet:.1f} times")

        await attack("B1: a megabyte of JSON, without the permission", partial(send_nested_megabytes, anyone))
        await attack("B3: the globe", partial(ask_for_the_globe, anyone))

        async def by_api() -> None:
            answer = await staff.call("DELETE", "/api/admin/users/whale-a")
            assert answer.status_code == 200, answer.text

        async def by_webhook() -> None:
            answer = await anyone.deliver({"type": "user.deleted", "data": {"id": "whale-b"}})
            assert answer.status_code == 200, answer.text

        async def by_command() -> None:
            arguments = ("users", "delete", "whale-c", "--yes")
            ran = await asyncio.to_thread(installation.run, *arguments)
            assert ran.returncode == 0, ran.stderr

        for user, delete, size in (
            ("whale-a", by_api, rows),
            ("whale-b", by_webhook, TENTH),
            ("whale-c", by_command, TENTH),
        ):
            await fill(superuser, user, size)
            aliases, rewards, replies = size
            way = delete.__name__.replace("_", " ")
            name = f"B2: deletion {way}, {aliases:,} aliases, {rewards:,} rewards, {replies:,} replies"
            await attack(name, partial(delete_and_wait, anyone, superuser, user, delete))
        await attack("B4: twenty counts of the invariants at once", partial(count_promises, anyone))
        print(f"failed requests of the others: {others.failures}")
    return held and others.failures == 0


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(run(TENTH if "--quick" in sys.argv else FULL)) else 1)
