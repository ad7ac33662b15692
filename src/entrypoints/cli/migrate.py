"""`tallystick migrate`: migrate the schema to this version."""

import asyncio

import asyncpg
import rich_click as click

from tallystick.adapters.postgres.migrating.migrator import MigrationRefused, Migrator
from tallystick.adapters.system import SystemClock
from tallystick.entrypoints.cli.embedded import running_database
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.terminal import OUT, say_json
from tallystick.entrypoints.settings import Settings, load


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 1 where migrations are pending.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def migrate(only_check: bool, as_json: bool) -> None:
    """Apply pending migrations, as the owner of the schema; several at once are safe.

    Connects to DATABASE_DIRECT_URL, or DATABASE_URL, or the embedded database.
    """
    with running_database(load(), may_create=not only_check) as connected:
        migrator = _migrator(connected)
        found = asyncio.run(migrator.pending() if only_check else migrator.apply())
    names = [f"{migration.version}_{migration.name}" for migration in found]
    if as_json:
        say_json({"pending" if only_check else "applied": names})
    elif only_check:
        OUT.print(f"pending: {', '.join(names)}" if names else "nothing is pending")
    else:
        OUT.print(f"applied: {', '.join(names)}" if names else "the schema is up to date")
    if only_check and names:
        raise SystemExit(ExitStatus.NO)


async def bring_up_to_date(settings: Settings) -> None:
    """Apply pending migrations if the settings allow it; else MigrationRefused names the command."""
    try:
        if settings.auto_migrate == "on":
            await _migrator(settings).apply()
        else:
            await refuse_pending(settings)
    except asyncpg.PostgresError as error:
        raise MigrationRefused(f"the database refused the migration ({error.sqlstate}): {error.args[0]}") from None


async def refuse_pending(settings: Settings) -> None:
    """Refuse a database that is not up to date; MigrationRefused names the command."""
    if await _migrator(settings).pending():
        raise MigrationRefused(
            "migrations are pending; run 'tallystick migrate', or 'tallystick serve' with TALLYSTICK_AUTO_MIGRATE=on"
        )


def _migrator(settings: Settings) -> Migrator:
    return Migrator(settings.direct_url, now=SystemClock().now)
