"""Settings from the environment: every default, every refusal by name, and no secret in any of them."""

import re
import sys
from datetime import timedelta

import msgspec
import pytest

from tallystick.adapters.webhooks.signatures import WebhookSecrets
from tallystick.application.limit_groups import LIMIT_GROUPS
from tallystick.domain.bounds import UserBounds
from tallystick.domain.flags import Flag
from tallystick.domain.loyalty import Tiers
from tallystick.domain.rating_slips import Game, Games
from tallystick.domain.retention import Retention
from tallystick.entrypoints.settings import Settings, SettingsError, load, variable
from tallystick.entrypoints.settings.pairs import read_limits
from tests.http.services import WEBHOOK_SECRET

DEFAULT_LIMITS = {group: rule.default for group, rule in LIMIT_GROUPS.items()}
PASSWORD = "hunter2hunter2"
DATABASE = f"postgresql://ada:{PASSWORD}@db.example.org:5432/tally"


def refusal(environment: dict[str, str]) -> str:
    """Return why an environment is refused."""
    with pytest.raises(SettingsError) as refused:
        load(environment)
    return str(refused.value)


def words(message: str) -> set[str]:
    return set(re.findall(r"[\w/:]+", message))


def test_without_an_environment_everything_is_at_its_default() -> None:
    assert msgspec.structs.asdict(load({})) == {
        "database_url": None,
        "database_direct_url": None,
        "single_login": "refuse",
        "data_dir": ".tallystick",
        "auto_migrate": "on",
        "pool_size": 10,
        "cache_statements": "on",
        "jwt_secrets": (),
        "jwks_url": None,
        "jwt_algorithms": None,
        "jwt_issuer": None,
        "jwt_audience": None,
        "session_secrets": (),
        "identity": "builtin",
        "webhook_secrets": None,
        "webhook_bearers": (),
        "public_base_url": None,
        "app_url": None,
        "allowed_origins": (),
        "allowed_headers": (),
        "rate_limits": DEFAULT_LIMITS,
        "bounds": UserBounds(),
        "rate_limit_storage": "memory://",
        "trusted_proxies": (),
        "tiers": Tiers((("bronze", 0), ("silver", 1000), ("gold", 5000), ("platinum", 20000))),
        "games": Games(
            {
                "blackjack": Game(70, 75, 10),
                "baccarat": Game(70, 106, 10),
                "roulette": Game(38, 526, 10),
                "slots": Game(600, 800, 10),
            }
        ),
        "reward_offers": "permitted",
        "referral_points": 100,
        "referral_points_need": "nothing",
        "referral_points_daily_cap": 0,
        "flags": {},
        "log_level": "info",
        "slow_request_ms": 1000,
        "log_writes": "off",
        "metrics_address": None,
        "metrics_tokens": (),
        "event_retention_days": 7,
        "message_retention_days": 0,
        "reconcile_hour": 3,
        "invariants_every_seconds": 3600,
        "drain_seconds": 20,
        "drain_delay_seconds": 0,
        "otlp_endpoint": None,
        "otlp_headers": {},
        "trace_ratio": 0.01,
    }


def test_every_setting_can_be_given() -> None:
    given = {
        "DATABASE_URL": DATABASE,
        "DATABASE_DIRECT_URL": f"{DATABASE}?sslmode=require",
        "TALLYSTICK_SINGLE_LOGIN": "accept",
        "TALLYSTICK_DATA_DIR": "/var/lib/tallystick",
        "TALLYSTICK_AUTO_MIGRATE": "off",
        "TALLYSTICK_POOL_SIZE": "200",
        "TALLYSTICK_CACHE_STATEMENTS": "off",
        "TALLYSTICK_JWT_SECRET": "sixteen letters.",
        "TALLYSTICK_JWKS_URL": "https://id.example.org/keys",
        "TALLYSTICK_JWT_ALGORITHMS": "HS256 ES256",
        "TALLYSTICK_JWT_ISSUER": "https://id.example.org",
        "TALLYSTICK_JWT_AUDIENCE": "authenticated",
        "TALLYSTICK_SESSION_SECRET": "another sixteen.",
        "TALLYSTICK_IDENTITY": "external",
        "TALLYSTICK_WEBHOOK_SECRETS": f"{WEBHOOK_SECRET} v1,{WEBHOOK_SECRET}",
        "TALLYSTICK_WEBHOOK_BEARER": "a third sixteen.",
        "TALLYSTICK_PUBLIC_BASE_URL": "https://go.example.org",
        "TALLYSTICK_APP_URL": "http://localhost:3000/welcome?from=link",
        "TALLYSTICK_ALLOWED_ORIGINS": "https://app.example.org http://localhost:3000",
        "TALLYSTICK_ALLOWED_HEADERS": "x-app-version X-Client",
        "TALLYSTICK_RATE_LIMITS": "read=10/second, 100/minute; write=off",
        "TALLYSTICK_BOUNDS": "rewards=5; aliases=7",
        "TALLYSTICK_RATE_LIMIT_STORAGE": "valkeys://cache.example.org:6380/1",
        "TALLYSTICK_TRUSTED_PROXIES": "10.0.0.7 2001:db8::/32",
        "TALLYSTICK_TIERS": "guest=0; member=10",
        "TALLYSTICK_GAMES": "whist=30,10,1",
        "TALLYSTICK_REWARD_OFFERS": "anyone",
        "TALLYSTICK_REFERRAL_POINTS": "0",
        "TALLYSTICK_REFERRAL_POINTS_NEED": "phone",
        "TALLYSTICK_REFERRAL_POINTS_DAILY_CAP": "50",
        "TALLYSTICK_FLAGS": "ensure_on_read_enabled=off",
        "TALLYSTICK_LOG_LEVEL": "debug",
        "TALLYSTICK_SLOW_REQUEST_MS": "250",
        "TALLYSTICK_LOG_WRITES": "on",
        "TALLYSTICK_METRICS_ADDRESS": "[::1]:9100",
        "TALLYSTICK_METRICS_TOKEN": "a-fourth-sixteen",
        "TALLYSTICK_DRAIN_SECONDS": "0",
        "TALLYSTICK_DRAIN_DELAY_SECONDS": "10",
        "TALLYSTICK_RECONCILE_HOUR": "0",
        "TALLYSTICK_INVARIANTS_EVERY_SECONDS": "0",
        "TALLYSTICK_OTLP_ENDPOINT": "https://traces.example.org:4318",
        "TALLYSTICK_OTLP_HEADERS": "authorization=Basic b3Vycw==; x-team=ours",
        "TALLYSTICK_TRACE_RATIO": "0.25",
        "TALLYSTICK_EVENT_RETENTION_DAYS": "30",
        "TALLYSTICK_MESSAGE_RETENTION_DAYS": "365",
    }

    settings = load(given)

    assert {variable(name) for name in Settings.__struct_fields__} == set(given)
    values = {
        "jwt_secrets": ("sixteen letters.",),
        "jwt_algorithms": {"HS256", "ES256"},
        "session_secrets": ("another sixteen.",),
        "webhook_secrets": WebhookSecrets.parse(f"{WEBHOOK_SECRET} {WEBHOOK_SECRET}"),
        "webhook_bearers": ("a third sixteen.",),
        "allowed_origins": ("https://app.example.org", "http://localhost:3000"),
        "allowed_headers": ("x-app-version", "X-Client"),
        "rate_limits": {group: limit for group, limit in DEFAULT_LIMITS.items() if group != "write"}
        | {"read": "10/second, 100/minute"},
        "bounds": UserBounds(rewards=5, aliases=7),
        "trusted_proxies": ("10.0.0.7", "2001:db8::/32"),
        "tiers": Tiers((("guest", 0), ("member", 10))),
        "games": Games({"whist": Game(30, 10, 1)}),
        "flags": {Flag.ENSURE_ON_READ_ENABLED: False},
        "metrics_address": ("::1", 9100),
        "metrics_tokens": ("a-fourth-sixteen",),
        "otlp_headers": {"authorization": "Basic b3Vycw==", "x-team": "ours"},
    }
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        assert value == values[name] if name in values else str(value) == given[variable(name)], name


@pytest.mark.parametrize("value", ["x", ""])
@pytest.mark.parametrize(
    "name", ["TALLYSTICK_JWT_SECRETS", "TALLYSTICK_DATABASE_URL", "TALLYSTICK_POOL_SIZE_FILE", "TALLYSTICK_"]
)
def test_an_unknown_name_is_refused_by_name_beside_the_known_ones(name: str, value: str) -> None:
    message = refusal({name: value})

    assert message.startswith(f"{name} ")
    assert {variable(field) for field in Settings.__struct_fields__} <= words(message)


def test_names_of_others_and_of_the_test_suite_are_left_alone() -> None:
    assert load({"TALLYSTICK_TEST_DATABASE": "container", "PATH": "/bin", "DATABASE_NAME": "x"}) == load({})


def test_blank_values_count_as_absent() -> None:
    assert load({variable(name): " \t" for name in Settings.__struct_fields__}) == load({})


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("DATABASE_URL", "db.example.org", {"postgresql://"}),
        ("DATABASE_DIRECT_URL", "sqlite:///tally.db", {"postgresql://"}),
        ("TALLYSTICK_AUTO_MIGRATE", "maybe", {"on", "off"}),
        ("TALLYSTICK_CACHE_STATEMENTS", "true", {"on", "off"}),
        ("TALLYSTICK_POOL_SIZE", "1", {"2"}),
        ("TALLYSTICK_POOL_SIZE", "201", {"200"}),
        ("TALLYSTICK_POOL_SIZE", "many", {"int"}),
        ("TALLYSTICK_DRAIN_SECONDS", "-1", {"0"}),
        ("TALLYSTICK_DRAIN_SECONDS", "601", {"600"}),
        ("TALLYSTICK_DRAIN_DELAY_SECONDS", "-1", {"0"}),
        ("TALLYSTICK_DRAIN_DELAY_SECONDS", "601", {"600"}),
        ("TALLYSTICK_RECONCILE_HOUR", "24", {"23"}),
        ("TALLYSTICK_INVARIANTS_EVERY_SECONDS", "86401", {"86400"}),
        ("TALLYSTICK_LOG_LEVEL", "verbose", {"debug", "info", "warning", "error"}),
        ("TALLYSTICK_JWKS_URL", "id.example.org/keys", {"http://", "https://"}),
        ("TALLYSTICK_PUBLIC_BASE_URL", "//go.example.org", {"http://", "https://"}),
        ("TALLYSTICK_APP_URL", "app.example.org", {"http://", "https://"}),
        ("TALLYSTICK_ALLOWED_ORIGINS", "https://app.example.org *", {"http://", "https://"}),
        ("TALLYSTICK_IDENTITY", "clerk", {"builtin", "external"}),
        ("TALLYSTICK_JWT_SECRET", "fifteen letters", {"16"}),
        ("TALLYSTICK_SESSION_SECRET", "fifteen letters", {"16"}),
        ("TALLYSTICK_WEBHOOK_BEARER", "fifteen letters", {"16"}),
        ("TALLYSTICK_WEBHOOK_SECRETS", "c2VjcmV0", {"whsec_"}),
        ("TALLYSTICK_WEBHOOK_SECRETS", f"{WEBHOOK_SECRET} whsec_-_-_", {"2", "base64"}),
        ("TALLYSTICK_WEBHOOK_SECRETS", "whsec_YWJj", {"16", "64"}),
        ("TALLYSTICK_WEBHOOK_SECRETS", " ".join([WEBHOOK_SECRET] * 11), {"1", "10"}),
        ("TALLYSTICK_JWT_ALGORITHMS", "HS256 none", {"HS256", "RS256", "ES256"}),
        ("TALLYSTICK_RATE_LIMITS", "reads=1/minute", set(DEFAULT_LIMITS)),
        ("TALLYSTICK_RATE_LIMITS", "read", {"group", "expression"}),
        ("TALLYSTICK_RATE_LIMITS", "read=often", {"120/minute"}),
        ("TALLYSTICK_RATE_LIMIT_STORAGE", "memcached://cache", {"valkey://", "redis://"}),
        ("TALLYSTICK_TRUSTED_PROXIES", "10.0.0.0/8 proxy.example.org", {"IPv4", "IPv6", "network"}),
        ("TALLYSTICK_TRUSTED_PROXIES", "10.0.0.0/33", {"IPv4", "IPv6", "network"}),
        ("TALLYSTICK_FLAGS", "webhooks=on", {"name", "on", "off", *Flag}),
        ("TALLYSTICK_FLAGS", "webhook_enabled=yes", {"name", "on", "off"}),
        ("TALLYSTICK_FLAGS", "webhook_enabled", {"name", "on", "off"}),
        ("TALLYSTICK_FLAGS", "points_enabled=on; points_enabled=off", {"points_enabled", "twice"}),
        ("TALLYSTICK_FLAGS", "points_enabled=on; points_enabled=on", {"points_enabled", "twice"}),
        ("TALLYSTICK_FLAGS", "mint_in_referral_api=on", {"mint_in_referral_api", "never", "writes"}),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_variable_and_a_right_form(
    name: str, value: str, right: set[str]
) -> None:
    message = refusal({name: value})

    assert re.match(rf"{name}\b", message)
    assert right <= words(message)


@pytest.mark.parametrize("url", ["https:go.example.org", "https://", "https:///go", "https://[go", "https://go:port"])
@pytest.mark.parametrize("name", ["TALLYSTICK_JWKS_URL", "TALLYSTICK_PUBLIC_BASE_URL", "TALLYSTICK_APP_URL"])
def test_a_url_without_a_host_or_with_a_port_that_is_none_is_refused(name: str, url: str) -> None:
    assert refusal({name: url}).startswith(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://db:0/tally"),
        ("DATABASE_URL", "postgresql://db:65536/tally"),
        ("DATABASE_URL", "postgresql://one:5432,two:99999/tally"),
        ("TALLYSTICK_PUBLIC_BASE_URL", "https://go.example.org/?a=b"),
        ("TALLYSTICK_PUBLIC_BASE_URL", "https://go.example.org/#a"),
        ("TALLYSTICK_PUBLIC_BASE_URL", "https://go.example.org/a b"),
        ("TALLYSTICK_APP_URL", "https://app.example.org/x y"),
    ],
)
def test_an_address_that_nobody_could_reach_is_refused(name: str, value: str) -> None:
    assert refusal({name: value}).startswith(name)


def test_a_database_of_several_hosts_is_taken() -> None:
    several = "postgresql://ada:secret@one:5432,[::1]:5433,three/tally"

    assert load({"DATABASE_URL": several}).database_url == several


@pytest.mark.parametrize("origins", ["https://app.example.org/", "https://a.example.org, https://b.example.org"])
def test_an_origin_that_no_browser_would_ever_send_is_refused(origins: str) -> None:
    assert refusal({"TALLYSTICK_ALLOWED_ORIGINS": origins}).startswith("TALLYSTICK_ALLOWED_ORIGINS")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"mysql://ada:{PASSWORD}@db/tally"),
        ("DATABASE_URL", f"postgresql://ada:{PASSWORD}@[db/tally"),
        ("DATABASE_URL", f"postgresql://ada:{PASSWORD}/unescaped@db/tally"),
        ("DATABASE_URL", f"postgresql://ada:{PASSWORD}@db:port/tally"),
        ("DATABASE_DIRECT_URL", f"mysql://ada:{PASSWORD}@db/tally"),
        ("TALLYSTICK_JWT_SECRET", PASSWORD),
        ("TALLYSTICK_JWT_SECRETS", PASSWORD),
        ("TALLYSTICK_SESSION_SECRET", PASSWORD),
        ("TALLYSTICK_WEBHOOK_BEARER", PASSWORD),
        ("TALLYSTICK_WEBHOOK_SECRETS", PASSWORD),
        ("TALLYSTICK_WEBHOOK_SECRETS", f"{WEBHOOK_SECRET} whsec_{PASSWORD}!"),
        ("TALLYSTICK_WEBHOOK_SECRETS", f"whsec_{PASSWORD}"),
        ("TALLYSTICK_RATE_LIMIT_STORAGE", f"memcached://:{PASSWORD}@cache"),
        ("TALLYSTICK_RATE_LIMIT_STORAGE", f"valkey://:{PASSWORD}@cache:port"),
        ("TALLYSTICK_JWT_SECRET_FILE", PASSWORD),
    ],
)
def test_no_refusal_repeats_a_secret(name: str, value: str) -> None:
    message = refusal({name: value})

    assert message.startswith(name)
    assert PASSWORD not in message
    assert WEBHOOK_SECRET not in message


def test_messages_are_kept_for_at_least_as_long_as_their_events() -> None:
    message = refusal({"TALLYSTICK_EVENT_RETENTION_DAYS": "8", "TALLYSTICK_MESSAGE_RETENTION_DAYS": "7"})

    assert "TALLYSTICK_MESSAGE_RETENTION_DAYS is shorter than TALLYSTICK_EVENT_RETENTION_DAYS" in message
    kept = load({"TALLYSTICK_EVENT_RETENTION_DAYS": "8", "TALLYSTICK_MESSAGE_RETENTION_DAYS": "8"}).retention
    assert kept == Retention(timedelta(days=8), timedelta(days=8))
    assert load({}).retention == Retention(timedelta(days=7), None)


def test_a_direct_url_beside_no_database_is_refused() -> None:
    """Migrations would go to that database, and everything else to the embedded one."""
    message = refusal({"DATABASE_DIRECT_URL": DATABASE})

    assert {"DATABASE_DIRECT_URL", "DATABASE_URL"} <= words(message)


@pytest.mark.parametrize(
    ("pins", "read"),
    [
        ("", {}),
        ("webhook_enabled=off", {Flag.WEBHOOK_ENABLED: False}),
        (
            " webhook_enabled = on ;ensure_on_read_enabled=off;",
            {Flag.WEBHOOK_ENABLED: True, Flag.ENSURE_ON_READ_ENABLED: False},
        ),
        ("mint_in_referral_api=off", {Flag.MINT_IN_REFERRAL_API: False}),
    ],
)
def test_flags_are_pinned_as_they_are_written(pins: str, read: dict[Flag, bool]) -> None:
    assert load({"TALLYSTICK_FLAGS": pins}).flags == read


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", {}),
        ("read=5/second", {"read": "5/second"}),
        (" read = 5/second, 100/minute ; write=1 per hour; ", {"read": "5/second, 100/minute", "write": "1 per hour"}),
        ("write=off", {"write": None}),
    ],
)
def test_limits_are_read_over_the_defaults(text: str, changed: dict[str, str | None]) -> None:
    kept = {group: limit for group, limit in DEFAULT_LIMITS.items() if group not in changed}

    assert read_limits(text) == kept | {group: limit for group, limit in changed.items() if limit is not None}


@pytest.mark.parametrize("text", ["off", " off "])
def test_limits_that_are_off_are_none_at_all(text: str) -> None:
    assert read_limits(text) == {}


@pytest.mark.parametrize(
    "text", ["read", "read=", "=1/minute", "reads=off", "off; read=off", "read=1/fortnight", "read=off; read=1/day"]
)
def test_limits_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_limits(text)


@pytest.mark.parametrize(
    ("service", "direct", "listens"),
    [
        ("postgresql://svc:a@pooler:6432/app", "postgresql://own:b@pg:5432/app", "postgresql://own:b@pg:5432/app"),
        ("postgresql://svc:a@pg:5432/app", "postgresql://own:b@pg:5432/app", "postgresql://svc:a@pg:5432/app"),
        ("postgresql://svc:a@pg/app", None, "postgresql://svc:a@pg/app"),
        ("postgresql://svc@/app?host=/run/a", "postgresql://own@/app?host=/run/b", "postgresql://own@/app?host=/run/b"),
        ("postgresql://svc@/app?host=/run/a", "postgresql://own@/app?host=/run/a", "postgresql://svc@/app?host=/run/a"),
    ],
)
def test_notifications_go_past_a_pooler_and_without_one_to_the_login_of_the_service(
    service: str, direct: str | None, listens: str
) -> None:
    assert Settings(database_url=service, database_direct_url=direct).listen_url == listens


@pytest.mark.parametrize("ratio", ["-0.1", "1.1", "nan", "half", "inf"])
def test_a_ratio_of_traces_is_from_0_to_1(ratio: str) -> None:
    assert refusal({"TALLYSTICK_TRACE_RATIO": ratio}).startswith("TALLYSTICK_TRACE_RATIO: ")


@pytest.mark.parametrize(
    "headers", [PASSWORD, f"a b={PASSWORD}", f"x={PASSWORD}\n", f"x={PASSWORD}; x={PASSWORD}", f"x=\x7f{PASSWORD}"]
)
def test_headers_of_a_collector_are_refused_without_their_values(headers: str) -> None:
    given = headers if headers[-1] != "\n" else f"{headers}y"
    message = refusal({"TALLYSTICK_OTLP_HEADERS": given})

    assert message.startswith("TALLYSTICK_OTLP_HEADERS: name=value")
    assert PASSWORD not in message


@pytest.mark.parametrize(
    "package", ["opentelemetry.exporter.otlp", "opentelemetry.exporter.otlp.proto.http", "opentelemetry.sdk"]
)
def test_traces_need_the_packages_of_their_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)

    message = refusal({"TALLYSTICK_OTLP_ENDPOINT": "http://127.0.0.1:4318"})

    assert message == "TALLYSTICK_OTLP_ENDPOINT needs the extra otel: pip install 'tallystick[otel]'"
