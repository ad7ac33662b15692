"""Fingerprints of requests: the same on every instance, with any secrets."""

from tallystick.adapters.memory.ports import SeededRandomness
from tallystick.application.fingerprints import Fingerprints
from tests.worlds.world import World


def instance(world: World, number: int) -> Fingerprints:
    """Return the fingerprints of an instance with secrets and randomness of its own."""
    return Fingerprints(
        world.transactions, world.reads, SeededRandomness(number), earlier_key=f"secrets of {number}".encode().ljust(32)
    )


class TestFingerprints:
    async def test_instances_with_other_secrets_make_the_same_ones(self, world: World) -> None:
        here, there = instance(world, 1), instance(world, 2)

        assert await here(b"a request") == await there(b"a request") == await here(b"a request")

    async def test_another_request_has_another_one(self, world: World) -> None:
        here = instance(world, 1)

        assert await here(b"a request") != await here(b"another request")

    async def test_the_key_is_drawn_and_derived_from_no_secret(self, world: World) -> None:
        await instance(world, 1)(b"a request")

        async with world.transactions.reading() as stores:
            assert await stores.fingerprint_keys.find() == SeededRandomness(1).bytes(32)

    async def test_replies_that_an_older_version_stored_stay_comparable(self, world: World) -> None:
        await world.remint("ada", key="k1")
        await instance(world, 1)(b"a request")

        async with world.transactions.reading() as stores:
            assert await stores.fingerprint_keys.find() == b"secrets of 1".ljust(32)

    async def test_the_first_key_stays(self, world: World) -> None:
        first = await instance(world, 1)(b"a request")
        await world.remint("ada", key="k1")

        assert await instance(world, 2)(b"a request") == first
