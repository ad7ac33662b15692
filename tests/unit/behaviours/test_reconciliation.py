"""How the code book and the legacy metadata are made to say the same."""

from tallystick.application.reconciliation import MetadataDrift
from tallystick.domain.users import UserId
from tests.worlds.world import World


class TestReconcileMetadata:
    async def test_where_nothing_was_imported_there_is_nothing_to_do(self, world: World) -> None:
        await world.mint("ada")

        assert await world.reconcile(repair=True) == MetadataDrift()

    async def test_imported_codes_that_the_code_book_lacks_are_adopted_and_mirrored(self, world: World) -> None:
        await world.imported("ada", "1234", aliases=["5678"])
        own = await world.mint("bob")
        await world.imported("bob", "4321")
        assert await world.drift() == {"unadopted": 3, "missing": 1}
        assert await world.owner("1234") is None

        repaired = await world.reconcile(repair=True)

        assert repaired == MetadataDrift(users=2, unadopted=3, missing=2)
        assert [await world.resolve(code) for code in ("1234", "5678", "4321")] == ["canonical", "alias", "alias"]
        assert [await world.mirrored("ada"), await world.mirrored("bob")] == ["1234", own]
        assert await world.drift() == {}
        assert await world.broken_promises() == []

    async def test_a_mirrored_code_becomes_what_is_canonical_now(self, world: World) -> None:
        old = await world.mint("ada")
        await world.mirrors("ada", old)
        assert await world.drift() == {}
        new = (await world.remint("ada")).code
        assert await world.drift() == {"stale": 1}

        assert (await world.reconcile(repair=True)).stale == 1

        assert await world.mirrored("ada") == new
        assert await world.drift() == {}

    async def test_the_mirrored_code_of_a_deleted_user_goes(self, world: World) -> None:
        code = await world.mint("ada")
        await world.deliver("deleted", "ada")
        await world.mirrors("ada", code)

        assert (await world.reconcile(repair=True)).orphaned == 1

        assert await world.mirrored("ada") is None

    async def test_of_a_deleted_user_nothing_is_adopted(self, world: World) -> None:
        await world.imported("ada", "1234")
        await world.deliver("deleted", "ada")

        assert await world.reconcile(repair=True) == MetadataDrift(users=1)
        assert await world.brought_by("1234") is None

    async def test_codes_that_were_lost_and_runs_that_are_not_applied_are_no_drift(self, world: World) -> None:
        await world.imported("ada", "1234", lost_to="bob")
        await world.imported("bob", "5678", run=2)
        await world.run_is("applying", run=2)

        assert await world.reconcile(repair=True) == MetadataDrift(users=1)
        assert await world.owner("5678") is None
        await world.mint("bob")
        assert await world.reads(lambda stores: stores.mirror.drift([UserId("bob")])) == {}

    async def test_it_goes_through_everybody_page_by_page_and_measures_what_is_left(self, world: World) -> None:
        for number in range(7):
            await world.imported(f"user{number}", f"1000{number}")

        assert (await world.drift())["unadopted"] == 7
        assert world.metrics.gauges["legacy_drift", ""] == 7
        world.metrics.counts.clear()

        pages = [page async for page in world.reconcile_metadata.pages(is_to_repair=True, size=3)]

        assert [(page.users, page.unadopted) for page in pages] == [(3, 3), (3, 3), (1, 1)]
        assert world.metrics.counts["legacy_drift_found", "reconcile"] == 14
        assert world.metrics.gauges["legacy_drift", ""] == 0
        assert await world.reconcile(repair=True) == MetadataDrift(users=7)
