"""Moving in under traffic: codes that are adopted by many at once, while they are asked for and users go."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tallystick.adapters.memory.ports import ManualClock
from tallystick.adapters.postgres.database import Database
from tallystick.application.idempotency import Keyed
from tallystick.application.legacy_metadata import AdoptCodes, MirrorMetadata
from tallystick.application.referral_links import ResolveCodes
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.codes import Code
from tallystick.domain.legacy_metadata import Claim
from tallystick.domain.users import Profile, UserId
from tallystick.entrypoints.worker.nightly import Nightly
from tests.integration.postgres.sessions import connection_of
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World


class AdoptsBetween:
    """Transactions whose reads are overtaken: a code is adopted right after the legacy metadata was asked for it."""

    def __init__(self, transactions: Transactions, adopt: AdoptCodes) -> None:
        self._transactions, self._adopt = transactions, adopt
        self.begin, self.snapshot = transactions.begin, transactions.snapshot

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Stores]:
        async with self._transactions.reading() as stores:
            resolve = stores.legacy.resolve

            async def overtaken(codes: Collection[str]) -> dict[str, Claim]:
                found = await resolve(codes)
                await self._adopt([Code(code) for code in codes])
                return found

            stores.legacy.resolve = overtaken  # type: ignore[method-assign]  # this one object's
            book = stores.codes.resolve

            async def asked(codes: Collection[str]) -> object:
                found = await book(codes)
                await self._adopt([Code(code) for code in codes])
                return found

            stores.codes.resolve = asked  # type: ignore[method-assign, assignment]  # this one object's
            yield stores


class Overtaking:
    """Transactions in which a rival begins right behind one call, and is waited for until it is done, or waits too."""

    def __init__(self, world: World, store: str, call: str, rival: Coroutine[Any, Any, object]) -> None:
        self._world, self._store, self._call, self._rival = world, store, call, rival
        self.reading, self.snapshot = world.transactions.reading, world.transactions.snapshot
        self.had_to_wait = False
        self.rival: asyncio.Task[object]

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Stores]:
        outside = contextvars.copy_context()
        async with self._world.transactions.begin() as stores:
            port = getattr(stores, self._store)
            do = getattr(port, self._call)

            async def overtaken(*arguments: Any) -> Any:
                done = await do(*arguments)
                self.rival = asyncio.get_running_loop().create_task(self._rival, context=outside)
                await self._until_it_is_done_or_waits()
                return done

            setattr(port, self._call, overtaken)
            yield stores

    async def _until_it_is_done_or_waits(self) -> None:
        async with asyncio.timeout(30):
            while not self.rival.done() and not self.had_to_wait:
                self.had_to_wait = await somebody_waits(self._world)


def pool_of(world: World) -> Database:
    """Return the pool that the use cases of a world work on."""
    assert isinstance(world.backend, PostgresBackend)
    return world.backend.database


async def somebody_waits(world: World) -> bool:
    """Return whether a session waits for a lock."""
    async with pool_of(world).connection() as connection:
        waits: bool = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database()) OR NOT granted AND "
            "locktype = 'transactionid')"
        )
        return waits


async def until_somebody_waits(world: World) -> None:
    async with asyncio.timeout(30):
        while not await somebody_waits(world):  # noqa: ASYNC110  the database has no event for it
            await asyncio.sleep(0)


async def test_a_link_resolves_while_its_code_is_adopted(world: World) -> None:
    world.fall_back()
    await world.imported("ada", "12340")
    transactions = AdoptsBetween(world.transactions, world.adopt_codes)

    resolved = await ResolveCodes(transactions, world.flags, world.metrics)(["12340"])

    assert resolved == ["canonical"]
    assert await world.owner("12340") == "ada"


async def test_many_who_arrive_by_imported_codes_at_once_adopt_each_code_once(world: World) -> None:
    world.fall_back()
    for number in range(6):
        await world.imported(f"owner{number}", f"1000{number}", aliases=[f"2000{number}"])
    batches = [
        [
            Keyed(world.upsert(f"user{lane}-{number}", f"{1 + lane % 2}000{number if lane % 2 else 5 - number}"))
            for number in range(6)
        ]
        for lane in range(6)
    ]

    await asyncio.gather(*(world.attribute_referrals(batch) for batch in batches))

    for lane in range(6):
        inviters = [await world.inviter(f"user{lane}-{number}") for number in range(6)]
        assert inviters == [f"owner{number if lane % 2 else 5 - number}" for number in range(6)]
    assert [await world.code_of(f"owner{number}") for number in range(6)] == [f"1000{n}" for n in range(6)]
    assert await world.broken_promises() == []


async def test_adoption_mints_and_deletions_of_one_user_leave_one_code_or_none(world: World) -> None:
    world.fall_back()
    for number in range(20):
        user, code = f"user{number}", f"1000{number:02}"
        await world.imported(user, code)
        await asyncio.gather(
            world.adopt_codes([Code(code)]),
            world.mint_outcome(user),
            world.deliver("deleted", user) if number % 2 else world.remint(user),
        )
        await world.mirrored(user)

    assert await world.broken_promises() == []
    assert await world.drift() == {}
    for number in range(1, 20, 2):
        assert await world.resolve(f"1000{number:02}") == "unknown"


async def test_a_rollback_waits_for_an_adoption_that_runs_and_stops_the_next_one(world: World) -> None:
    world.fall_back()
    await world.imported("ada", "12340")
    await world.imported("bob", "56780")
    overtaking = Overtaking(world, "legacy", "adopt", world.run_is("rolling_back"))

    await AdoptCodes(overtaking, world.flags, world.clock, world.metrics, world.candidates)([Code("12340")])
    assert overtaking.had_to_wait
    await overtaking.rival
    await world.adopt_codes([Code("56780")])

    assert [await world.owner(code) for code in ("12340", "56780")] == ["ada", None]


async def test_a_user_who_is_deleted_during_a_mirror_write_is_not_mirrored(world: World) -> None:
    await world.mint("ada")
    overtaking = Overtaking(world, "mirror", "write", world.deliver("deleted", "ada"))

    await MirrorMetadata(overtaking, world.clock)([UserId("ada")])
    await overtaking.rival

    assert overtaking.had_to_wait
    assert await world.mirrored("ada") is None


async def test_a_user_who_is_still_to_be_applied_comes_with_the_imported_code(world: World) -> None:
    world.fall_back()
    await world.arrive("eve", profile=Profile(username="ada"))
    await world.imported("ada", "12340")
    await world.run_is("applying")
    async with world.transactions.begin() as stores:
        await connection_of(stores).execute(
            "UPDATE legacy_users SET email = 'Ada@example.org', email_key = 'ada@example.org', username = 'ada', "
            "username_key = 'ada', display_name = 'Ada'"
        )

    await world.arrive("bob", "12340")

    assert await world.profile("ada") == Profile("Ada@example.org", None, "Ada")
    async with world.transactions.reading() as stores:
        runs = await connection_of(stores).fetch("SELECT user_id, backfill_run FROM users ORDER BY user_id")
    assert [tuple(row) for row in runs] == [("ada", 1), ("bob", None), ("eve", None)]


async def test_a_user_who_reads_their_link_before_their_run_reaches_them_has_the_imported_code(world: World) -> None:
    world.fall_back()
    await world.imported("ada", "12340")
    await world.imported("bob", "56780")
    await world.run_is("applying")
    async with world.transactions.begin() as stores:
        await connection_of(stores).execute(
            "UPDATE legacy_users SET username = user_id, username_key = user_id, display_name = user_id"
        )

    assert (await world.link("ada")).code == "12340"
    await world.deliver("created", "bob", profile=Profile(email="bob@example.org"))

    assert await world.profile("ada") == Profile(None, "ada", "ada")
    assert await world.code_of("bob") == "56780"
    async with world.transactions.reading() as stores:
        runs = await connection_of(stores).fetch("SELECT user_id, backfill_run FROM users ORDER BY user_id")
    assert [tuple(row) for row in runs] == [("ada", 1), ("bob", 1)]


async def test_of_one_batch_who_claims_a_name_meets_who_was_just_brought_along_with_it(world: World) -> None:
    world.fall_back()
    await world.imported("ada", "12340")
    async with world.transactions.begin() as stores:
        await connection_of(stores).execute("UPDATE legacy_users SET username = 'star', username_key = 'star'")
    deliveries = [world.delivery("created", "ada"), world.delivery("created", "bob", profile=Profile(username="star"))]

    assert await world.receive_identity_events(deliveries) == ["processed", "processed"]

    assert [(await world.profile(user)).username for user in ("ada", "bob")].count("star") == 1
    assert await world.code_of("ada") == "12340"


async def test_batches_that_adopt_users_beside_others_queue_instead_of_deadlocking(world: World) -> None:
    world.fall_back()
    for number in range(12):
        await world.arrive(f"user{number:02}")
        if number % 2:
            await world.imported(f"user{number:02}", f"1000{number:02}")
    users = [f"user{number:02}" for number in range(12)]
    # A transaction that locked imported users first and the others afterwards would deadlock with the other one.
    batches = [
        [world.mint_command(user) for user in users],
        [world.mint_command(user) for user in users[:7] if user != "user01"],
    ]

    for _ in range(5):
        await asyncio.gather(*(world.mint_codes(batch) for batch in batches for _ in range(4)))

    assert [await world.code_of(user) for user in users[1::2]] == [f"1000{n:02}" for n in range(1, 12, 2)]
    assert await world.broken_promises() == []


async def test_an_adoption_holds_no_user_whom_a_chunk_locks_after_its_new_users(world: World) -> None:
    world.fall_back()
    await world.arrive("ada")
    for user, code in (("ada", "12340"), ("bob", "56780")):
        await world.imported(user, code)
    mint = [world.mint_command("ada"), world.mint_command("bob")]

    async with pool_of(world).connection() as chunk, chunk.transaction():
        await chunk.execute("INSERT INTO users (user_id, created_at) VALUES ('bob', now())")
        minting = asyncio.create_task(world.mint_codes(mint))
        await until_somebody_waits(world)
        await chunk.execute("SELECT FROM users WHERE user_id IN ('ada', 'bob') ORDER BY user_id FOR NO KEY UPDATE")
    await minting

    assert [await world.code_of(user) for user in ("ada", "bob")] == ["12340", "56780"]


async def test_of_instances_that_look_at_once_one_reconciles(world: World) -> None:
    world.fall_back()
    for number in range(10):
        await world.imported(f"user{number}", f"1000{number}")
    assert isinstance(world.clock, ManualClock)
    instances = [
        Nightly(world.transactions, world.reconcile_metadata, world.flags, world.clock, world.randomness, 3)
        for _ in range(8)
    ]
    assert await asyncio.gather(*(instance.reconcile_if_due() for instance in instances)) == [None] * 8
    world.pass_time(days=1)

    looked = await asyncio.gather(*(instance.reconcile_if_due() for instance in instances))

    assert [drift.unadopted for drift in looked if drift is not None] == [10]
    assert await world.drift() == {}
