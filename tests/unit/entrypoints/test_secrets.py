"""Secrets: from variables or files, required where nobody else draws them, and what is made of them."""

from base64 import b64encode
from pathlib import Path

import pytest

from tallystick.entrypoints.settings import Settings, SettingsError, load, require_secrets
from tests.http.services import JWT_SECRET, WEBHOOK_SECRET

DATABASE = "postgresql://ada@db.example.org/tally"
BEARER = "a bearer for unsigned deliveries"
FIRST, SECOND = "the-first-of-two-secrets", "the-second-of-two-secrets"
SECRETS = {
    "DATABASE_URL": DATABASE,
    "DATABASE_DIRECT_URL": DATABASE,
    "TALLYSTICK_JWT_SECRET": JWT_SECRET,
    "TALLYSTICK_SESSION_SECRET": JWT_SECRET,
    "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    "TALLYSTICK_WEBHOOK_BEARER": BEARER,
    "TALLYSTICK_RATE_LIMIT_STORAGE": "valkey://:password@cache",
}


def given(**changes: str) -> Settings:
    """Return settings by the names of variables without their prefix, on an ordinary database."""
    return load({"DATABASE_URL": DATABASE, **{f"TALLYSTICK_{name.upper()}": value for name, value in changes.items()}})


def missing(**changes: str) -> str:
    """Return which setting a server on an ordinary database misses."""
    with pytest.raises(SettingsError) as refused:
        require_secrets(given(**changes))
    return str(refused.value)


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_may_stand_in_a_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRETS[name]}\n", encoding="utf-8")
    others = {other: value for other, value in SECRETS.items() if other != name}

    assert load({**others, f"{name}_FILE": str(file)}) == load(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
def test_a_file_that_cannot_be_read_is_refused_by_the_name_of_its_variable(tmp_path: Path, name: str) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    others = {other: value for other, value in SECRETS.items() if other != name}

    for path in (tmp_path / "missing", tmp_path, binary):
        with pytest.raises(SettingsError, match=rf"^{name}_FILE: .*cannot be read"):
            load({**others, f"{name}_FILE": str(path)})


def test_a_wrong_secret_in_a_file_is_refused_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("short", encoding="utf-8")

    with pytest.raises(SettingsError, match="TALLYSTICK_JWT_SECRET: a secret needs at least 16 characters"):
        load({"TALLYSTICK_JWT_SECRET_FILE": str(file)})


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        require_secrets(given())

    for name in ("TALLYSTICK_JWT_SECRET", "TALLYSTICK_WEBHOOK_SECRETS", "TALLYSTICK_SESSION_SECRET"):
        assert f"{name} " in str(refused.value)


def test_an_empty_file_counts_as_absent(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("\n", encoding="utf-8")

    assert load({"TALLYSTICK_JWT_SECRET_FILE": str(file)}) == load({})


def test_a_blank_file_name_counts_as_absent() -> None:
    assert load({"TALLYSTICK_JWT_SECRET_FILE": " "}) == load({})


def test_which_of_a_variable_and_its_file_counts_does_not_hang_on_their_order(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("the secret in the file", encoding="utf-8")
    both = [("TALLYSTICK_JWT_SECRET", "the secret in the variable"), ("TALLYSTICK_JWT_SECRET_FILE", str(file))]

    outcomes: list[object] = []
    for order in (both, both[::-1]):
        try:
            outcomes.append(load(dict(order)))
        except SettingsError as error:
            outcomes.append(str(error))

    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "enough",
    [
        {"jwt_secret": JWT_SECRET, "webhook_secrets": WEBHOOK_SECRET},
        {"jwt_secret": JWT_SECRET, "webhook_secrets": "off"},
        {"jwt_secret": JWT_SECRET, "webhook_bearer": BEARER},
        {
            "jwks_url": "https://id.example.org/keys",
            "webhook_secrets": WEBHOOK_SECRET,
            "session_secret": "sessions of their own",
        },
        {
            "jwks_url": "https://id.example.org/keys",
            "webhook_secrets": "off",
            "session_secret": "sessions of their own",
        },
        {
            "jwks_url": "https://id.example.org/keys",
            "webhook_bearer": BEARER,
            "session_secret": "sessions of their own",
        },
    ],
)
def test_a_server_on_an_ordinary_database_may_start_with(enough: dict[str, str]) -> None:
    require_secrets(given(**enough))

    assert given(**enough).root_secrets


def test_without_a_way_to_verify_tokens_both_ways_are_named() -> None:
    for message in (missing(), missing(webhook_secrets=WEBHOOK_SECRET), missing(session_secret=JWT_SECRET)):
        assert "TALLYSTICK_JWT_SECRET or TALLYSTICK_JWKS_URL" in message


def test_without_a_webhook_secret_the_setting_is_named_and_how_to_do_without() -> None:
    message = missing(jwt_secret=JWT_SECRET)

    assert message.startswith("TALLYSTICK_WEBHOOK_SECRETS ")
    assert "TALLYSTICK_WEBHOOK_SECRETS=off" in message


@pytest.mark.parametrize(
    "webhook",
    [
        {"webhook_secrets": "off"},
        {"webhook_bearer": BEARER},
        {"webhook_secrets": WEBHOOK_SECRET},
        {"webhook_secrets": WEBHOOK_SECRET, "webhook_bearer": BEARER, "identity": "external"},
    ],
)
def test_published_keys_alone_leave_nothing_to_sign_sessions_with(webhook: dict[str, str]) -> None:
    assert missing(jwks_url="https://id.example.org/keys", **webhook).startswith("TALLYSTICK_SESSION_SECRET ")


@pytest.mark.parametrize(
    ("environment", "algorithms"),
    [
        ({}, set()),
        ({"jwt_secret": JWT_SECRET}, {"HS256"}),
        ({"jwks_url": "https://id.example.org/keys"}, {"RS256", "ES256"}),
        ({"jwt_secret": JWT_SECRET, "jwks_url": "https://id.example.org/keys"}, {"HS256", "RS256", "ES256"}),
        ({"jwt_secret": JWT_SECRET, "jwks_url": "https://id.example.org/keys", "jwt_algorithms": "RS256"}, {"RS256"}),
        (
            {"jwt_secret": JWT_SECRET, "jwks_url": "https://id.example.org/keys", "jwt_algorithms": " HS256,ES256 "},
            {"HS256", "ES256"},
        ),
        ({"jwt_secret": JWT_SECRET, "jwt_algorithms": "HS256"}, {"HS256"}),
        ({"jwt_algorithms": "HS256"}, {"HS256"}),
    ],
)
def test_tokens_may_be_signed_by_every_algorithm_with_a_key(environment: dict[str, str], algorithms: set[str]) -> None:
    assert given(**environment).algorithms == algorithms


@pytest.mark.parametrize(("secrets", "takes"), [(WEBHOOK_SECRET, True), ("off", False), ("", False)])
def test_signed_deliveries_are_taken_where_there_is_a_secret(secrets: str, takes: bool) -> None:
    assert (given(webhook_secrets=secrets).signed_by is not None) is takes


def test_the_database_is_our_own_where_none_is_given() -> None:
    assert load({}).is_embedded
    assert not given().is_embedded


def test_keys_are_derived_from_the_session_secret_before_the_jwt_secret_and_from_nothing_else() -> None:
    shared = {"webhook_bearer": BEARER, "webhook_secrets": WEBHOOK_SECRET}

    assert given(jwt_secret=JWT_SECRET, **shared).root_secrets == (JWT_SECRET,)
    assert given(jwt_secret=JWT_SECRET, session_secret="s" * 16, **shared).root_secrets == ("s" * 16,)
    with pytest.raises(SettingsError, match=r"^TALLYSTICK_SESSION_SECRET "):
        _ = given(jwks_url="https://id.example.org/keys", **shared).root_secrets


@pytest.mark.parametrize("name", ["jwt_secret", "session_secret"])
@pytest.mark.parametrize(
    ("shared", "secret"),
    [
        ({"webhook_secrets": WEBHOOK_SECRET}, WEBHOOK_SECRET),
        ({"webhook_secrets": f"v1,{WEBHOOK_SECRET}"}, WEBHOOK_SECRET.removeprefix("whsec_")),
        ({"webhook_secrets": f"whsec_{b64encode(FIRST.encode()).decode()}"}, FIRST),
        ({"webhook_secrets": f"{WEBHOOK_SECRET} v1,whsec_{b64encode(b'a' * 17).decode().rstrip('=')}"}, "a" * 17),
        ({"webhook_secrets": "off", "webhook_bearer": BEARER}, BEARER),
        ({"webhook_secrets": "off", "webhook_bearer": f"{FIRST} {SECOND}"}, f"{'s' * 16} {SECOND}"),
    ],
)
def test_a_webhook_secret_is_no_secret_of_this_service(name: str, shared: dict[str, str], secret: str) -> None:
    with pytest.raises(SettingsError, match=f"^TALLYSTICK_{name.upper()} is also a webhook secret") as refused:
        given(**{**shared, name: secret})

    assert secret not in str(refused.value)


@pytest.mark.parametrize("name", ["jwt_secret", "session_secret"])
def test_neither_is_the_token_of_metrics(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^TALLYSTICK_{name.upper()} is also TALLYSTICK_METRICS_TOKEN"):
        given(**{name: f"{FIRST} {SECOND}", "metrics_token": SECOND})


@pytest.mark.parametrize("name", ["jwt_secret", "session_secret", "webhook_bearer"])
class TestSeveralSecretsAtOnce:
    @staticmethod
    def read(name: str, text: str) -> tuple[str, ...]:
        settings = given(**{name: text})
        read = {"jwt_secret": "jwt_secrets", "session_secret": "root_secrets", "webhook_bearer": "webhook_bearers"}
        secrets: tuple[str, ...] = getattr(settings, read[name])
        return secrets

    @pytest.mark.parametrize("gap", [" ", "\n", " \t "])
    def test_white_space_separates_them_and_their_order_stays(self, name: str, gap: str) -> None:
        assert self.read(name, f"{FIRST}{gap}{SECOND}") == (FIRST, SECOND)

    def test_one_that_holds_white_space_stands_in_double_quotes(self, name: str) -> None:
        assert self.read(name, f'"{JWT_SECRET}" {SECOND}') == (JWT_SECRET, SECOND)

    def test_a_passphrase_of_short_words_is_one_secret(self, name: str) -> None:
        assert self.read(name, JWT_SECRET) == (JWT_SECRET,)

    @pytest.mark.parametrize("text", [f"{FIRST} short", f"short {SECOND}", f'{FIRST} "{"x" * 15}"', f'{FIRST} ""'])
    def test_each_of_them_is_long_enough(self, name: str, text: str) -> None:
        with pytest.raises(SettingsError, match=f"^TALLYSTICK_{name.upper()}: .*16 characters.*double quotes") as no:
            given(**{name: text})

        assert FIRST not in str(no.value)
        assert SECOND not in str(no.value)

    def test_there_are_ten_at_most(self, name: str) -> None:
        ten = tuple(f"{FIRST}{number}" for number in range(10))

        assert self.read(name, " ".join(ten)) == ten
        with pytest.raises(SettingsError, match="at most 10"):
            given(**{name: " ".join((*ten, SECOND))})


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"jwks_url": "https://id.example.org/keys", "jwt_algorithms": "HS256"}, "TALLYSTICK_JWT_SECRET"),
        ({"jwks_url": "https://id.example.org/keys", "jwt_algorithms": "RS256 HS256"}, "TALLYSTICK_JWT_SECRET"),
        ({"jwt_secret": JWT_SECRET, "jwt_algorithms": "RS256"}, "TALLYSTICK_JWKS_URL"),
        ({"jwt_secret": JWT_SECRET, "jwt_algorithms": "ES256"}, "TALLYSTICK_JWKS_URL"),
        ({"jwt_secret": JWT_SECRET, "jwt_algorithms": "HS256 ES256"}, "TALLYSTICK_JWKS_URL"),
        ({"jwt_algorithms": "RS256"}, "TALLYSTICK_JWKS_URL"),
        ({"jwt_secret": JWT_SECRET, "jwt_algorithms": ","}, "leave it out"),
    ],
)
def test_an_algorithm_without_its_key_is_refused(environment: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError, match=f"^TALLYSTICK_JWT_ALGORITHMS names .*{missing}"):
        given(**environment)
