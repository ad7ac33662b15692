"""`tallystick check --url`: what a running server shows to users whom it has never seen."""

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec
from rich.table import Table

from tallystick.adapters.system import SystemRandomness
from tallystick.entrypoints.acceptance.checks import CHECKS, accept
from tallystick.entrypoints.acceptance.outside import MARK, Finding, Outside, Unusable
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.progress import shown
from tallystick.entrypoints.cli.terminal import ERR, confirm, refuse, say_json, say_table
from tallystick.entrypoints.cli.token import sign_token, with_signing_secret
from tallystick.entrypoints.settings import Settings

_TOKEN_SECONDS = 600
_COLOURS = {"ok": "green", "no": "red", "note": "yellow"}


class _Row(msgspec.Struct, frozen=True):
    check: str
    state: str
    figure: str


def accept_server(settings: Settings, url: str, users: int, *, is_sure: bool, as_json: bool) -> None:
    """Run all checks of a server, print a row for each, and end with 1 where one fails or a user stays."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        refuse("--url has to start with http:// or https:// and a host", ExitStatus.WRONG)
    settings = with_signing_secret(settings)
    if not settings.jwt_secrets:
        refuse("TALLYSTICK_JWT_SECRET of the server is needed: the checks sign tokens of new users", ExitStatus.WRONG)
    run = SystemRandomness().bytes(4).hex()
    about = f"some {users + 30} users whose ids begin with {MARK}{run}- at {parts.hostname}"
    if not is_sure and not confirm(f"Make and delete {about}?"):
        refuse("nothing was done")
    ERR.print(f"making and deleting {about}", markup=False)
    rows = asyncio.run(_rows(settings, url, users, run))
    if as_json:
        say_json({"ok": all(row.state != "no" for row in rows), "url": url, "checks": rows})
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for row in rows:
            table.add_row(f"[{_COLOURS[row.state]}]{row.state}[/]", row.check, row.figure)
        say_table(table)
    if any(row.state == "no" for row in rows):
        raise SystemExit(ExitStatus.NO)


async def _rows(settings: Settings, url: str, users: int, run: str) -> Sequence[_Row]:
    def sign(user: str, claims: Mapping[str, object]) -> str:
        return sign_token(settings, user, _TOKEN_SECONDS, claims)

    rows: list[_Row] = []
    async with Outside.client(url.rstrip("/")) as http:
        outside = Outside(http, sign, run, users)
        try:
            with shown("checking", len(CHECKS)) as show:
                async for name, finding in accept(outside):
                    rows.append(_Row(name, *finding))
                    show(len(rows))
        finally:
            rows.append(_Row("users deleted", *await _removed(outside)))
    return rows


async def _removed(outside: Outside) -> Finding:
    if not outside.codes:
        return Finding("ok", "none was made")
    try:
        with shown("deleting the users", outside.number_of_users, unit="users") as show:
            left = await outside.remove_users(show)
    except Unusable as error:
        return Finding("no", f"{error}; run `tallystick users delete` for them")
    if left:
        return Finding("no", f"{left} of {outside.number_of_users} could not be deleted; run `tallystick users delete`")
    return Finding("ok", f"all {outside.number_of_users}")
