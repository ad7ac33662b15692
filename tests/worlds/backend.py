"""The parts of a store that a world needs: transactions, and access to rows that no use case reads or writes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from tallystick.application.transactions import Transactions
from tallystick.domain.codes import Code
from tallystick.domain.ledger import AccountKey
from tallystick.domain.legacy_metadata import Claim
from tallystick.domain.users import UserId


class Backend(Protocol):
    """One store, in memory or in PostgreSQL."""

    @property
    def transactions(self) -> Transactions:
        """The transactions that the use cases run in."""

    async def stage(self, run: int, claims: Sequence[Claim], *, kept_by: UserId | None) -> None:
        """Store codes of a backfill run, which is applied unless it is there; `kept_by` has the codes already."""

    async def put_run(self, run: int, state: str) -> None:
        """Put a backfill run into a state."""

    async def run_of(self, code: str) -> int | None:
        """Return the run that wrote a code."""

    async def mirrored(self, user: UserId) -> Code | None:
        """Return the code that the mirror holds for a user."""

    async def put_mirrored(self, user: UserId, code: Code, at: datetime) -> None:
        """Let the mirror hold a code, right or wrong."""

    async def clicked(self) -> set[str]:
        """Return the codes whose clicks are stored."""

    async def reach_end(self, session: str) -> None:
        """Let the end of a session's overlay be now, by the clock of the store."""

    async def freeze(self, account: AccountKey, at: datetime) -> None:
        """Stop an account, as the owner of the schema does it."""

    async def thaw(self, account: AccountKey) -> None:
        """Let an account go on."""
