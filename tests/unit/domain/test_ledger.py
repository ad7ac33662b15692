"""Accounts: an entry moves the balance, and nothing else of the account."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tallystick.domain.ledger import Account, AccountFrozen, Event
from tallystick.domain.users import UserId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA = UserId("ada")
EVENT = Event("grant", "welcome")


def test_an_entry_gives_the_account_its_balance_number_lifetime_and_time() -> None:
    before = Account(ADA, "points", balance=5, version=2, lifetime=9, updated_at=NOW)

    after = before.after(before.post(7, EVENT, correlation_id="c", at=NOW + timedelta(hours=1)))

    assert after == Account(ADA, "points", balance=12, version=3, lifetime=16, updated_at=NOW + timedelta(hours=1))


def test_an_entry_of_credits_leaves_the_lifetime_as_it_is() -> None:
    before = Account(ADA, "credits", lifetime=9)

    assert before.after(before.post(7, EVENT, correlation_id="c", at=NOW)).lifetime == 9


def test_an_account_that_is_frozen_stays_frozen_after_an_entry() -> None:
    """An entry that was decided before the freeze does not end it."""
    account = Account(ADA, "credits")
    entry = account.post(7, EVENT, correlation_id="c", at=NOW)

    frozen = msgspec.structs.replace(account, frozen_at=NOW).after(entry)

    assert frozen.frozen_at == NOW
    with pytest.raises(AccountFrozen):
        frozen.post(1, EVENT, correlation_id="c", at=NOW)
