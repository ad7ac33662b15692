"""Accounts that hold the largest balance, which no number of grants over HTTP reaches in a test."""

from tallystick.adapters.system import SystemClock
from tallystick.application.credits import Grant, GrantCredits
from tallystick.application.idempotency import Keyed
from tallystick.domain.ledger import MAX_BALANCE
from tallystick.domain.users import UserId
from tests.http.services import running, settings
from tests.http.wallets import balance, bought, grant, offered, said

FILLED = Grant(UserId("ada"), MAX_BALANCE, "filled", "filled", UserId("staff"), "filled", SystemClock().now())


async def test_an_account_takes_no_more_than_it_can_hold() -> None:
    async with running(settings(), "memory") as (anyone, container):
        await (await container.get(GrantCredits))([Keyed(FILLED)])
        ada = anyone.named("ada")

        refused = await grant(anyone, "ada", 1)

        assert said(refused) == [(422, "BALANCE_LIMIT_EXCEEDED")]
        assert (await ada.get("/api/credits")).text == f'{{"balance":{MAX_BALANCE},"version":1}}'


async def test_spending_makes_room() -> None:
    async with running(settings(), "memory") as (anyone, container):
        await (await container.get(GrantCredits))([Keyed(FILLED)])
        ada = anyone.named("ada")
        await bought(ada, await offered(anyone, 40))

        too_much, just_enough = await grant(anyone, "ada", 41), await grant(anyone, "ada", 40)

        assert said(too_much) == [(422, "BALANCE_LIMIT_EXCEEDED")]
        assert just_enough.json()["balance_after"] == await balance(ada) == MAX_BALANCE
