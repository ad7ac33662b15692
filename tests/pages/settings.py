"""The page that documents every setting, rendered from the settings themselves.

`.venv/bin/python -m tests.pages.settings` writes `docs/settings.md` anew.
"""

import ast
import asyncio
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

import msgspec

from tallystick.application.limit_groups import LIMIT_GROUPS, LimitGroup
from tallystick.domain.flags import Flag
from tallystick.entrypoints.settings import Settings, variable
from tallystick.entrypoints.settings.fields import HINTS, SETTINGS, Theme
from tests.http.openapi_document import routes_with, served_document
from tests.pages.files import DOCS, write

PAGE = DOCS / "settings.md"

OPENING = """\
# Settings

Settings are environment variables: `DATABASE_URL`, `DATABASE_DIRECT_URL` and names that begin with `TALLYSTICK_`. All
settings are checked before anything starts. For an unknown `TALLYSTICK_` name, a wrong value or a missing setting, the
program exits with status 2 and a message that names the variable. A message never repeats a secret. A blank value
counts as absent. Names that begin with `TALLYSTICK_TEST_` belong to the test suite and are ignored.

Some settings have the form `name=value; name=value`. Blanks around names and values do not matter, and a name may be
given once.
"""

SECRETS_OPENING = """\
## Secrets

A secret can be read from a file: append `_FILE` to the name of its variable and set it to the path of the file, as in
`TALLYSTICK_JWT_SECRET_FILE=/run/secrets/jwt`. White space around the content of the file is ignored. The following
settings can be read from a file:
"""

SECRETS_END = """\
In the embedded mode, without `DATABASE_URL`, missing secrets are generated once and kept in `TALLYSTICK_DATA_DIR`, each
in a file that only its owner can read. `tallystick token` signs with `jwt.secret`. Give the content of `webhook.secret`
to an identity provider that delivers webhooks.

With `DATABASE_URL`, no secret is generated. `serve` does not start, and names what is missing,

- without `TALLYSTICK_JWT_SECRET` or `TALLYSTICK_JWKS_URL`: no token could be verified;
- without `TALLYSTICK_WEBHOOK_SECRETS` or `TALLYSTICK_WEBHOOK_BEARER`: set `TALLYSTICK_WEBHOOK_SECRETS=off` to run
  without webhooks;
- without `TALLYSTICK_SESSION_SECRET` or `TALLYSTICK_JWT_SECRET`: the keys of sessions, cursors and pseudonyms are
  derived from the session secret or, if there is none, from the JWT secret. They are never derived from a webhook
  secret, which a provider holds. A session or JWT secret that is also a webhook secret is refused.

All instances of one service need the same secrets.

While a secret rotates, its setting can hold up to ten secrets, separated by white space. Put a JWT secret, session
secret or bearer that contains white space in double quotes. Without quotes, white space separates secrets. Exception:
words all shorter than 16 characters are one passphrase.
"""

LIMITS_OPENING = """\
`TALLYSTICK_RATE_LIMITS` changes the limits of the groups that it names: `read=20/second, 600/minute; webhook=off`. The
other groups keep their defaults. A limit is written `120/minute` or `10 per 5 second`. Several limits of one group are
separated by commas, and all of them apply. `off` instead of a limit removes the limit of a group, and
`TALLYSTICK_RATE_LIMITS=off` removes the limits of all groups.
"""

LIMITS_END = """\
Requests are counted over a sliding window: by user if the caller is known, otherwise by the client's IPv4 address or
by the /64 network of its IPv6 address. The code or user that a request asks about does not matter. Behind a proxy, the
client's address is known only if the proxy is listed in `TALLYSTICK_TRUSTED_PROXIES`. Past the limit, requests are
answered with 429 and `Retry-After`.

With a `TALLYSTICK_RATE_LIMIT_STORAGE` other than memory, all instances share their counts. The last column says what
happens while the storage is unavailable: each instance counts by itself, or requests of the group are answered with
503. A request waits half a second for an answer of the storage. After three failures in a row none waits: one request
in two seconds asks whether the storage answers again. `tallystick_limit_storage_paused` is 1 meanwhile.
"""

BOUNDS_OPENING = """\
`TALLYSTICK_BOUNDS` changes the bounds that it names: `rewards=5000; aliases=20`. The other bounds keep their defaults.
A request for more than the bound is refused with 409 `BOUND_REACHED`. Users keep what they have, also if it is more
than a bound that was lowered. [Limits](limits.md) lists names and defaults.
"""

FLAGS_OPENING = """\
Flags switch features while the service runs. `tallystick flags` and `GET /api/admin/flags` list them; `tallystick flags
set` and `PUT /api/admin/flags/{name}` switch them; see [operations](operations.md#flags). `TALLYSTICK_FLAGS` pins flags
of an instance, which then ignores the stored state: `ensure_on_read_enabled=off; webhook_enabled=on`.
"""


def render(document: dict[str, Any]) -> str:
    """Return the page, with the routes of an OpenAPI document; LookupError where a setting says nothing."""
    return "\n".join(_parts(document)).rstrip("\n") + "\n"


def _parts(document: dict[str, Any]) -> Iterator[str]:
    yield OPENING
    for theme in get_args(Theme):
        yield f"## {theme}\n"
        yield _table(
            ("variable", "default", "meaning"),
            [_row(name) for name, row in SETTINGS.items() if row.theme == theme],
        )
        if theme == "Rate limits":
            yield LIMITS_OPENING
            head = ("group", "default", "what is counted", "while the storage is unavailable")
            yield _table(head, [_limit(group, document) for group in LIMIT_GROUPS])
            yield LIMITS_END
        if theme == "Bounds":
            yield BOUNDS_OPENING
    yield SECRETS_OPENING
    yield "".join(f"- `{variable(name)}`\n" for name, row in SETTINGS.items() if row.is_secret)
    yield SECRETS_END
    yield "## Flags\n"
    yield FLAGS_OPENING
    yield _table(("flag", "default", "when on"), [_flag(flag) for flag in Flag])


def _row(name: str) -> tuple[str, str, str]:
    default = getattr(Settings(), name)
    written = str(default) if isinstance(default, str | int) else SETTINGS[name].default
    return f"`{variable(name)}`", f"`{written}`" if written else "", f"{_says(name)}{_values(HINTS[name])}"


def _says(name: str) -> str:
    """Return what the text below a setting says, as one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(Settings))).body[0]
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in pairwise(statements):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id == name:
            match text:
                case ast.Expr(ast.Constant(str(says))):
                    return " ".join(says.split())
    raise LookupError(f"{name} says nothing: write what it is for below its line in settings/fields.py")


def _values(hint: Any) -> str:
    """Return which values there are to choose from, where there are few."""
    kind, *metas = get_args(hint)
    if get_origin(kind) is Literal:
        return f" One of {', '.join(f'`{choice}`' for choice in get_args(kind))}."
    for meta in metas:
        if isinstance(meta, msgspec.Meta) and meta.ge is not None:
            return f" {meta.ge} to {meta.le}."
    return ""


def _limit(group: LimitGroup, document: dict[str, Any]) -> tuple[str, str, str, str]:
    rule = LIMIT_GROUPS[group]
    alone = "answers 503" if rule.fails_closed else "each instance counts by itself"
    routes = [] if group in {"read", "write"} else routes_with(document, "x-limit-group", group)
    counts = f"{rule.counts}: {', '.join(routes)}" if routes else rule.counts
    return f"`{group}`", f"`{rule.default}`", counts, alone


def _flag(flag: Flag) -> tuple[str, str, str]:
    return f"`{flag}`", "`on`" if flag.default else "`off`", flag.meaning


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    write(PAGE, render(asyncio.run(served_document())))
