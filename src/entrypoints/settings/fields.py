"""The settings: one row each, with its type, its theme, what it says and how its text is read."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Literal, NamedTuple, get_type_hints

import msgspec

from tallystick.adapters.identity.tokens import PUBLISHED_ALGORITHMS, SECRET_ALGORITHMS
from tallystick.adapters.rate_limits.limiter import IN_MEMORY
from tallystick.adapters.telemetry.logs import LogLevel
from tallystick.adapters.webhooks.signatures import WebhookSecrets
from tallystick.application.limit_groups import LimitGroup
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.flags import Pins
from tallystick.domain.ledger import MAX_AMOUNT
from tallystick.domain.loyalty import Tiers
from tallystick.domain.rating_slips import Games
from tallystick.domain.referral_points import ReferralNeed, ReferralPoints
from tallystick.domain.retention import Retention
from tallystick.entrypoints.settings.addresses import (
    HostPort,
    is_same_database,
    read_base_url,
    read_database_url,
    read_headers,
    read_listener,
    read_networks,
    read_origins,
    read_storage,
    read_web_address,
)
from tallystick.entrypoints.settings.pairs import (
    read_bounds,
    read_games,
    read_limits,
    read_pins,
    read_request_headers,
    read_tiers,
)
from tallystick.entrypoints.settings.secrets import read_algorithms, read_secrets, read_webhook_secrets

PREFIX = "TALLYSTICK_"
Store = Literal["postgres", "memory"]
"""Where everything is stored."""
Switch = Literal["on", "off"]
Theme = Literal[
    "Database",
    "Callers",
    "Webhooks",
    "Addresses",
    "Rate limits",
    "Bounds",
    "Rewards",
    "Loyalty",
    "Channels",
    "Running",
    "Tracing",
]
_TIERS = "bronze=0; silver=1000; gold=5000; platinum=20000"
_GAMES = "blackjack=70,75,10; baccarat=70,106,10; roulette=38,526,10; slots=600,800,10"


class SettingsError(Exception):
    """A setting is unknown, wrong or missing; the message names it, and never repeats a secret."""


class Setting(NamedTuple):
    """The facts about a setting besides its type and its default."""

    theme: Theme
    read: Callable[[str], object] | None = None
    """Makes the value of the text, with ValueError for a wrong text; None where the type says how."""
    default: str = ""
    """The default as it would be written, where it is neither a text nor a number."""
    variable: str | None = None
    """The environment variable; None for the prefix and the name of the field in capitals."""
    is_secret: bool = False
    """Whether it can be read from a file instead."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, as the values that its text stands for. The defaults are those of the embedded mode."""

    database_url: Annotated[
        str | None, Setting("Database", read_database_url, variable="DATABASE_URL", is_secret=True)
    ] = None
    """PostgreSQL 15 or newer, with the login of the service: a member of `tallystick_app` and of nothing else. Without
    it, `serve` runs its own in the data directory.
    """
    database_direct_url: Annotated[
        str | None, Setting("Database", read_database_url, variable="DATABASE_DIRECT_URL", is_secret=True)
    ] = None
    """The same database without a pooler in between, with the login of the owner: for migrations and for commands.
    Default: `DATABASE_URL`.
    """
    single_login: Annotated[Literal["refuse", "accept"], Setting("Database")] = "refuse"
    """Whether a service can be ready whose login owns the schema or can bypass its rules. Accepting such a login is
    weaker: an attacker who takes over the service's connection can drop every table.
    """
    data_dir: Annotated[str, Setting("Database")] = ".tallystick"
    """Where the embedded database and generated secrets are kept."""
    auto_migrate: Annotated[Switch, Setting("Database")] = "on"
    """Apply pending migrations at start. When off, `serve` refuses to start while migrations are pending."""
    pool_size: Annotated[int, msgspec.Meta(ge=2, le=200), Setting("Database")] = 10
    """Database connections of one process."""
    cache_statements: Annotated[Switch, Setting("Database")] = "on"
    """Keep prepared statements. Switch it off behind PgBouncer before 1.21 in transaction mode."""

    jwt_secrets: Annotated[
        tuple[str, ...], Setting("Callers", read_secrets, variable="TALLYSTICK_JWT_SECRET", is_secret=True)
    ] = ()
    """The secret that HS256 bearer tokens are signed with, at least 16 characters. While rotating: several, separated
    by white space; each is accepted.
    """
    jwks_url: Annotated[str | None, Setting("Callers", read_web_address)] = None
    """Where the identity provider publishes the keys of its RS256 and ES256 tokens."""
    jwt_algorithms: Annotated[frozenset[str] | None, Setting("Callers", read_algorithms)] = None
    """The algorithms that are accepted, of HS256 (which needs a secret), RS256 and ES256 (which need a URL). Default:
    every algorithm that there are keys for.
    """
    jwt_issuer: Annotated[str | None, Setting("Callers")] = None
    """The `iss` that tokens must have, checked exactly where set."""
    jwt_audience: Annotated[str | None, Setting("Callers")] = None
    """The `aud` that tokens must have, checked exactly where set."""
    session_secrets: Annotated[
        tuple[str, ...], Setting("Callers", read_secrets, variable="TALLYSTICK_SESSION_SECRET", is_secret=True)
    ] = ()
    """The secret that keys of sessions, cursors and pseudonyms are derived from, at least 16 characters. While
    rotating: several, separated by white space; the first signs and the others verify. Default: the JWT secret.
    """
    identity: Annotated[Literal["builtin", "external"], Setting("Callers")] = "builtin"
    """Where e-mail addresses and passwords are kept: in this service, or at the identity provider alone. When external,
    sign-up refuses both and this service signs no user in.
    """

    webhook_secrets: Annotated[
        WebhookSecrets | Literal["off"] | None, Setting("Webhooks", read_webhook_secrets, is_secret=True)
    ] = None
    """`whsec_...` or `v1,whsec_...`, or `off`. While rotating: several, separated by spaces; each is accepted."""
    webhook_bearers: Annotated[
        tuple[str, ...], Setting("Webhooks", read_secrets, variable="TALLYSTICK_WEBHOOK_BEARER", is_secret=True)
    ] = ()
    """Accepts unsigned deliveries with `Authorization: Bearer` and this value, for Supabase. While rotating: several,
    separated by white space; each is accepted.
    """

    public_base_url: Annotated[str | None, Setting("Addresses", read_base_url)] = None
    """Where this service is reached; share links start with it. Default: where it listens."""
    app_url: Annotated[str | None, Setting("Addresses", read_web_address)] = None
    """Where clicks on share links land. Default: the public base URL."""
    allowed_origins: Annotated[tuple[str, ...], Setting("Addresses", read_origins)] = ()
    """Origins of web apps that may call from browsers, separated by spaces: `https://app.example.org`, also
    `capacitor://localhost`, `tauri://localhost` and `chrome-extension://` with an extension's id.
    """
    allowed_headers: Annotated[tuple[str, ...], Setting("Addresses", read_headers)] = ()
    """Names of request headers, separated by spaces, that pages of the allowed origins may send besides those that the
    service knows.
    """
    trusted_proxies: Annotated[tuple[str, ...], Setting("Addresses", read_networks)] = ()
    """Addresses and networks of the proxies whose `X-Forwarded-For` is believed, separated by spaces."""

    rate_limits: Annotated[Mapping[LimitGroup, str], Setting("Rate limits", read_limits)] = msgspec.field(
        default_factory=lambda: read_limits("")
    )
    """`off`, or `group=expression; group=expression` over the defaults; an expression may be `off`."""
    rate_limit_storage: Annotated[str, Setting("Rate limits", read_storage, is_secret=True)] = IN_MEMORY
    """`memory://`, or `valkey://...` or `redis://...` to share counts between instances."""

    bounds: Annotated[UserBounds, Setting("Bounds", read_bounds)] = DEFAULT_BOUNDS
    """How much of each thing one user may hold: `name=number; name=number` over the defaults."""

    reward_offers: Annotated[Literal["permitted", "anyone"], Setting("Rewards")] = "permitted"
    """Which users may offer rewards: callers with the permission `rewards:offer`, or every user, as in marketplaces.
    """

    tiers: Annotated[Tiers, Setting("Loyalty", read_tiers, default=_TIERS)] = msgspec.field(
        default_factory=lambda: read_tiers(_TIERS)
    )
    """The tiers of loyalty and the lifetime points that each begins at, lowest first."""
    games: Annotated[Games, Setting("Loyalty", read_games, default=_GAMES)] = msgspec.field(
        default_factory=lambda: read_games(_GAMES)
    )
    """The games that rating slips are opened for: `name=decisions an hour,house edge in basis points,points for each
    100 minor units that the house expects to win`.
    """
    referral_points: Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT), Setting("Loyalty")] = 100
    """The points that an inviter gets for each user they invite; 0 for none."""
    referral_points_need: Annotated[ReferralNeed, Setting("Loyalty")] = "nothing"
    """The condition for the inviter's points: with `phone` they wait until the phone of the invitee
    is verified.
    """
    referral_points_daily_cap: Annotated[int, msgspec.Meta(ge=0, le=MAX_AMOUNT), Setting("Loyalty")] = 0
    """For how many referrals one inviter gets points on a day of UTC; those above it wait for the next day. 0 for any
    number.
    """

    event_retention_days: Annotated[int, msgspec.Meta(ge=1, le=3650), Setting("Channels")] = 7
    """For how many days the events of channels are kept. A stream that resumes further back gets `reset`, and loads the
    channel again.
    """
    message_retention_days: Annotated[int, msgspec.Meta(ge=0, le=36500), Setting("Channels")] = 0
    """For how many days messages are kept, at least as long as events; 0 for ever."""

    flags: Annotated[Pins, Setting("Running", read_pins)] = msgspec.field(default_factory=lambda: Pins({}))
    """Pins flags: `name=on; name=off`. The flags are listed below."""
    reconcile_hour: Annotated[int, msgspec.Meta(ge=0, le=23), Setting("Running")] = 3
    """The hour, in UTC, at which one instance reconciles the legacy metadata each night, while
    `legacy_fallback_enabled` is on.
    """
    invariants_every_seconds: Annotated[int, msgspec.Meta(ge=0, le=86400), Setting("Running")] = 3600
    """The time between two looks at the invariants, each by one instance; 0 for none. A look counts each
    promise for 10 seconds at most, on a connection beside the pool, and the next one goes on with the rows after.
    """
    drain_delay_seconds: Annotated[int, msgspec.Meta(ge=0, le=600), Setting("Running")] = 0
    """How long the server still serves after SIGTERM, while `/readyz` is 503, so that a balancer stops sending requests
    to it. 10 suits HAProxy's default health check. A second signal ends the delay.
    """
    drain_seconds: Annotated[int, msgspec.Meta(ge=0, le=600), Setting("Running")] = 20
    """How long requests may take to finish after SIGTERM and the delay."""
    log_level: Annotated[LogLevel, Setting("Running")] = "info"
    """`debug` logs successful requests too."""
    slow_request_ms: Annotated[int, msgspec.Meta(ge=1, le=600000), Setting("Running")] = 1000
    """Successful requests that take at least this long are logged at `info`; others at `debug` only."""
    log_writes: Annotated[Switch, Setting("Running")] = "off"
    """Log successful `POST`, `PUT`, `PATCH` and `DELETE` requests at `info` too."""
    metrics_address: Annotated[HostPort | None, Setting("Running", read_listener)] = None
    """Where `/metrics` has a listener of its own, such as `127.0.0.1:9100` or `[::1]:9100`. It is not served beside the
    API then.
    """
    metrics_tokens: Annotated[
        tuple[str, ...], Setting("Running", read_secrets, variable="TALLYSTICK_METRICS_TOKEN", is_secret=True)
    ] = ()
    """The bearer token that `/metrics` asks for. While rotating: several, separated by white space; each is accepted.
    Without it and
    without a listener of its own, `/metrics` answers requests of the same machine alone.
    """

    otlp_endpoint: Annotated[str | None, Setting("Tracing", read_base_url)] = None
    """The collector that traces are sent to by OTLP over HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is
    appended. It needs the extra `otel`. Default: no traces.
    """
    otlp_headers: Annotated[Mapping[str, str], Setting("Tracing", read_request_headers, is_secret=True)] = (
        msgspec.field(default_factory=dict)
    )
    """Headers that the collector asks for: `name=value; name=value`."""
    trace_ratio: Annotated[float, msgspec.Meta(ge=0, le=1), Setting("Tracing", default="0.01")] = 0.01
    """The share of requests that are recorded. A request with a `traceparent` is recorded if the caller's trace is."""

    @property
    def is_embedded(self) -> bool:
        """Return whether the database is the embedded one."""
        return self.database_url is None

    @property
    def direct_url(self) -> str:
        """The URL without a pooler, for what needs a session: locks, temporary tables, migrations, notifications."""
        return self.database_direct_url or self.database_url or ""

    @property
    def listen_url(self) -> str:
        """The URL to listen for notifications at: without a pooler, and with the service's login where none is used."""
        service, direct = self.database_url or "", self.direct_url
        return service if is_same_database(service, direct) else direct

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms that bearer tokens may be signed with."""
        if self.jwt_algorithms is not None:
            return self.jwt_algorithms
        by_secret = SECRET_ALGORITHMS if self.jwt_secrets else frozenset[str]()
        return by_secret | (PUBLISHED_ALGORITHMS if self.jwks_url is not None else frozenset())

    @property
    def root_secrets(self) -> tuple[str, ...]:
        """The secrets that keys are derived from, never those of webhooks; the first signs."""
        if not self.session_secrets and not self.jwt_secrets:
            raise SettingsError(f"{variable('session_secrets')} is needed where there is no {variable('jwt_secrets')}")
        return self.session_secrets or self.jwt_secrets

    @property
    def signed_by(self) -> WebhookSecrets | None:
        """The secrets of signed webhooks; None where signed webhooks are not accepted."""
        return self.webhook_secrets if isinstance(self.webhook_secrets, WebhookSecrets) else None

    @property
    def retention(self) -> Retention:
        """For how long events and messages are kept."""
        messages = timedelta(days=self.message_retention_days) if self.message_retention_days else None
        return Retention(timedelta(days=self.event_retention_days), messages)

    @property
    def referral_rules(self) -> ReferralPoints:
        """The rules of referral points."""
        return ReferralPoints(self.referral_points, self.referral_points_need, self.referral_points_daily_cap)


HINTS: Mapping[str, object] = get_type_hints(Settings, include_extras=True)
"""The annotation of every setting, by the name of its field."""


def _row(hint: object) -> Setting:
    return next(meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Setting))


SETTINGS: Mapping[str, Setting] = {name: _row(hint) for name, hint in HINTS.items()}
"""The row of every setting, by the name of its field. The page of settings is made of it."""


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return SETTINGS[name].variable or f"{PREFIX}{name.upper()}"
