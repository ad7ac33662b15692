"""Flags on PostgreSQL."""

from collections.abc import Sequence

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.flags import Flag, FlagBook, Switch

CHANNEL = "tallystick_flags"
"""The channel of NOTIFY for switched flags."""

_SQL = Statements.load("flags")
_KNOWN = frozenset(flag.value for flag in Flag)


class PostgresFlagBook(FlagBook):
    """Rows of `flags`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> dict[Flag, Switch]:
        rows = await self._connection.fetch(_SQL.all)
        switches = [
            Switch(Flag(flag), enabled, updated_at, updated_by)
            for flag, enabled, updated_at, updated_by in rows
            if flag in _KNOWN
        ]
        return {switch.flag: switch for switch in switches}

    async def store(self, switches: Sequence[Switch]) -> None:
        await self._connection.execute(
            _SQL.store,
            [switch.flag.value for switch in switches],
            [switch.enabled for switch in switches],
            [switch.updated_at for switch in switches],
            [switch.updated_by for switch in switches],
        )
        await self._connection.execute(_SQL.notify, CHANNEL)
