"""The page that documents every setting, rendered from the settings themselves.

`.venv/bin/python -m tests.settings_page > docs/settings.md` writes it anew.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from tallystick.adapters.rate_limits.limiter import DEFAULTS as LIMITS
from tallystick.adapters.rate_limits.limiter import NEVER_UNCOUNTED
from tallystick.application.ports import LimitGroup
from tallystick.domain.flags import DEFAULTS as FLAGS
from tallystick.domain.flags import MEANINGS, Flag
from tallystick.entrypoints.settings import Settings, SettingsError, load, variable

THEMES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "Database": (
            "database_url",
            "database_direct_url",
            "single_login",
            "data_dir",
            "auto_migrate",
            "pool_size",
            "cache_statements",
        ),
        "Who calls": (
            "jwt_secret",
            "jwks_url",
            "jwt_algorithms",
            "jwt_issuer",
            "jwt_audience",
            "session_secret",
            "identity",
        ),
        "Webhooks": ("webhook_secrets", "webhook_bearer"),
        "Addresses": ("public_base_url", "app_url", "allowed_origins", "allowed_headers", "trusted_proxies"),
        "Rate limits": ("rate_limits", "rate_limit_storage"),
        "Bounds": ("bounds",),
        "Rewards": ("reward_offers",),
        "Loyalty": ("tiers", "games", "referral_points", "referral_points_need", "referral_points_daily_cap"),
        "Running": (
            *("flags", "reconcile_hour", "drain_seconds"),
            *("log_level", "slow_request_ms", "log_writes", "metrics_address", "metrics_token"),
        ),
    }
)
"""Every setting stands under one of these; a new one needs its place here."""

ROUTES: Mapping[LimitGroup, str] = MappingProxyType(
    {
        "account": "sign-in by e-mail address and change of a password by user, which `sign_up` counts too",
        "award": "`POST /api/loyalty/manual-rewards`",
        "resolver": "`GET /api/referral/resolve`, `GET /r/{code}` and `POST /api/invites/validate`",
        "sign_up": "`POST /api/users/upsert`, `POST /api/auth/complete-phone-signup`, `POST /api/auth/sign-in` and "
        "`POST /api/auth/password`",
        "webhook": "`POST /api/webhooks/auth`",
        "read": "every other `GET` under `/api`",
        "write": "every other `POST`, `PUT`, `PATCH` and `DELETE` under `/api`",
    }
)

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


def render() -> str:
    """Return the page; LookupError where a setting, a group or a flag has no place on it yet."""
    placed = [name for names in THEMES.values() for name in names]
    if sorted(placed) != sorted(Settings.__struct_fields__):
        wrong = sorted(set(placed) ^ set(Settings.__struct_fields__))
        raise LookupError(f"THEMES of tests/settings_page.py has to name every setting once: {', '.join(wrong)}")
    return "\n".join(_parts()).rstrip("\n") + "\n"


def _parts() -> Iterator[str]:
    yield OPENING
    for theme, names in THEMES.items():
        yield f"## {theme}\n"
        yield _table(("variable", "default", "what it says"), [_row(name) for name in names])
        if theme == "Rate limits":
            yield LIMITS_OPENING
            head = ("group", "default", "routes", "while shared counts are out of reach")
            yield _table(head, [_limit(group) for group in LIMITS])
            yield LIMITS_END
        if theme == "Bounds":
            yield BOUNDS_OPENING
    yield SECRETS_OPENING
    yield "".join(f"- `{variable(name)}`\n" for name in Settings.__struct_fields__ if _may_be_in_a_file(name))
    yield SECRETS_END
    yield "## Flags\n"
    yield FLAGS_OPENING
    yield _table(("flag", "default", "when on"), [_flag(flag) for flag in FLAGS])


def _row(name: str) -> tuple[str, str, str]:
    default = getattr(Settings(), name)
    hint = get_type_hints(Settings, include_extras=True)[name]
    return f"`{variable(name)}`", f"`{default}`" if default not in {None, ""} else "", f"{_says(hint)}{_values(hint)}"


def _says(hint: Any) -> str:
    for meta in hint.__metadata__:
        if isinstance(meta, msgspec.Meta) and meta.description is not None:
            return meta.description
    raise LookupError(f"{hint} says nothing")


def _values(hint: Any) -> str:
    """Return which values there are to choose from, where there are few."""
    kind, *metas = get_args(hint)
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return f" One of {', '.join(f'`{choice}`' for choice in get_args(kind))}."
    for meta in metas:
        if isinstance(meta, msgspec.Meta) and meta.ge is not None:
            return f" {meta.ge} to {meta.le}."
    return ""


def _may_be_in_a_file(name: str) -> bool:
    try:
        load({f"{variable(name)}_FILE": "/"})
    except SettingsError as error:  # a folder is no file to read from; other settings have no file at all
        return "cannot be read" in str(error)
    return True


def _limit(group: LimitGroup) -> tuple[str, str, str, str]:
    alone = "answers 503" if group in NEVER_UNCOUNTED else "is counted by each instance"
    return f"`{group}`", f"`{LIMITS[group]}`", ROUTES[group], alone


def _flag(flag: Flag) -> tuple[str, str, str]:
    return f"`{flag}`", "`on`" if FLAGS[flag] else "`off`", MEANINGS[flag]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(render())
