"""The contract with the schema, as a transaction needs it: a decision that depends on it is never made without it."""

from typing import Protocol

from tallystick.domain.refusals import Unavailable


class ContractMissing(Unavailable):
    """The schema is not the one that this version of the service was written for."""

    code = "CONTRACT_MISSING"
    _failure_cause = "schema"

    def __init__(self) -> None:
        super().__init__("the schema of the database is not the one that this version needs; nothing was done")


class SchemaContract(Protocol):
    """The schema of the store, compared inside a transaction."""

    async def hold(self) -> str:
        """Return the version of the schema, which stays the same to the end of the transaction.

        ContractMissing where the schema differs from the one that this version needs, or is being changed: the
        transaction must end with it.
        """
