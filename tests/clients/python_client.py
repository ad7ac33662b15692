"""The flow of tests/integration/test_generated_clients.py with the client of openapi-python-client."""

import os

from tallystick_client import AuthenticatedClient
from tallystick_client.api.credits_ import grant_credits
from tallystick_client.api.referrals import get_my_referral_link
from tallystick_client.api.rewards import offer_reward, purchase_reward, purchase_rewards
from tallystick_client.api.users import upsert_user
from tallystick_client.models import (
    GrantBody,
    InsufficientFundsProblem,
    Nothing,
    OrderBody,
    OrdersBody,
    Outcomes,
    Purchase,
    ReferralLink,
    RefusedOrder,
    Reward,
    RewardBody,
    UpsertResult,
    UpsertUser,
)


def caller(name: str) -> AuthenticatedClient:
    """Return a client with the token of a user."""
    return AuthenticatedClient(base_url=os.environ["ADDRESS"], token=os.environ[name])


def main() -> None:
    """Share a code, buy a reward, and meet three answers that are no success."""
    ada, bob, staff = caller("ADA"), caller("BOB"), caller("STAFF")
    link = get_my_referral_link.sync(client=ada)
    assert isinstance(link, ReferralLink)
    upserted = upsert_user.sync(client=bob, body=UpsertUser(referred_by=link.referral_code))
    assert isinstance(upserted, UpsertResult)
    assert upserted.attribution == "recorded"

    reward = offer_reward.sync(client=staff, body=RewardBody(name="A hat", cost=40))
    assert isinstance(reward, Reward)
    poor = purchase_reward.sync(reward.reward_id, client=bob)
    assert isinstance(poor, InsufficientFundsProblem)
    assert (poor.balance, poor.cost) == (0, 40)

    grant = GrantBody(user_id="bob", amount=100, reason="welcome", event_key="welcome-bob")
    first = grant_credits.sync_detailed(client=staff, body=grant, idempotency_key="grant-1")
    again = grant_credits.sync_detailed(client=staff, body=grant, idempotency_key="grant-1")
    assert again.parsed == first.parsed
    assert again.headers["idempotency-hit"] == "true"

    purchase = purchase_reward.sync(reward.reward_id, client=bob, body=Nothing())
    assert isinstance(purchase, Purchase)
    assert purchase.balance_after == 60
    orders = OrdersBody(orders=[OrderBody(user_id="bob", reward_id=reward.reward_id)])
    outcomes = purchase_rewards.sync(client=staff, body=orders)
    assert isinstance(outcomes, Outcomes)
    (outcome,) = outcomes.results
    assert isinstance(outcome, RefusedOrder)
    assert outcome.code == "ALREADY_COLLECTED"


if __name__ == "__main__":
    main()
