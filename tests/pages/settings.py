"""The page that documents every setting, rendered from the settings themselves.

`.venv/bin/python -m tests.pages.settings > docs/settings.md` writes it anew.
"""

import ast
import asyncio
import inspect
import sys
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

OPENING = """\
# Settings

Settings come from the environment: `DATABASE_URL`, `DATABASE_DIRECT_URL` and names that begin with `TALLYSTICK_`. All
of them are checked before anything starts. An unknown `TALLYSTICK_` name, a value that is wrong and a setting that is
missing end the program with status 2 and a sentence that names the variable, and never repeats a secret. A blank
value counts as absent. Names that begin with `TALLYSTICK_TEST_` belong to the test suite and are left alone.
"""

SECRETS_OPENING = """\
## Secrets

A secret can be read from a file instead: put `_FILE` behind the name of its variable and give the path of the file, as
in `TALLYSTICK_JWT_SECRET_FILE=/run/secrets/jwt`. White space around what the file holds does not count. This goes for
"""

SECRETS_END = """\
Without `DATABASE_URL`, which is the embedded mode, secrets that were not given are drawn once and kept in
`TALLYSTICK_DATA_DIR`, each in a file that only its owner can read: `tallystick token` signs with the one of tokens, and
an identity provider can be given the content of `webhook.secret`.

With `DATABASE_URL` nothing is ever drawn. `serve` does not start, and names what is missing,

- without `TALLYSTICK_JWT_SECRET` or `TALLYSTICK_JWKS_URL`: no token could be verified;
- without `TALLYSTICK_WEBHOOK_SECRETS` or `TALLYSTICK_WEBHOOK_BEARER`; `TALLYSTICK_WEBHOOK_SECRETS=off` does without
  webhooks;
- without `TALLYSTICK_SESSION_SECRET` or `TALLYSTICK_JWT_SECRET`: the keys of sessions, cursors and pseudonyms are
  derived from the former or, where it is not set, from the latter, and never from a webhook secret, which a provider
  holds. A session or JWT secret that is also a webhook secret is refused.

Several instances of one service need the same secrets.

JWT secrets, session secrets, webhook secrets and webhook bearers may each be several while they rotate, at most ten,
separated by white space. A JWT secret, session secret or bearer that itself holds white space stands in double quotes;
without quotes it is one secret only where each of its words is shorter than 16 characters, a passphrase.
"""

LIMITS_OPENING = """\
`TALLYSTICK_RATE_LIMITS` changes the limits of groups and leaves those of the others at their defaults:
`read=20/second, 600/minute; webhook=off`. A limit is written `120/minute` or `10 per 5 second`; several of one group
are separated by commas, and all of them hold. `off` in the place of a limit lifts it, and
`TALLYSTICK_RATE_LIMITS=off` lifts all of them.
"""

LIMITS_END = """\
Requests are counted over a sliding window, by user where the caller is known, else by the address of the client, an
IPv6 address by its /64. They are never counted by what they ask about. Behind a proxy, the client's address is known
only where the proxy is listed in `TALLYSTICK_TRUSTED_PROXIES`. Past the limit the answer is 429 with `Retry-After`.

With a `TALLYSTICK_RATE_LIMIT_STORAGE` other than memory, all instances share their counts. While it is out of reach,
a group is counted by each instance by itself, or answers 503 where it must not go without its count.
"""

BOUNDS_OPENING = """\
`TALLYSTICK_BOUNDS` changes some of them and leaves the others at their defaults: `rewards=5000; aliases=20`. A user at
a bound keeps what is there, also where it is more than the bound, and a request for one more is refused with 409
`BOUND_REACHED`; [limits](limits.md) has names and defaults.
"""

FLAGS_OPENING = """\
Flags switch flows while the service runs: `tallystick flags` shows them and `tallystick flags set` switches them, as do
`GET /api/admin/flags` and `PUT /api/admin/flags/{name}`; see [operations](operations.md#flags). `TALLYSTICK_FLAGS` pins
them, whatever is stored: `ensure_on_read_enabled=off; webhook_enabled=on`.
"""


def render(document: dict[str, Any]) -> str:
    """Return the page, with the routes of an OpenAPI document; LookupError where a setting says nothing."""
    return "\n".join(_parts(document)).rstrip("\n") + "\n"


def _parts(document: dict[str, Any]) -> Iterator[str]:
    yield OPENING
    for theme in get_args(Theme):
        yield f"## {theme}\n"
        yield _table(
            ("variable", "default", "what it says"),
            [_row(name) for name, row in SETTINGS.items() if row.theme == theme],
        )
        if theme == "Rate limits":
            yield LIMITS_OPENING
            head = ("group", "default", "what is counted", "while shared counts are out of reach")
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
    alone = "answers 503" if rule.fails_closed else "is counted by each instance"
    routes = [] if group in {"read", "write"} else routes_with(document, "x-limit-group", group)
    counts = f"{rule.counts}: {', '.join(routes)}" if routes else rule.counts
    return f"`{group}`", f"`{rule.default}`", counts, alone


def _flag(flag: Flag) -> tuple[str, str, str]:
    return f"`{flag}`", "`on`" if flag.default else "`off`", flag.meaning


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(render(asyncio.run(served_document())))
