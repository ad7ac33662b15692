"""`tallystick check`: would a server start here, and if not, why."""

import asyncio

import msgspec
import rich_click as click

from adapters.embedded.cluster import ClusterError
from adapters.embedded.unprivileged import NoUnprivilegedUser
from adapters.identity.jwks import JwksUnavailable, fetch_keys
from adapters.postgres.contract import DatabaseContract
from adapters.postgres.database import Database, PoolSettings
from entrypoints.cli.embedded import running_database
from entrypoints.cli.terminal import NO, OUT, WRONG, named_errors, refuse, say_json, settings_or_exit
from entrypoints.settings import Settings, SettingsError, require_secrets, variable


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(as_json: bool) -> None:
    """Check settings, connection, schema, roles, durability and the identity provider's keys.

    Nothing is changed but a data directory that is new.
    """
    settings = settings_or_exit()
    try:
        if not settings.is_embedded:
            require_secrets(settings)
    except SettingsError as error:
        refuse(str(error), WRONG)
    with named_errors(ClusterError, NoUnprivilegedUser, OSError), running_database(settings) as connected:
        breaches = asyncio.run(_breaches(connected)) + asyncio.run(key_breaches(settings))
    if as_json:
        say_json({"ok": not breaches, "reasons": breaches})
    elif breaches:
        for breach in breaches:
            OUT.print(f"[red]no[/]  {breach}")
    else:
        OUT.print(
            "[green]ok[/]  settings, connection, schema, roles, durability and published keys are as they have to be"
        )
    if breaches:
        raise SystemExit(NO)


async def refuse_unsafe(settings: Settings) -> None:
    """Refuse to start on a database that could lose acknowledged work, or is not as it has to be.

    A login with too much power is no reason not to start: readiness stays red, which says why.
    """
    breaches = await _breaches(msgspec.structs.replace(settings, single_login="accept"))
    if breaches:
        refuse("; ".join(breaches))


async def key_breaches(settings: Settings) -> list[str]:
    """Return why tokens of the identity provider's published keys could not be verified, in its server's words."""
    if settings.jwks_url is None:
        return []
    try:
        await fetch_keys(settings.jwks_url)
    except JwksUnavailable as error:
        return [f"{variable('jwks_url')}: the identity provider's keys cannot be fetched: {error}"]
    return []


async def _breaches(settings: Settings) -> list[str]:
    database = Database(settings.database_url or "", PoolSettings(cache_statements=settings.cache_statements == "on"))
    await database.open()
    try:
        contract = DatabaseContract(database, accepts_single_login=settings.single_login == "accept")
        return await contract.breaches()
    finally:
        await database.close()
