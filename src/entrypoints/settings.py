"""Settings: all of them, from the environment, each checked before anything starts."""

import base64
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec

from tallystick.adapters.identity.keys import read_secrets
from tallystick.adapters.identity.tokens import PUBLISHED_ALGORITHMS, SECRET_ALGORITHMS
from tallystick.adapters.rate_limits.limiter import read_limits
from tallystick.adapters.telemetry.logs import LogLevel
from tallystick.adapters.webhooks.signatures import WebhookSecrets
from tallystick.domain.bounds import UserBounds
from tallystick.domain.flags import DEFAULTS, LOCKED, Flag
from tallystick.domain.ledger import MAX_AMOUNT
from tallystick.domain.loyalty import Tiers
from tallystick.domain.rating_slips import Games
from tallystick.domain.referral_points import ReferralNeed, ReferralPoints

Store = Literal["postgres", "memory"]
"""Where everything is kept."""

PREFIX = "TALLYSTICK_"
OFF = "off"
_UNPREFIXED = {"database_url": "DATABASE_URL", "database_direct_url": "DATABASE_DIRECT_URL"}
_FOR_TESTS = "TALLYSTICK_TEST_"
_SECRETS = frozenset({"database_url", "database_direct_url", "jwt_secret", "session_secret", "webhook_secrets"}) | {
    "webhook_bearer",
    "metrics_token",
    "rate_limit_storage",
}
_SEVERAL = ("jwt_secret", "session_secret", "webhook_bearer", "metrics_token")
"""Secrets of which there may be several while they rotate, separated by white space."""
_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::(\d{1,5}))?")
_LAST_PORT = 65535
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f]")
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_ORIGIN = re.compile(r"(?:https?|capacitor|tauri|chrome-extension)://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")


def _says(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class SettingsError(Exception):
    """A setting is unknown, wrong or missing; the message names it, and never repeats a secret."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, by its name without the prefix. Defaults are those of the embedded mode."""

    database_url: Annotated[
        str | None,
        _says(
            "PostgreSQL 15 or newer, with the login of the service: a member of `tallystick_app` and of nothing else. "
            "Without it, `serve` runs its own in the data directory."
        ),
    ] = None
    database_direct_url: Annotated[
        str | None,
        _says(
            "The same database past a pooler, with the login of the owner: for migrations and for commands. "
            "Default: `DATABASE_URL`."
        ),
    ] = None
    single_login: Annotated[
        Literal["refuse", "accept"],
        _says(
            "Whether a service may be ready whose login owns the schema or stands above its rules. Accepting it is "
            "weaker: who takes over the service's connection can drop everything."
        ),
    ] = "refuse"
    data_dir: Annotated[str, _says("Where the embedded database and generated secrets live.")] = ".tallystick"
    auto_migrate: Annotated[
        Literal["on", "off"], _says("Apply pending migrations at start. When off, `serve` refuses to start with any.")
    ] = "on"
    pool_size: Annotated[Annotated[int, msgspec.Meta(ge=2, le=200)], _says("Database connections of one process.")] = 10
    cache_statements: Annotated[
        Literal["on", "off"], _says("Keep prepared statements; off behind PgBouncer before 1.21 in transaction mode.")
    ] = "on"

    jwt_secret: Annotated[
        str | None,
        _says(
            "The secret that HS256 bearer tokens are signed with, at least 16 characters; several while rotating, "
            "separated by white space, of which each is taken."
        ),
    ] = None
    jwks_url: Annotated[
        str | None, _says("Where the identity provider publishes the keys of its RS256 and ES256 tokens.")
    ] = None
    jwt_algorithms: Annotated[
        str | None,
        _says(
            "Which algorithms are taken, of HS256 (which needs a secret), RS256 and ES256 (which need a URL). "
            "Default: all that there are keys for."
        ),
    ] = None
    jwt_issuer: Annotated[str | None, _says("The `iss` that tokens must have, checked exactly where set.")] = None
    jwt_audience: Annotated[str | None, _says("The `aud` that tokens must have, checked exactly where set.")] = None
    session_secret: Annotated[
        str | None,
        _says(
            "What keys of sessions, cursors and pseudonyms are derived from, at least 16 characters; several while "
            "rotating, of which the first signs and the others verify. Default: the JWT secret."
        ),
    ] = None

    identity: Annotated[
        Literal["builtin", "external"],
        _says(
            "Who holds e-mail addresses and passwords: this service, or the identity provider alone. "
            "When external, sign-up refuses both and nobody signs in here."
        ),
    ] = "builtin"

    webhook_secrets: Annotated[
        str | None,
        _says("`whsec_...` or `v1,whsec_...`, several separated by spaces while rotating, or `off`."),
    ] = None
    webhook_bearer: Annotated[
        str | None,
        _says(
            "Takes unsigned deliveries with `Authorization: Bearer` and this value, for Supabase; several while "
            "rotating, separated by white space."
        ),
    ] = None

    public_base_url: Annotated[
        str | None,
        _says("Where this service is reached; share links start with it. Default: where it listens."),
    ] = None
    app_url: Annotated[str | None, _says("Where clicks on share links land. Default: the public base URL.")] = None
    allowed_origins: Annotated[
        str,
        _says(
            "Origins of web apps that may call from browsers, separated by spaces: `https://app.example.org`, also "
            "`capacitor://localhost`, `tauri://localhost` and `chrome-extension://` with an extension's id."
        ),
    ] = ""
    allowed_headers: Annotated[
        str,
        _says(
            "Names of request headers, separated by spaces, that pages of the allowed origins may send besides those "
            "that the service knows."
        ),
    ] = ""

    rate_limits: Annotated[
        str, _says("`off`, or `group=expression; group=expression` over the defaults; an expression may be `off`.")
    ] = ""
    bounds: Annotated[
        str, _says("How much of each thing one user may hold: `name=number; name=number` over the defaults.")
    ] = ""
    rate_limit_storage: Annotated[
        str, _says("`memory://`, or `valkey://...` or `redis://...` to share counts between instances.")
    ] = "memory://"
    trusted_proxies: Annotated[
        str, _says("Addresses and networks of the proxies whose `X-Forwarded-For` is believed, separated by spaces.")
    ] = ""

    reward_offers: Annotated[
        Literal["permitted", "anyone"],
        _says("Who may offer rewards: callers with the permission `rewards:offer`, or every user, as in marketplaces."),
    ] = "permitted"

    tiers: Annotated[str, _says("The tiers of loyalty and the lifetime points that each begins at, lowest first.")] = (
        "bronze=0; silver=1000; gold=5000; platinum=20000"
    )
    games: Annotated[
        str,
        _says(
            "The games that rating slips are opened for: `name=decisions an hour,house edge in basis points,points for "
            "each 100 minor units that the house expects to win`."
        ),
    ] = "blackjack=70,75,10; baccarat=70,106,10; roulette=38,526,10; slots=600,800,10"

    referral_points: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT)],
        _says("The points that an inviter gets for each user they bring; 0 for none."),
    ] = 100

    referral_points_need: Annotated[
        ReferralNeed,
        _says(
            "What a referral needs before the inviter gets the points: with `phone` they wait until the phone of the "
            "invitee is verified."
        ),
    ] = "nothing"
    referral_points_daily_cap: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT)],
        _says(
            "For how many referrals one inviter gets points on a day of UTC; those above it wait for the next day. "
            "0 for any number."
        ),
    ] = 0

    flags: Annotated[str, _says("Pins flags: `name=on; name=off`. See below for what there is.")] = ""
    log_level: Annotated[LogLevel, _says("`debug` logs successful requests too.")] = "info"
    slow_request_ms: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=600_000)],
        _says("Successful requests that take at least this long are logged at `info`; others at `debug` only."),
    ] = 1000
    log_writes: Annotated[
        Literal["on", "off"], _says("Log successful `POST`, `PUT`, `PATCH` and `DELETE` requests at `info` too.")
    ] = "off"
    reconcile_hour: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=23)],
        _says(
            "The hour, in UTC, at which one instance reconciles the legacy metadata each night, while "
            "`legacy_fallback_enabled` is on."
        ),
    ] = 3
    metrics_address: Annotated[
        str | None,
        _says(
            "Where `/metrics` has a listener of its own, such as `127.0.0.1:9100` or `[::1]:9100`. It is not served "
            "beside the API then."
        ),
    ] = None
    metrics_token: Annotated[
        str | None,
        _says(
            "The bearer token that `/metrics` asks for; several separated by white space while they rotate. Without it "
            "and without a listener of its own, `/metrics` answers requests of the same machine alone."
        ),
    ] = None
    drain_seconds: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=600)], _says("How long requests may take to finish after SIGTERM.")
    ] = 20

    @property
    def is_embedded(self) -> bool:
        """Tell whether the database is our own."""
        return self.database_url is None

    @property
    def direct_url(self) -> str:
        """The way past a pooler, for what belongs to a session: locks, temporary tables, migrations, notifications."""
        return self.database_direct_url or self.database_url or ""

    @property
    def listen_url(self) -> str:
        """Where notifications are listened for: past a pooler, and as the login of the service where there is none."""
        service, direct = self.database_url or "", self.direct_url
        return service if _place_of(service) == _place_of(direct) else direct

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms that bearer tokens may be signed with."""
        if self.jwt_algorithms is not None:
            return frozenset(self.jwt_algorithms.replace(",", " ").split())
        by_secret = SECRET_ALGORITHMS if self.jwt_secret is not None else frozenset[str]()
        return by_secret | (PUBLISHED_ALGORITHMS if self.jwks_url is not None else frozenset())

    @property
    def jwt_secrets(self) -> tuple[str, ...]:
        """The secrets that HS256 bearer tokens may be signed with; the first is the one to sign with."""
        return _secrets(self.jwt_secret)

    @property
    def webhook_bearers(self) -> tuple[str, ...]:
        """What unsigned deliveries may be authorised by."""
        return _secrets(self.webhook_bearer)

    @property
    def root_secrets(self) -> tuple[str, ...]:
        """The secrets that keys are derived from, never those of webhooks; the first signs."""
        secrets = _secrets(self.session_secret) or self.jwt_secrets
        if not secrets:
            raise SettingsError(f"{variable('session_secret')} is needed where there is no {variable('jwt_secret')}")
        return secrets

    @property
    def takes_signed(self) -> bool:
        """Tell whether signed webhooks are taken."""
        return self.webhook_secrets not in {None, OFF}

    @property
    def pinned_flags(self) -> dict[Flag, bool]:
        """The flags that the environment decides."""
        return _read_flags(self.flags)

    @property
    def points_tiers(self) -> Tiers:
        """The tiers of loyalty."""
        return Tiers.parse(self.tiers)

    @property
    def referral_rules(self) -> ReferralPoints:
        """The rules of referral points."""
        return ReferralPoints(self.referral_points, self.referral_points_need, self.referral_points_daily_cap)

    @property
    def user_bounds(self) -> UserBounds:
        """How much of each thing one user may hold."""
        return UserBounds.parse(self.bounds)

    @property
    def rated_games(self) -> Games:
        """The games that slips can be opened for."""
        return Games.parse(self.games)

    @property
    def origins(self) -> list[str]:
        """The origins of web apps that may call."""
        return self.allowed_origins.split()

    @property
    def cross_origin_headers(self) -> list[str]:
        """The request headers that web apps may send besides those that the service knows."""
        return self.allowed_headers.split()

    @property
    def metrics_tokens(self) -> tuple[str, ...]:
        """The bearer tokens that `/metrics` takes."""
        return _secrets(self.metrics_token)

    @property
    def metrics_place(self) -> tuple[str, int] | None:
        """The host and port of the listener for measurements."""
        return _read_address(self.metrics_address) if self.metrics_address is not None else None

    @property
    def proxies(self) -> list[str]:
        """The networks of trusted proxies."""
        return self.trusted_proxies.split()


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return _UNPREFIXED.get(name, f"{PREFIX}{name.upper()}")


def load(environment: Mapping[str, str]) -> Settings:
    """Read and check the settings; SettingsError names the first that is unknown or wrong.

    A secret may be in a file: `TALLYSTICK_JWT_SECRET_FILE=/run/secrets/jwt`.
    """
    names = {variable(field): field for field in Settings.__struct_fields__}
    files = {f"{variable(field)}_FILE": field for field in _SECRETS}
    ours = {name for name in environment if name.startswith(PREFIX) and not name.startswith(_FOR_TESTS)}
    for name in sorted(ours - set(names) - set(files)):
        raise SettingsError(f"{name} is no setting; the settings are {', '.join(sorted(names))}")
    present = {name: value for name, value in environment.items() if value.strip()}
    given = {field: present[name] for name, field in names.items() if name in present}
    for name, field in files.items():
        if name in present:
            if field in given:
                raise SettingsError(f"{name} and {variable(field)} are both set; one of them is enough")
            if secret := _from_file(name, present[name]):
                given[field] = secret
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        field = str(error).partition("$.")[2].rstrip("`")
        raise SettingsError(f"{variable(field)}: {_what_is_right(field, error)}") from None
    _check(settings)
    return settings


def require_secrets(settings: Settings) -> None:
    """Check what a server on an ordinary database cannot do without; SettingsError names all that is missing."""
    missing: list[str] = []
    if settings.jwt_secret is None and settings.jwks_url is None:
        missing.append("TALLYSTICK_JWT_SECRET or TALLYSTICK_JWKS_URL is needed with DATABASE_URL")
    if settings.webhook_secrets is None and settings.webhook_bearer is None:
        missing.append(
            "TALLYSTICK_WEBHOOK_SECRETS is needed with DATABASE_URL; write TALLYSTICK_WEBHOOK_SECRETS=off to do without"
        )
    if settings.session_secret is None and settings.jwt_secret is None:
        missing.append(
            "TALLYSTICK_SESSION_SECRET is needed with DATABASE_URL where there is no TALLYSTICK_JWT_SECRET; nothing is "
            "derived from webhook secrets, which a provider holds"
        )
    if missing:
        raise SettingsError(". ".join(missing))


def _what_is_right(field: str, error: msgspec.ValidationError) -> str:
    words = get_args(get_type_hints(Settings)[field])
    is_choice = all(isinstance(word, str) for word in words)
    return f"one of {', '.join(words)} is needed" if words and is_choice else str(error).partition(" - at")[0]


def _check(settings: Settings) -> None:
    for name in ("database_url", "database_direct_url"):
        _check_scheme(name, getattr(settings, name), {"postgresql", "postgres"})
    if settings.is_embedded and settings.database_direct_url is not None:
        raise SettingsError("DATABASE_DIRECT_URL is the way past a pooler to the same database: DATABASE_URL is needed")
    for name in ("jwks_url", "public_base_url", "app_url"):
        _check_web_address(name, getattr(settings, name))
    unknown = settings.algorithms - SECRET_ALGORITHMS - PUBLISHED_ALGORITHMS
    if unknown:
        raise SettingsError(f"{variable('jwt_algorithms')} may name HS256, RS256 and ES256")
    _check_keys(settings)
    readers: Mapping[str, Callable[[Any], object]] = {
        **dict.fromkeys(_SEVERAL, _secrets),
        "webhook_secrets": lambda text: None if text in {None, OFF} else WebhookSecrets.parse(text),
        "rate_limits": read_limits,
        "flags": _read_flags,
        "tiers": Tiers.parse,
        "games": Games.parse,
        "bounds": UserBounds.parse,
        "trusted_proxies": lambda text: [ip_network(word, strict=False) for word in text.split()],
        "allowed_origins": _check_origins,
        "allowed_headers": _check_headers,
        "metrics_address": lambda text: None if text is None else _read_address(text),
    }
    for name, read in readers.items():
        try:
            read(getattr(settings, name))
        except ValueError as error:
            raise SettingsError(f"{variable(name)}: {error}") from None
    _check_apart(settings)
    if settings.rate_limit_storage != "memory://":
        _check_scheme("rate_limit_storage", settings.rate_limit_storage, {"valkey", "valkeys", "redis", "rediss"})


def _check_keys(settings: Settings) -> None:
    """Refuse an algorithm whose keys are in no setting: every token that is signed with it would be refused."""
    name = variable("jwt_algorithms")
    named = settings.algorithms
    if settings.jwt_algorithms is not None and not named:
        raise SettingsError(f"{name} names no algorithm; leave it out, or name HS256, RS256 or ES256")
    # Without either, the embedded mode draws a secret.
    if settings.jwt_secret is None and settings.jwks_url is not None and named & SECRET_ALGORITHMS:
        raise SettingsError(
            f"{name} names HS256, which needs {variable('jwt_secret')}; "
            f"tokens of {variable('jwks_url')} are signed with RS256 or ES256"
        )
    by_key = " and ".join(sorted(named & PUBLISHED_ALGORITHMS))
    if settings.jwks_url is None and by_key:
        raise SettingsError(f"{name} names {by_key}, which needs {variable('jwks_url')}; a secret signs with HS256")


def _secrets(text: str | None) -> tuple[str, ...]:
    return read_secrets(text) if text is not None else ()


def _check_apart(settings: Settings) -> None:
    """Refuse a secret of this service that somebody else holds, who could sign with it."""
    signed = (settings.webhook_secrets or "").split() if settings.takes_signed else []
    shared = {*map(_unprefixed, (*signed, *settings.webhook_bearers)), *map(_decoded, signed)}
    scraped = set(settings.metrics_tokens)
    for name in ("jwt_secret", "session_secret"):
        if not shared.isdisjoint(map(_unprefixed, _secrets(getattr(settings, name)))):
            raise SettingsError(f"{variable(name)} is also a webhook secret, which a provider holds; draw another one")
        if not scraped.isdisjoint(_secrets(getattr(settings, name))):
            raise SettingsError(f"{variable(name)} is also {variable('metrics_token')}; draw another one")


def _unprefixed(secret: str) -> str:
    """Return a secret without what webhook secrets may begin with."""
    return secret.removeprefix("v1,").removeprefix("whsec_").rstrip("=")


def _decoded(webhook_secret: str) -> str:
    """Return the text that a webhook secret was made of, which its provider holds as well."""
    encoded = _unprefixed(webhook_secret)
    return base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode("utf-8", "replace").rstrip("=")


def _check_scheme(name: str, url: str | None, schemes: set[str]) -> None:
    if url is None:
        return
    try:
        scheme, place = urlsplit(url)[:2]
    except ValueError:
        scheme, place = "", ""
    if scheme not in schemes:
        raise SettingsError(
            f"{variable(name)} has to start with {' or '.join(f'{known}://' for known in sorted(schemes))}"
        )
    if not all(map(_is_host, place.rpartition("@")[2].split(","))):
        raise SettingsError(
            f"{variable(name)} needs a port from 1 to 65535 where it names one; "
            "in a password / ? # @ are written as %2F %3F %23 %40"
        )


def _place_of(url: str) -> tuple[str, str, str]:
    """Return which database a URL names, without the login."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.path, parts.query


def _is_host(text: str) -> bool:
    host = _HOST.fullmatch(text)
    return host is not None and (host[1] is None or 0 < int(host[1]) <= _LAST_PORT)


def _check_web_address(name: str, url: str | None) -> None:
    _check_scheme(name, url, {"http", "https"})
    if url is not None and _NOT_IN_A_URL.search(url):
        raise SettingsError(f"{variable(name)} may hold no white space")
    if url is not None and name == "public_base_url" and ("?" in url or "#" in url):
        raise SettingsError(f"{variable(name)} is what links start with: it ends with the host or a path")
    try:
        is_one = url is None or (bool(urlsplit(url).hostname) and urlsplit(url).port != 0)
    except ValueError:
        is_one = False
    if not is_one:
        raise SettingsError(f"{variable(name)} needs a host, and a port from 1 to 65535 where it names one")


def _check_origins(text: str) -> None:
    if not all(_ORIGIN.fullmatch(origin) for origin in text.split()):
        raise ValueError(
            "http://, https://, capacitor://, tauri:// or chrome-extension:// and a host in lower case are needed, "
            "with no path and no slash behind it, several separated by spaces"
        )


def _read_address(text: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[3]) > _LAST_PORT:
        raise ValueError("a host and a port from 0 to 65535 are needed, as in 127.0.0.1:9100 or [::1]:9100")
    return found[1] or found[2], int(found[3])


def _check_headers(text: str) -> None:
    if not all(_HEADER.fullmatch(name) for name in text.split()):
        raise ValueError("names of headers such as `x-app-version` are needed, separated by spaces")


def _read_flags(text: str) -> dict[Flag, bool]:
    flags: dict[Flag, bool] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, state = (word.strip() for word in part.partition("="))
        if name not in {flag.value for flag in DEFAULTS} or state not in {"on", "off"}:
            raise ValueError(f"{part!r}: name=on or name=off is needed, the flags are {', '.join(DEFAULTS)}")
        if Flag(name) in flags:
            raise ValueError(f"{name} is pinned twice")
        flags[Flag(name)] = state == "on"
    for flag, why in LOCKED.items():
        if flags.get(flag):
            raise ValueError(why)
    return flags


def _from_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise SettingsError(f"{name}: the file cannot be read") from None
