"""The proof of a restore: migrations, schema and promises, each a row."""

from tallystick.adapters.postgres.contract.schema import SchemaCheck, read_history
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.entrypoints.cli.check import Row
from tallystick.entrypoints.cli.session import ServiceUseCases, pool_of
from tallystick.entrypoints.settings import Settings

_PATIENCE_SECONDS = 3600.0


async def verified(settings: Settings) -> list[Row]:
    """Check a restored database with the rights of the service: its migrations, its schema and what it promises.

    A schema of an older version is not compared, and its promises are not counted, before it is migrated.
    """
    database = Database(settings.direct_url, pool_of(settings, statement_seconds=_PATIENCE_SECONDS))
    await database.open()
    try:
        await database.enter()
        async with database.connection() as connection:
            history = await read_history(connection, shipped())
            if history.faults:
                return [Row("migrations", "no", history.faults)]
            faults = await SchemaCheck(shipped()).manifest_faults(connection, is_newer=bool(history.newer))
        service = ServiceUseCases(settings, PostgresTransactions(database))
        counted = await service.slow_reads(lambda stores: stores.invariants.count())
    finally:
        await database.close()
    broken = [f"{each.promise}: {each.state}, {each.violations} rows" for each in counted if not each.is_kept]
    return [
        Row("migrations", "note" if history.notes else "ok", history.notes),
        Row("contract", "no" if faults else "ok", [fault.explained for fault in faults]),
        Row("invariants", "no" if broken else "ok", broken or [f"{len(counted)} promises are kept"]),
    ]
