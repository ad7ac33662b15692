"""`tallystick token`."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from joserfc import jwt
from joserfc.jwk import OctKey

from tallystick.domain.users import is_user_id
from tallystick.entrypoints.cli.main import main
from tests.http.services import JWT_SECRET

GIVEN = {"TALLYSTICK_JWT_SECRET": JWT_SECRET}


def token(*arguments: str, **environment: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["token", *arguments], env=environment)


def claims(token: str, secret: str = JWT_SECRET) -> dict[str, Any]:
    """Return the claims of a token that was signed with the secret."""
    return jwt.decode(token.strip(), OctKey.import_key(secret), algorithms=["HS256"]).claims


def test_a_token_speaks_for_its_user_for_an_hour_and_permits_nothing() -> None:
    before = int(time.time())

    signed = token("--sub", "auth0|ada", **GIVEN)

    said = claims(signed.stdout)
    assert (signed.exit_code, set(said)) == (0, {"sub", "iat", "exp"})
    assert said["sub"] == "auth0|ada"
    assert before <= said["iat"] <= int(time.time())
    assert said["exp"] == said["iat"] + 3600


def test_everything_else_is_said_where_it_is_asked_for() -> None:
    arguments = ["--permission", "admin:read", "--permission", "profiles:read", "--seconds", "60", "--json"]
    settings = {"TALLYSTICK_JWT_ISSUER": "https://id.example.org", "TALLYSTICK_JWT_AUDIENCE": "app"}

    signed = token("--sub", "ada", *arguments, "--phone-verified", "--phone", "+491511234567", **GIVEN, **settings)

    document = json.loads(signed.stdout)
    said = claims(document["token"])
    assert said == document["claims"]
    assert said == {
        "sub": "ada",
        "iat": said["iat"],
        "exp": said["iat"] + 60,
        "permissions": ["admin:read", "profiles:read"],
        "phone_verified": True,
        "phone": "+491511234567",
        "iss": "https://id.example.org",
        "aud": "app",
    }


def test_in_the_embedded_mode_it_signs_with_the_secret_that_was_drawn_once(tmp_path: Path) -> None:
    tokens = [token("--sub", "ada", TALLYSTICK_DATA_DIR=str(tmp_path)).stdout for _ in range(2)]

    secret = kept(tmp_path)
    assert [claims(token, secret)["sub"] for token in tokens] == ["ada", "ada"]
    assert len(secret) >= 32


def test_a_secret_whose_file_a_killed_start_left_empty_is_drawn_anew(tmp_path: Path) -> None:
    (tmp_path / "jwt.secret").touch()

    signed = token("--sub", "ada", TALLYSTICK_DATA_DIR=str(tmp_path))

    assert signed.exit_code == 0
    assert claims(signed.stdout, kept(tmp_path))["sub"] == "ada"


@pytest.mark.parametrize("subject", ["", "a b", "ada\n", "ädä", "x" * 129])
def test_a_user_who_can_be_none_is_refused(subject: str) -> None:
    assert not is_user_id(subject)

    refused = token("--sub", subject, **GIVEN)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("tallystick: --sub ")


@pytest.mark.parametrize("seconds", ["0", "2592001", "an hour"])
def test_a_lifetime_of_nothing_or_for_ever_is_refused(seconds: str) -> None:
    refused = token("--sub", "ada", "--seconds", seconds, **GIVEN)

    assert (refused.exit_code, refused.stdout) == (2, "")


@pytest.mark.parametrize("database", [{}, {"DATABASE_URL": "postgresql://ada@db.example.org/tally"}])
def test_where_only_the_provider_can_sign_it_is_refused(tmp_path: Path, database: dict[str, str]) -> None:
    environment = {"TALLYSTICK_JWKS_URL": "https://id.example.org/keys", "TALLYSTICK_DATA_DIR": str(tmp_path)}

    refused = token("--sub", "ada", **environment, **database)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("tallystick: TALLYSTICK_JWT_SECRET ")


def kept(data: Path) -> str:
    return (data / "jwt.secret").read_text(encoding="ascii").strip()
