"""One world twice: in memory and on PostgreSQL, with the same time and the same chance, for the same commands."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tallystick.adapters.postgres.database import Database
from tallystick.application.idempotency import Replayed
from tallystick.application.loyalty import Credited
from tallystick.application.rewards import BatchResult
from tallystick.application.transactions import Stores
from tallystick.domain.invites import Invite
from tallystick.domain.ledger import AccountKey
from tallystick.domain.refusals import Failure
from tallystick.domain.rewards import CollectionKey, Reward
from tallystick.domain.users import UserId
from tests.integration.conftest import empty_tables, service_of
from tests.integration.postgres.sessions import session
from tests.worlds.memory import MemoryBackend
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

Action = Callable[[World], Awaitable[Any]]


class Twins:
    """Two worlds that have to give the same answers."""

    def __init__(self, dsn: str, superuser: str) -> None:
        self._superuser = superuser
        self._runner = asyncio.Runner()
        self._database = Database(service_of(dsn))
        self._runner.run(self._database.open())
        self._worlds: tuple[World, ...] = ()
        self.outcomes: Counter[str] = Counter()
        """Which outcomes there were, by name."""

    def start_over(self) -> None:
        """Begin with nothing, in both."""
        self._runner.run(self._empty())
        self._worlds = World(MemoryBackend()), World(PostgresBackend(self._database))

    async def _empty(self) -> None:
        async with session(self._superuser) as superuser:
            await empty_tables(superuser)

    def close(self) -> None:
        self._runner.run(self._database.close())
        self._runner.close()

    def run(self, action: Action) -> Any:
        """Do the same in both, and return what came out of it; a refusal is returned, too."""
        in_memory, on_postgres = (self._runner.run(_outcome(action, world)) for world in self._worlds)
        assert _comparable(on_postgres) == _comparable(in_memory)
        self.outcomes.update(_names(in_memory))
        return in_memory

    def pass_time(self, **by: float) -> None:
        for world in self._worlds:
            world.pass_time(**by)

    def look_alike(self, users: Collection[UserId], rewards: Sequence[Reward], invites: Sequence[Invite]) -> None:
        """Compare all that can be seen of these."""
        in_memory, on_postgres = (
            self._runner.run(world.reads(lambda stores: _sight(stores, users, rewards, invites)))
            for world in self._worlds
        )
        for expected, seen in zip(in_memory, on_postgres, strict=True):
            assert seen == expected

    def show(self, ask: Callable[[Stores], Awaitable[Any]]) -> None:
        """Compare what both answer to a question."""
        in_memory, on_postgres = (self._runner.run(world.reads(ask)) for world in self._worlds)
        assert on_postgres == in_memory

    def changes(self, change: Callable[[Stores], Awaitable[Any]]) -> None:
        """Change something in one transaction of each, and compare what comes out."""

        async def changed(world: World) -> Any:
            async with world.transactions.begin() as stores:
                return await change(stores)

        self.run(changed)

    def each(self, change: Callable[[World], object]) -> None:
        """Change something about both."""
        for world in self._worlds:
            change(world)

    def broken_promises(self) -> list[object]:
        return [broken for world in self._worlds for broken in self._runner.run(world.broken_promises())]


async def _outcome(action: Action, world: World) -> Any:
    try:
        return await action(world)
    except (Failure, Replayed) as outcome:
        return outcome


def _comparable(outcome: Any) -> Any:
    """Return outcomes as values: exceptions are equal to themselves alone."""
    if isinstance(outcome, list):
        return [_comparable(each) for each in outcome]
    if isinstance(outcome, Failure):
        return (type(outcome), outcome.detail, outcome.facts())
    if isinstance(outcome, BatchResult | Credited):
        return [_comparable(each) for each in outcome.results]
    return outcome.reply if isinstance(outcome, Replayed) else outcome


def run(
    machine: Callable[["Twins"], RuleBasedStateMachine],
    twins: "Twins",
    *,
    examples: int,
    steps: int = 50,
    shrinks: bool = True,
) -> None:
    """Let a state machine run random commands on the twins: the same commands in every run."""
    run_state_machine_as_test(
        lambda: machine(twins),  # type: ignore[arg-type]  # a factory will do, says its documentation
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            phases=[Phase.generate, Phase.shrink] if shrinks else [Phase.generate],
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def _names(outcome: object) -> list[str]:
    if isinstance(outcome, list):
        return [name for each in outcome for name in _names(each)]
    if isinstance(outcome, Credited):
        return ["Credited", *_names(list(outcome.results))]
    return [outcome.code if isinstance(outcome, Failure) else type(outcome).__name__]


async def _sight(
    stores: Stores, users: Collection[UserId], rewards: Sequence[Reward], invites: Sequence[Invite]
) -> list[object]:
    keys = [AccountKey(user, "credits") for user in users]
    return [
        await stores.ledger.balances(keys),
        [await stores.ledger.page(key, before=None, limit=1000) for key in keys],
        await stores.rewards.purchase_context(
            [CollectionKey(u, reward.reward_id) for u in users for reward in rewards]
        ),
        [await stores.rewards.collected_by(user, before=None, limit=1000) for user in users],
        await stores.invites.by_code([invite.code for invite in invites]),
        [await stores.invites.uses_of(invite.invite_id, after=None, limit=1000) for invite in invites],
        await stores.users.find(users),
        await stores.codes.canonical(users),
        await stores.codes.newest_aliases(users),
        await stores.directory.find(users),
        await stores.verifications.verified(users),
    ]
