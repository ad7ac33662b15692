"""The journal and the checker of the drills: what a client knows, and which balances agree with it."""

import time

import pytest

from drills.checker import Balance
from drills.journal import Journal, Knowledge, Operation, Reply

OPERATION = Operation("grant", "purse-1", "purse-1.0", 1)
DONE, REFUSED = Reply(200, {"amount": 1}), Reply(402, {"code": "INSUFFICIENT_FUNDS"})
NOT_DONE, UNKNOWN = Reply(503, {"code": "OVERLOADED"}), Reply(503, {"code": "OUTCOME_UNKNOWN"})
BROKEN = Reply(500, {"code": "INTERNAL_ERROR"})


def journal_of(*replies: Reply | None) -> Journal:
    """Return the journal of an operation that was sent as often as it was answered, after an incident has begun."""
    journal = Journal()
    journal.begin()
    for reply in replies:
        journal.sent(OPERATION)
        journal.answered(OPERATION, reply, time.monotonic())
    return journal


@pytest.mark.parametrize(
    ("replies", "knowledge"),
    [
        ([DONE], "acknowledged"),
        ([None, DONE], "acknowledged"),
        ([DONE, None], "acknowledged"),
        ([NOT_DONE], "refused"),
        ([REFUSED], "refused"),
        ([None, REFUSED], "refused"),
        ([None], "unknown"),
        ([UNKNOWN], "unknown"),
        ([None, NOT_DONE], "unknown"),
        ([UNKNOWN, NOT_DONE, NOT_DONE], "unknown"),
    ],
)
def test_what_a_client_knows(replies: list[Reply | None], knowledge: Knowledge) -> None:
    journal = journal_of(*replies)

    assert journal.knowledge(OPERATION) == knowledge
    assert journal.surprises == []


@pytest.mark.parametrize("replies", [[BROKEN], [DONE, REFUSED], [DONE, Reply(200, {"amount": 2})]])
def test_an_answer_that_no_client_should_see(replies: list[Reply | None]) -> None:
    assert len(journal_of(*replies).surprises) == 1


def test_a_strict_journal_lets_no_request_be_answered_with_503_before_the_incident() -> None:
    journal = Journal(is_strict=True)
    journal.sent(OPERATION)
    journal.answered(OPERATION, NOT_DONE, time.monotonic())

    assert len(journal.surprises) == 1


@pytest.mark.parametrize(
    ("stored", "acknowledged", "possible", "faults"),
    [
        (0b0111, 0b0111, 0b0111, []),
        (0b0111, 0b0011, 0b0111, []),
        (0b0011, 0b0011, 0b0111, []),
        (0b0101, 0b0111, 0b0111, ["p: the acknowledged awards 2^1 are not in the balance"]),
        (0b1011, 0b0011, 0b0111, ["p: the balance holds 2^3, which nobody was granted, or twice"]),
        (0b1000, 0b0111, 0b0111, [
            "p: the acknowledged awards 2^0, 2^1, 2^2 are not in the balance",
            "p: the balance holds 2^3, which nobody was granted, or twice",
        ]),
    ],
)  # fmt: skip
def test_a_balance_is_decoded_into_its_awards(stored: int, acknowledged: int, possible: int, faults: list[str]) -> None:
    assert list(Balance("p", stored, acknowledged, possible).faults()) == faults
