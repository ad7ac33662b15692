"""Repairs of broken promises, page by page: rows are locked in the usual order, judged again, changed and audited."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import asyncpg

from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.maintenance import owner_session
from tallystick.adapters.postgres.operator_actions import Change, Operator, record_actions
from tallystick.adapters.postgres.reconciliation import InviteSession
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.stores.invariant_passes import PostgresInvariantPasses
from tallystick.adapters.postgres.stores.invariants import PostgresInvariants

if TYPE_CHECKING:
    from tallystick.adapters.postgres.database import Connection as PoolConnection

    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = PoolConnection = object

PAGE_ROWS = 500
_LOCK_TIMEOUT = "5s"
_SQL = Statements.load("repairs")

_Fix = Callable[[Connection, Sequence[str], Operator], Awaitable[list["asyncpg.Record"]]]


async def _codes(connection: Connection, keys: Sequence[str], by: Operator) -> list["asyncpg.Record"]:
    await connection.fetch(_SQL.lock_users, keys)
    return await connection.fetch(_SQL.one_code_each, keys, by.at)


async def _retirements(connection: Connection, keys: Sequence[str], _: Operator) -> list["asyncpg.Record"]:
    await connection.fetch(_SQL.lock_users, keys)
    return await connection.fetch(_SQL.living_codes_resolve, keys)


async def _referrals(connection: Connection, keys: Sequence[str], _: Operator) -> list["asyncpg.Record"]:
    await connection.fetch(_SQL.lock_users, keys)
    return await connection.fetch(_SQL.referrals_are_edges, keys)


async def _balances(connection: Connection, keys: Sequence[str], by: Operator) -> list["asyncpg.Record"]:
    users, units = zip(*(key.split(" ") for key in keys), strict=True)
    await connection.fetch(_SQL.lock_accounts, users, units)
    return await connection.fetch(_SQL.balances_are_entries, users, units, by.new_id(), by.at)


async def _lifetimes(connection: Connection, keys: Sequence[str], _: Operator) -> list["asyncpg.Record"]:
    users, units = zip(*(key.split(" ") for key in keys), strict=True)
    await connection.fetch(_SQL.lock_accounts, users, units)
    return await connection.fetch(_SQL.lifetime_is_earned, users)


async def _heads(connection: Connection, keys: Sequence[str], _: Operator) -> list["asyncpg.Record"]:
    await connection.fetch(_SQL.lock_topics, keys)
    return await connection.fetch(_SQL.events_have_no_gaps, keys)


_FIXES: Mapping[str, _Fix] = {
    "one_code_each": _codes,
    "living_codes_resolve": _retirements,
    "balances_are_entries": _balances,
    "lifetime_is_earned": _lifetimes,
    "events_have_no_gaps": _heads,
    "referrals_are_edges": _referrals,
}


class PostgresRepairs:
    """Repairs by the owner's login, with the rights of the service."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def repair(self, promise: str, by: Operator) -> list[Change]:
        """Repair every row that breaks a promise and can be repaired, and return the changes; each page is committed.

        The rows of a page are locked before they are judged again, so that concurrent transactions are counted. The
        looks at the promise begin anew after each page.
        """
        changes: list[Change] = []
        async with owner_session(self._dsn, name="repair") as connection:
            if promise == "seats_are_uses":
                invites = InviteSession(connection)
                return [await invites.repair(invite, by) for invite in await invites.wrong()]
            after = ""
            while keys := await self._broken(connection, promise, after):
                changes += await self._repair(connection, promise, keys, by)
                after = keys[-1]
        return changes

    async def _broken(self, connection: Connection, promise: str, after: str) -> list[str]:
        async with connection.transaction(readonly=True):
            await connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}")
            invariants = PostgresInvariants(cast("PoolConnection", connection))
            return await invariants.broken_rows(promise, after=after, limit=PAGE_ROWS)

    async def _repair(self, connection: Connection, promise: str, keys: Sequence[str], by: Operator) -> list[Change]:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}; SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            changes = [Change(*row) for row in await _FIXES[promise](connection, list(dict.fromkeys(keys)), by)]
            await record_actions(connection, f"repair {promise}", changes, by)
            await _passes(connection).reset(promise, at=by.at)
        return changes

    async def forget(self, promise: str, by: Operator) -> None:
        """Let the next look at a promise begin anew, because no row breaks it any more."""
        async with owner_session(self._dsn, name="repair") as connection, connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}; SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            await _passes(connection).reset(promise, at=by.at)


def _passes(connection: Connection) -> PostgresInvariantPasses:
    return PostgresInvariantPasses(cast("PoolConnection", connection))
