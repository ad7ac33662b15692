"""The metrics of the stores, as they are scraped."""

import re

from tests.http.services import Caller
from tests.http.wallets import bought, funded, offered

OPERATION = re.compile(r'^tallystick_store_call_seconds_count\{operation="([a-z_.]+)"\} ([0-9.]+)$', re.MULTILINE)
ROWS = re.compile(r'^tallystick_store_rows_total\{operation="([a-z_.]+)"\} ([0-9.]+)$', re.MULTILINE)


async def scraped(anyone: Caller, series: re.Pattern[str]) -> dict[str, float]:
    """Return the values of a metric by operation."""
    page = (await anyone.get("/metrics")).text
    return {operation: float(value) for operation, value in series.findall(page)}


class TestStoreCalls:
    async def test_the_calls_of_a_purchase_are_measured(self, anyone: Caller) -> None:
        ada = await funded(anyone, "ada", 100)
        reward_id = await offered(anyone, 40)
        before = await scraped(anyone, OPERATION)

        await bought(ada, reward_id)

        after = await scraped(anyone, OPERATION)
        grown = {operation: after[operation] - before.get(operation, 0.0) for operation in after}
        for operation in ("transactions.begin", "ledger.lock", "rewards.sell", "transactions.commit"):
            assert grown[operation] == 1, operation
        assert (await scraped(anyone, ROWS))["rewards.sell"] == 1

    async def test_series_name_operations_and_no_user(self, anyone: Caller) -> None:
        await funded(anyone, "ada-of-the-canary", 100)

        page = (await anyone.get("/metrics")).text

        assert await scraped(anyone, OPERATION)
        assert "ada-of-the-canary" not in page
