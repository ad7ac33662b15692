"""`tallystick migrate`: migrate the schema to this version."""

import asyncio

import asyncpg
import rich_click as click

from tallystick.adapters.postgres.migrating.migrator import MigrationRefused, Migrator
from tallystick.adapters.postgres.migrating.polite_locks import PoliteLocks
from tallystick.adapters.system import SystemClock
from tallystick.entrypoints.cli.embedded import running_database
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.migration_plan import show_plan
from tallystick.entrypoints.cli.terminal import ERR, OUT, say_json
from tallystick.entrypoints.settings import Settings, load


@click.command()
@click.option("--after", is_flag=True, help="Also the migrations that wait until no older server is left.")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 1 where migrations are pending.")
@click.option("--plan", "only_plan", is_flag=True, help="Change nothing; print the steps and their locks.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def migrate(after: bool, only_check: bool, only_plan: bool, as_json: bool) -> None:
    """Apply pending migrations beside running servers, as the owner of the schema; several at once are safe.

    Migrations that older servers could not bear wait for --after. Connects to DATABASE_DIRECT_URL, or DATABASE_URL, or
    the embedded database.
    """
    with running_database(load(), may_create=not (only_check or only_plan)) as connected:
        migrator = _migrator(connected)
        if only_plan:
            show_plan(asyncio.run(migrator.plan()), as_json=as_json)
            return
        pending = asyncio.run(migrator.pending())
        found = [*pending.due, *(pending.waiting if after else ())]
        if not only_check:
            found = asyncio.run(migrator.apply(with_waiting=after))
    names = [migration.full_name for migration in found]
    waiting = [migration.full_name for migration in pending.waiting if migration not in found]
    if as_json:
        say_json({"pending" if only_check else "applied": names, "waiting": waiting})
    else:
        shown = ", ".join(names)
        if only_check:
            OUT.print(f"pending: {shown}" if names else "nothing is pending")
        else:
            OUT.print(f"applied: {shown}" if names else "the schema is up to date")
        if waiting:
            OUT.print(
                f"waiting until no older server is left: {', '.join(waiting)}; then run 'tallystick migrate --after'"
            )
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
    if (await _migrator(settings).pending()).due:
        raise MigrationRefused(
            "migrations are pending; run 'tallystick migrate', or 'tallystick serve' with TALLYSTICK_AUTO_MIGRATE=on"
        )


def _migrator(settings: Settings) -> Migrator:
    locks = PoliteLocks(report=lambda attempt: ERR.print(f"[yellow]waiting:[/] {attempt}"))
    return Migrator(settings.direct_url, now=SystemClock().now, locks=locks)
