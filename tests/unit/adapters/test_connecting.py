"""Messages for operators when the database cannot be reached: the server's own words and advice, without secrets."""

import ssl

import asyncpg
import pytest

from tallystick.adapters.postgres.connecting import NotThere, Unreachable, connect, explained

DSN = "postgresql://ada:hunter%2F2@db.example.org:5432/app?password=other-secret"


def server_error(state: str, message: str) -> asyncpg.PostgresError:
    error = asyncpg.PostgresError.new({"S": "FATAL", "C": state, "M": message, "D": "a row"})
    assert isinstance(error, asyncpg.PostgresError)
    return error


@pytest.mark.parametrize(
    ("state", "message", "advice"),
    [
        ("28P01", 'password authentication failed for user "ada"', "check the user and the password"),
        ("28000", 'role "ada" does not exist', "check that the login exists"),
        ("28000", 'no pg_hba.conf entry for host "10.0.0.7", user "ada", no encryption', "this address"),
        ("3D000", 'database "app" does not exist', "create this database"),
        ("53300", "sorry, too many clients already", "TALLYSTICK_POOL_SIZE"),
        ("57P03", "the database system is starting up", "wait"),
        ("08P01", "unsupported startup parameter: jit", "ignore_startup_parameters = role, search_path, jit,"),
        ("08P01", "SASL authentication failed", "check the user and the password"),
        ("08P01", "query_wait_timeout", "wait until PgBouncer reaches the database"),
        ("42501", 'permission denied for database "app"', "GRANT CONNECT ON DATABASE"),
        ("42501", 'permission denied to set role "tallystick_app"', "GRANT tallystick_app TO"),
        ("42P05", 'prepared statement "s1" already exists', "TALLYSTICK_CACHE_STATEMENTS=off"),
        ("26000", 'prepared statement "s1" does not exist', "TALLYSTICK_CACHE_STATEMENTS=off"),
        ("XX000", "something else", ""),
    ],
)
def test_the_server_is_quoted_with_its_state_and_what_to_do(state: str, message: str, advice: str) -> None:
    said = explained(server_error(state, message), DSN)

    assert said.startswith(f"{message} (SQLSTATE {state})")
    assert advice in said
    assert "a row" not in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "no answer in time; check the host"),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "Connect call failed ('127.0.0.1', 1)"),
        (OSError(-2, "Name or service not known"), "Name or service not known; check the host"),
        (ConnectionError('PostgreSQL server at "h:5432" rejected SSL upgrade'), "TLS failed: PostgreSQL server"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "TLS failed: "),
        (asyncpg.InterfaceError("invalid DSN"), "invalid DSN; check the URL"),
    ],
    ids=lambda case: type(case).__name__,
)
def test_an_error_of_the_network_or_the_driver_is_a_sentence(error: Exception, said: str) -> None:
    assert explained(error, DSN).startswith(said)


@pytest.mark.parametrize("secret", ["hunter%2F2", "hunter/2", "other-secret", DSN])
def test_no_secret_is_repeated_however_it_is_written(secret: str) -> None:
    for error in (server_error("28P01", f"no entry for {secret}"), asyncpg.InterfaceError(f"cannot read {secret}")):
        assert secret not in explained(error, DSN)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), NotThere),
        (FileNotFoundError(2, "No such file or directory"), NotThere),
        (OSError(-2, "Name or service not known"), NotThere),
        (TimeoutError(), NotThere),
        (server_error("57P03", "the database system is starting up"), NotThere),
        (server_error("53300", "sorry, too many clients already"), NotThere),
        (server_error("08P01", "server login has been failing, try again later (server_login_retry)"), NotThere),
        (server_error("08P01", "query_wait_timeout"), NotThere),
        (server_error("08006", "connection failure"), NotThere),
        (server_error("08P01", "unsupported startup parameter: jit"), Unreachable),
        (server_error("08P01", "SASL authentication failed"), Unreachable),
        (server_error("28P01", 'password authentication failed for user "ada"'), Unreachable),
        (server_error("3D000", 'database "app" does not exist'), Unreachable),
        (server_error("42501", 'permission denied for database "app"'), Unreachable),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), Unreachable),
        (ConnectionError('PostgreSQL server at "h:5432" rejected SSL upgrade'), Unreachable),
        (asyncpg.InterfaceError("invalid DSN"), Unreachable),
    ],
)
async def test_only_what_may_pass_by_itself_is_not_there(
    error: Exception, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(asyncpg, "connect", fail)

    with pytest.raises(Unreachable) as refused:
        await connect(DSN, name="test")

    assert refused.type is kind


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert"])
async def test_a_file_that_cannot_be_read_is_named_by_its_parameter(name: str) -> None:
    with pytest.raises(Unreachable, match=f" {name} names a file") as refused:
        await connect(f"postgresql://ada@127.0.0.1:1/app?sslmode=require&{name}=/nonexistent", name="test")

    assert refused.type is Unreachable


@pytest.mark.parametrize("variable", ["PGSSLROOTCERT", "PGSSLCERT"])
async def test_a_file_of_the_environment_is_named_by_its_variable(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/nonexistent")

    with pytest.raises(Unreachable, match=f" {variable} names a file") as refused:
        await connect("postgresql://ada@127.0.0.1:1/app?sslmode=require", name="test")

    assert refused.type is Unreachable
