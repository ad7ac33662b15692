"""Orders that ports promise: kept on every store, for rows that were stored in any order."""

from datetime import timedelta

from tallystick.domain.sessions import LIFETIME, Session, SessionId
from tallystick.domain.users import UserId
from tests.worlds.world import World

SHUFFLED = [UserId(name) for name in ("cid", "eve", "ada", "dan", "bob")]


class TestOrders:
    async def test_sessions_are_found_oldest_first_and_by_id_where_they_are_as_old(self, world: World) -> None:
        now = world.clock.now()
        started = [
            Session(UserId("ada"), SessionId(text * 32), now + timedelta(seconds=age), now + LIFETIME)
            for text, age in (("c", 1), ("a", 2), ("e", 0), ("b", 1), ("d", 0))
        ]
        await world.a_player("ada")
        async with world.transactions.begin() as stores:
            await stores.sessions.start(started)

        found = await world.reads(lambda stores: stores.sessions.find([UserId("ada")]))

        assert [session.session_id[0] for session in found] == ["d", "e", "b", "c", "a"]

    async def test_users_with_the_same_referrals_are_shown_by_id(self, world: World) -> None:
        for user in SHUFFLED:
            await world.a_player(user)
        await world.arrive("zoe", await world.mint("dan"))

        most = await world.reads(lambda stores: stores.leaderboard.most_connected(4))

        assert [user_id for user_id, _ in most] == ["dan", "ada", "bob", "cid"]

    async def test_erasures_wait_by_id(self, world: World) -> None:
        await self._mark_as_deleted(world)

        waiting = await world.reads(lambda stores: stores.erasures.waiting(after=UserId("ada"), limit=3))

        assert waiting == ["bob", "cid", "dan"]

    async def test_deleted_users_are_listed_by_time_and_by_id_within_one_moment(self, world: World) -> None:
        now = world.clock.now()
        await self._mark_as_deleted(world)

        async with world.transactions.begin() as stores:
            deleted = await stores.users.deleted_since(after=(now, UserId("ada")), limit=3)

        assert deleted == [(now, "bob"), (now, "cid"), (now, "dan")]

    async def test_users_are_reconciled_by_id(self, world: World) -> None:
        for user in SHUFFLED:
            await world.imported(user, f"{user.upper()}2222")

        users = await world.reads(lambda stores: stores.mirror.users(after=UserId("ada"), limit=3))

        assert users == ["bob", "cid", "dan"]

    @staticmethod
    async def _mark_as_deleted(world: World) -> None:
        now = world.clock.now()
        for user in SHUFFLED:
            await world.a_player(user)
        async with world.transactions.begin() as stores:
            users = await stores.users.lock(SHUFFLED)
            await stores.users.store([users[user].deleted(now) for user in SHUFFLED])
            await stores.erasures.begin(SHUFFLED, now)
