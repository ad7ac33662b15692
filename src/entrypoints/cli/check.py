"""`tallystick check`: whether a server would start here and become ready, and if not, why."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Literal, get_args

import msgspec
import rich_click as click
from rich.table import Table

from tallystick.adapters.identity.jwks import JwksUnavailable, fetch_keys
from tallystick.adapters.postgres.contract.database_contract import DatabaseContract
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.migrating.migrator import MigrationRefused, Migrator
from tallystick.adapters.rate_limits.limiter import storage_fault
from tallystick.adapters.system import SystemClock
from tallystick.application.readiness import CheckName, Fault
from tallystick.entrypoints.cli.embedded import running_database
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.notes import notes
from tallystick.entrypoints.cli.session import pool_of
from tallystick.entrypoints.cli.terminal import ERR, refuse, say_json, say_table
from tallystick.entrypoints.settings import Settings, load, require_secrets, variable


class Row(msgspec.Struct, frozen=True):
    """The result of a check: right, wrong, or a note for the operator."""

    check: str
    state: Literal["ok", "no", "note"]
    reasons: list[str]


@click.command()
@click.option("--url", help="Check a running server at this address from outside, instead of the database.")
@click.option(
    "--users",
    default=1000,
    show_default=True,
    type=click.IntRange(10, 10_000),
    help="With --url: users who ask for a code in parallel.",
)
@click.option("--yes", "is_sure", is_flag=True, help="With --url: do not ask; required without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(url: str | None, users: int, is_sure: bool, as_json: bool) -> None:
    """Ask everything that the start of a server and its first request would ask, and change nothing.

    Settings, connection, durability of the server, roles and logins, time-outs that a pooler drops, clocks, schema, the
    owner's login, the identity provider's keys, and the storage of rate limits. Exits with 1 where one is not right.

    With --url it makes new users at a running server, measures what they get, and deletes them: time to code,
    collisions, randomness, links, spellings, aliases, phones, forged requests, caches, what strangers can tell apart,
    and the rate limit of the resolver, which refuses this address for a minute afterwards. It signs tokens with
    TALLYSTICK_JWT_SECRET, or with the generated secret in the data directory of the server:

    tallystick check --url https://api.example.org --yes
    """
    settings = load()
    if url is not None:
        from tallystick.entrypoints.cli.acceptance import accept_server  # noqa: PLC0415  an HTTP client

        accept_server(settings, url, users, is_sure=is_sure, as_json=as_json)
        return
    if not settings.is_embedded:
        require_secrets(settings)
    with running_database(settings) as connected:
        faults = asyncio.run(_faults(connected))
    reasons = [fault.explained for fault in faults if fault.blocks != "nothing"]
    rows = list(_rows(faults, list(notes(settings))))
    if as_json:
        say_json({"ok": not reasons, "reasons": reasons, "checks": rows})
    else:
        show_rows(rows)
    if reasons:
        raise SystemExit(ExitStatus.NO)


async def refuse_unsafe(settings: Settings) -> None:
    """Refuse to start on a database that could lose acknowledged work or breaks the contract of the schema.

    A login with too many rights, time-outs that a pooler drops and a newer schema are warnings; readiness reports the
    first and the last, too.
    """
    faults = await faults_of_the_database(settings)
    warnings = [fault for fault in faults if fault.topic in {"login", "session"} or fault.blocks == "nothing"]
    if stopping := [fault for fault in faults if fault not in warnings]:
        refuse("; ".join(fault.explained for fault in stopping))
    for fault in warnings:
        ERR.print(f"[yellow]warning:[/] {fault.explained}")


async def faults_of_the_database(settings: Settings) -> list[Fault]:
    """Return the faults of the contract with the database, and of the sessions on it."""
    database = Database(settings.database_url or "", pool_of(settings))
    await database.open()
    try:
        accepts = settings.single_login == "accept"
        contract = DatabaseContract(database, SystemClock(), accepts_single_login=accepts)
        faults = await contract.faults()
        is_reached = not any(fault.topic == "connection" for fault in faults)
        return [*faults, *(await contract.session_faults() if is_reached else ())]
    finally:
        await database.close()


async def _of_the_owner(settings: Settings) -> list[Fault]:
    if settings.direct_url == settings.database_url:
        return []
    try:
        if await Migrator(settings.direct_url, now=SystemClock().now).may_migrate():
            return []
    except MigrationRefused as refusal:
        return [Fault("owner", "DATABASE_DIRECT_URL cannot be used", str(refusal))]
    return [Fault("owner", "the login of DATABASE_DIRECT_URL does not own the schema, and cannot migrate")]


async def of_the_keys(settings: Settings) -> list[Fault]:
    """Return why the published keys of the identity provider cannot be fetched, in the words of its server."""
    if settings.jwks_url is None:
        return []
    try:
        await fetch_keys(settings.jwks_url)
    except JwksUnavailable as error:
        reason = f"{variable('jwks_url')}: the identity provider's keys cannot be fetched"
        return [Fault("identity keys", reason, str(error))]
    return []


async def _of_the_limits(settings: Settings) -> list[Fault]:
    why = await storage_fault(settings.rate_limit_storage)
    return [] if why is None else [Fault("rate limits", "TALLYSTICK_RATE_LIMIT_STORAGE is out of reach", why)]


CHECKS: Sequence[Callable[[Settings], Awaitable[list[Fault]]]] = (
    faults_of_the_database,
    _of_the_owner,
    of_the_keys,
    _of_the_limits,
)
"""The checks, each on its own. A new check is a function, with a new topic where no topic fits."""


async def _faults(settings: Settings) -> list[Fault]:
    return [fault for ask in CHECKS for fault in await ask(settings)]


def _rows(faults: Sequence[Fault], hints: Sequence[Fault]) -> Iterator[Row]:
    is_reached = not any(fault.topic == "connection" for fault in faults)
    for topic in get_args(CheckName):
        reasons = [fault.explained for fault in faults if fault.topic == topic and fault.blocks != "nothing"]
        noted = [fault for fault in faults if fault.blocks == "nothing"]
        worth_knowing = [hint.reason for hint in (*noted, *hints) if hint.topic == topic]
        if reasons:
            yield Row(topic, "no", reasons)
        elif worth_knowing:
            yield Row(topic, "note", worth_knowing)
        elif is_reached or topic not in {"server", "role", "login", "session", "clock", "schema"}:
            yield Row(topic, "ok", [])


def show_rows(rows: Sequence[Row]) -> None:
    """Print the rows as a table, a line for each reason."""
    colours = {"ok": "green", "no": "red", "note": "yellow"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for row in rows:
        for reason in row.reasons or [""]:
            table.add_row(f"[{colours[row.state]}]{row.state}[/]", row.check, reason)
    say_table(table)
