"""The contract with the schema on PostgreSQL: all migrations of this version, and all that the manifest lists."""

from functools import cache

from tallystick.adapters.postgres.contract.comparison import manifest_faults
from tallystick.adapters.postgres.contract.manifest import read_manifest, shipped_manifest
from tallystick.adapters.postgres.contract.schema import read_history
from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.migrating.migration_files import Migration, shipped
from tallystick.adapters.postgres.migrating.migrator import LOCK_ID
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.schema_contract import ContractMissing, SchemaContract

_SQL = Statements.load("schema_contract")


class PostgresSchemaContract(SchemaContract):
    """The schema of a database. No migrator can change it before the end of the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def hold(self) -> str:
        if not await self._connection.fetchval(_SQL.hold, LOCK_ID):
            raise ContractMissing
        # In a separate statement: it sees what the last migrator committed before the lock was free.
        history = await read_history(self._connection, _migrations())
        if history.faults:
            raise ContractMissing
        found = await read_manifest(self._connection)
        if manifest_faults(shipped_manifest(), found, is_newer=bool(history.newer)):
            raise ContractMissing
        return _migrations()[-1].version


@cache
def _migrations() -> list[Migration]:
    return shipped()
