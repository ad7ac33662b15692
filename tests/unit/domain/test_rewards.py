"""The rule of purchases: the values of a purchase and of the entry that pays for it."""

from datetime import UTC, datetime

from tallystick.domain.ledger import Account
from tallystick.domain.rewards import Offer, RewardId, purchase
from tallystick.domain.users import UserId

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_entry_of_a_purchase_has_the_time_and_the_request_of_the_order() -> None:
    offer = Offer(RewardId("reward"), UserId("owner"), cost=40, active=True)
    buyer = Account(UserId("ada"), "credits", balance=100)

    collected, entry = purchase(offer, buyer, None, order_id="order", correlation_id="request", at=AT)

    assert entry is not None
    assert (entry.created_at, entry.correlation_id) == (AT, "request")
    assert (entry.event_type, entry.event_key, entry.amount) == ("purchase", "reward", -40)
    assert (collected.collected_at, collected.order_id) == (AT, "order")
    assert (collected.balance_before, collected.balance_after) == (100, 60)
