"""`tallystick token --explain`: it says of every token what the server does with it, and why."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tallystick.domain.tokens import REMEDIES
from tallystick.entrypoints.cli.main import main
from tests.http.services import JWT_SECRET
from tests.http.tokens import good_token, provider, seconds_from_now
from tests.unit.http.test_token_refusals import AUDIENCE, GOOD, ISSUER, REFUSED, SESSION_SECRET, of_ours, signed

SECRET = {
    "DATABASE_URL": "postgresql://ada@db.example.org/tally",
    "TALLYSTICK_JWT_SECRET": JWT_SECRET,
    "TALLYSTICK_SESSION_SECRET": SESSION_SECRET,
    "TALLYSTICK_JWT_ISSUER": ISSUER,
    "TALLYSTICK_JWT_AUDIENCE": AUDIENCE,
}


def explained(*arguments: str, given: str | bytes | None = None, **environment: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["token", *arguments], input=given, env=environment)


@pytest.fixture(scope="module")
def keys() -> Iterator[str]:
    """Return the address of an identity provider that publishes its keys."""
    document = provider().document()

    class Publishes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/keys" else 404)
            self.send_header("content-length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Publishes)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


# The command reads no database: whether a session has ended is known to servers alone.
@pytest.mark.parametrize("row", [row for row, (reason, *_) in REFUSED.items() if reason != "session_ended"])
def test_it_names_the_reason_that_the_server_logs(keys: str, row: str) -> None:
    reason, expected, issue = REFUSED[row]

    refused = explained("--explain", issue(), "--json", **SECRET, TALLYSTICK_JWKS_URL=f"{keys}/keys")

    document = json.loads(refused.stdout)
    first = next(check for check in document["checks"] if check["fault"] is not None)
    assert (refused.exit_code, document["valid"], document["reason"]) == (1, False, reason)
    assert document["remedy"] == REMEDIES[reason]
    assert first["fault"] == reason
    assert expected in first["expected"]


@pytest.mark.parametrize("issue", ["secret", "RS256", "ES256", "sign-in"])
def test_a_good_token_is_accepted_with_every_check(keys: str, issue: str) -> None:
    issuers: dict[str, Callable[[], str]] = {
        "secret": signed,
        "sign-in": lambda: of_ours("bearers"),
        "RS256": lambda: provider().token("RS256", {}, **GOOD),
        "ES256": lambda: provider().token("ES256", {}, **GOOD),
    }

    accepted = explained("--explain", "-", given=f"{issuers[issue]()}\n", **SECRET, TALLYSTICK_JWKS_URL=f"{keys}/keys")

    assert accepted.exit_code == 0
    assert {line[:4] for line in accepted.stdout.splitlines()[:-1]} == {"ok  "}
    assert accepted.stdout.splitlines()[-1] == "a server with these settings accepts the token"


def test_people_read_what_was_expected_beside_what_the_token_has() -> None:
    refused = explained("--explain", signed(aud="another\x1b[31m", exp=seconds_from_now(-90)), **SECRET)

    lines = refused.stdout.splitlines()
    assert refused.exit_code == 1
    assert f'no  aud        aud is or names {AUDIENCE}; the token has "another\\u001b[31m"' in lines
    assert [line[:9].split()[:2] for line in lines if line.startswith("no")] == [["no", "aud"], ["no", "exp"]]
    assert lines[-1].startswith("refused: audience. Set TALLYSTICK_JWT_AUDIENCE ")


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer {}\n", "  {}\r\n"])
def test_a_token_is_read_from_the_standard_input_however_it_was_copied(form: str) -> None:
    accepted = explained("--explain", "-", "--json", given=form.format(signed()), **SECRET)

    assert (accepted.exit_code, json.loads(accepted.stdout)["valid"]) == (0, True)


@pytest.mark.parametrize("given", ["", "\n", "Bearer "])
def test_where_no_token_came_it_says_how_to_give_one(given: str) -> None:
    refused = explained("--explain", "-", given=given, **SECRET)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--explain" in refused.stderr


@pytest.mark.parametrize("given", [b"\xff\xfe", b"\x00", b"x.y.z", b"a" * 40_000, b"." * 40])
def test_a_text_that_is_no_token_is_refused_without_a_traceback(given: bytes) -> None:
    refused = explained("--explain", "-", "--json", given=given, **SECRET)

    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["reason"] in {"malformed", "headers_too_large"}


def test_keys_that_cannot_be_fetched_are_no_fault_of_the_token(keys: str) -> None:
    refused = explained(
        "--explain", provider().token("RS256", {}, **GOOD), "--json", **SECRET, TALLYSTICK_JWKS_URL=f"{keys}/nowhere"
    )

    document = json.loads(refused.stdout)
    assert (refused.exit_code, document["valid"], document["reason"]) == (1, False, "keys_unavailable")
    assert document["remedy"].endswith("it answers with status 404 Not Found")


@pytest.mark.parametrize("arguments", [[], ["--json"]])
@pytest.mark.parametrize("row", REFUSED)
def test_no_secret_is_ever_shown(row: str, arguments: list[str]) -> None:
    refused = explained("--explain", REFUSED[row][2](), *arguments, **SECRET)

    assert JWT_SECRET not in refused.output
    assert SESSION_SECRET not in refused.output


def test_nothing_is_drawn_where_no_server_ever_ran(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    refused = explained("--explain", good_token(), TALLYSTICK_DATA_DIR=str(folder))

    assert (refused.exit_code, refused.stdout, folder.exists()) == (2, "", False)


def test_in_the_embedded_mode_it_checks_with_the_secret_that_was_drawn(tmp_path: Path) -> None:
    token = explained("--sub", "ada", TALLYSTICK_DATA_DIR=str(tmp_path)).stdout

    assert explained("--explain", token, TALLYSTICK_DATA_DIR=str(tmp_path)).exit_code == 0
    assert explained("--explain", good_token(), TALLYSTICK_DATA_DIR=str(tmp_path)).exit_code == 1
