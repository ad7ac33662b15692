"""Writes the manifest of the contract with the database, from an embedded database that was just migrated."""

import asyncio
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.provision import DATABASE, OWNER, SERVICE, provision
from tallystick.adapters.postgres.contract.manifest import FILE_NAME, Found, merged, read_manifest, rendered
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.migrating.migration_files import Migration, shipped
from tallystick.adapters.postgres.migrating.migrator import Migrator
from tests.processes.folders import database_folder

FILE = Path(str(files("tallystick.adapters.postgres") / "contract" / FILE_NAME))


async def render(owner_dsn: str, service_dsn: str) -> str:
    """Migrate an empty database, and return the text of the file: the schema before and after what waits."""

    def migrator(migrations: list[Migration]) -> Migrator:
        return Migrator(owner_dsn, now=lambda: datetime.now(UTC), migrations=migrations)

    await migrator([migration for migration in shipped() if migration.kind == "before"]).apply()
    before = await _read(service_dsn)
    await migrator(shipped()).apply(with_waiting=True)
    return rendered(merged(before, await _read(service_dsn)))


async def _read(dsn: str) -> Found:
    database = Database(dsn)
    await database.open()
    try:
        async with database.connection() as connection:
            return await read_manifest(connection)
    finally:
        await database.close()


async def _migrated(cluster: Cluster) -> str:
    password = cluster.password
    await provision(cluster.dsn("postgres", "postgres"), password=password, service_password=password)
    return await render(cluster.dsn(OWNER, DATABASE), cluster.dsn(SERVICE, DATABASE))


if __name__ == "__main__":
    with database_folder() as folder:
        cluster = Cluster(folder)
        try:
            cluster.start()
            FILE.write_text(asyncio.run(_migrated(cluster)), encoding="utf-8")
        finally:
            cluster.stop()
