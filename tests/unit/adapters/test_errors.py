"""The table from database errors to what is done about them."""

import asyncio

import asyncpg
import pytest

from tallystick.adapters.postgres.contract.manifest import shipped_manifest
from tallystick.adapters.postgres.errors import MEANINGS, translated
from tallystick.adapters.postgres.violations import RACES
from tallystick.application.transactions import LockHeld, StoreUnavailable, TransactionAborted, WriteConflict
from tallystick.domain.codes import CodesExhausted
from tallystick.domain.refusals import InvalidText

TYPES = {"aborted": TransactionAborted, "held": LockHeld, "unavailable": StoreUnavailable}


def server_error(state: str, *, constraint: str | None = None) -> asyncpg.PostgresError:
    """Return what asyncpg makes of an ErrorResponse of the server."""
    fields = {"S": "ERROR", "C": state, "M": "words", "D": "Key (email_key)=(ada@example.org) already exists."}
    if constraint is not None:
        fields["n"] = constraint
    error = asyncpg.PostgresError.new(fields)
    assert isinstance(error, asyncpg.PostgresError)
    return error


def meaning_of(error: BaseException, *, connection_lost: bool = False) -> BaseException:
    return translated(error, connection_lost=connection_lost)


class TestStates:
    def test_every_foreseen_state_means_what_the_table_says(self) -> None:
        found = {state: meaning_of(server_error(state)) for state in MEANINGS}

        assert {state: type(error) for state, error in found.items()} == {s: TYPES[m] for s, m in MEANINGS.items()}
        assert {state: str(error) for state, error in found.items()} == {state: state for state in MEANINGS}

    @pytest.mark.parametrize("state", ["53000", "53100", "53200", "53400", "58000", "58030"])
    def test_a_server_that_lacks_a_resource_is_unavailable_with_a_cause(self, state: str) -> None:
        found = meaning_of(server_error(state))

        assert isinstance(found, StoreUnavailable)
        assert found.cause in {"disk_full", "memory", "resources"}

    @pytest.mark.parametrize("state", ["08000", "08003", "08006", "08P01"])
    def test_a_broken_connection_before_the_commit_is_an_abort(self, state: str) -> None:
        assert isinstance(meaning_of(server_error(state)), TransactionAborted)

    @pytest.mark.parametrize("state", ["22003", "22021", "22P02", "22P05"])
    def test_a_text_that_cannot_be_stored_is_refused_as_invalid(self, state: str) -> None:
        found = meaning_of(server_error(state))

        assert isinstance(found, InvalidText)
        assert (found.code, found.retryable) == ("INVALID_REQUEST", False)

    @pytest.mark.parametrize("state", ["42601", "22012", "25P02", "XX000"])
    def test_every_other_state_is_a_bug_and_stays_what_it_is(self, state: str) -> None:
        error = server_error(state)

        assert meaning_of(error) is error


class TestConstraints:
    def test_one_that_a_race_can_break_asks_for_another_try(self) -> None:
        found = {name: type(meaning_of(server_error("23505", constraint=name))) for name in RACES}

        assert found == dict.fromkeys(RACES, WriteConflict)

    @pytest.mark.parametrize("state", ["23502", "23503", "23505", "23514"])
    def test_every_other_one_is_a_bug_and_stays_what_it_is(self, state: str) -> None:
        names = {item.removeprefix("constraint ") for items in shipped_manifest().values() for item in items}
        errors = {name: server_error(state, constraint=name) for name in names - RACES}

        assert {name: meaning_of(error) for name, error in errors.items()} == errors

    def test_a_name_counts_only_in_an_error_about_integrity(self) -> None:
        error = server_error("42710", constraint="users_email_key")

        assert meaning_of(error) is error

    def test_an_abort_reveals_no_stored_value(self) -> None:
        for name in RACES:
            assert "ada@example.org" not in repr(meaning_of(server_error("23505", constraint=name))), name


class TestTheDriversOwn:
    def test_a_statement_that_took_too_long_is_unavailable(self) -> None:
        """A TimeoutError is an OSError too, and means another thing."""
        assert isinstance(meaning_of(TimeoutError()), StoreUnavailable)

    @pytest.mark.parametrize(
        "error",
        [
            ConnectionResetError(),
            BrokenPipeError(),
            OSError(113, "no route"),
            asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
        ],
    )
    def test_an_error_of_the_network_is_an_abort(self, error: Exception) -> None:
        assert isinstance(meaning_of(error), TransactionAborted)

    def test_misuse_of_a_lost_connection_is_an_abort(self) -> None:
        error = asyncpg.InterfaceError("connection is closed")

        assert isinstance(meaning_of(error, connection_lost=True), TransactionAborted)

    def test_misuse_of_a_living_connection_is_a_bug(self) -> None:
        error = asyncpg.InterfaceError("another operation is in progress")

        assert meaning_of(error) is error


class TestEverythingElse:
    @pytest.mark.parametrize("error", [ZeroDivisionError(), asyncio.CancelledError(), CodesExhausted()], ids=repr)
    @pytest.mark.parametrize("connection_lost", [False, True])
    def test_an_error_that_is_not_of_the_database_passes_through(
        self, error: BaseException, connection_lost: bool
    ) -> None:
        assert meaning_of(error, connection_lost=connection_lost) is error
