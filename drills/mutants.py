"""Guards of the service that a mutant lacks. Each mutant has to be found by the checker, else the checker is at fault.

A mutant is a copy of the package in which one text is replaced by another.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from drills.scripts import ScriptName

SOURCES = Path(__file__).parents[1] / "src"


class Mutant(NamedTuple):
    """The package without one of its guards."""

    name: str
    file: str
    guard: str
    """The text of the guard, which stands once in the file."""
    instead: str
    scripts: tuple[ScriptName, ...]
    """The scripts that meet the guard."""
    sign: str
    """A part of the difference that the checker has to find."""


MUTANTS = (
    Mutant(
        "an unknown outcome is answered as if nothing was done",
        "application/group_commit.py",
        "is_definite = isinstance(error, Refusal) or not self.maybe_stored",
        "is_definite = True",
        ("purse", "points"),
        "was refused, and was done",
    ),
    Mutant(
        "a commit whose answer was lost counts as done",
        "adapters/postgres/transactions.py",
        "            raise CommitUncertain from error\n        raise meaning",
        "            return\n        raise meaning",
        ("purse", "points"),
        "and later",
    ),
    Mutant(
        "a lost batch gets the answers of its callers in another order",
        "application/group_commit.py",
        "zip(batch, outcomes, strict=True)",
        "zip(batch, reversed(outcomes), strict=True)",
        ("seats",),
        "and was done",
    ),
    Mutant(
        "replies are not stored under their keys",
        "application/idempotency.py",
        "[(asked[name], reply) for name, reply in replies.items()]",
        "[]",
        ("shop",),
        "and later answered 409",
    ),
    Mutant(
        "a request with a known key runs again",
        "application/idempotency.py",
        '(claims[key.caller, key.key] == "fresh" and asked[key.caller, key.key] is key)',
        "asked[key.caller, key.key] is key",
        ("shop",),
        "before anything happened",
    ),
    Mutant(
        "a balance may become negative",
        "domain/ledger.py",
        "if after < 0:",
        "if after < -1_000_000:",
        ("shop",),
        "500 INTERNAL_ERROR",
    ),
    Mutant(
        "an inviter is acknowledged and not stored",
        "application/referrals.py",
        "        if self._new_edges:\n            await",
        "        if not self._new_edges:\n            await",
        ("arrival",),
        "the inviter is lost",
    ),
    Mutant(
        "the balance after the first purchase of a batch is stored",
        "adapters/postgres/sql/rewards.sql",
        "FROM sold ORDER BY user_id, seq DESC",
        "FROM sold ORDER BY user_id, seq",
        ("shop",),
        "a balance differs from its entries",
    ),
    Mutant(
        "a reward is sold twice to one buyer",
        "domain/rewards.py",
        "    if kept is not None:\n        raise AlreadyCollected\n",
        "",
        ("shop",),
        "the customer has the reward",
    ),
    Mutant(
        "a retry does not know its own purchase",
        "domain/rewards.py",
        "if kept is not None and kept.order_id == order_id:",
        "if kept is not None and not order_id:",
        ("shop",),
        "was refused, and was done",
    ),
    Mutant(
        "a retry does not know its own seat",
        "domain/invites.py",
        "if kept.attempt_id == attempt_id:",
        "if not attempt_id:",
        ("seats",),
        "was refused, and was done",
    ),
    Mutant(
        "more seats are given than an invite has",
        "domain/invites.py",
        "    if refusal is not None:\n        raise refusal\n",
        "",
        ("seats",),
        "500 INTERNAL_ERROR",
    ),
    Mutant(
        "a grant of a known event is posted again",
        "application/credits.py",
        "            known = kept.get(grant.event_key)\n",
        "            known = None\n",
        ("purse",),
        "500 INTERNAL_ERROR",
    ),
    Mutant(
        "points of a known event are credited again",
        "application/points.py",
        "made = self._made.get(earning.key) or self._made_formerly(earning)",
        "made = None",
        ("points",),
        "before anything happened",
    ),
    Mutant(
        "a message that was sent is sent again",
        "application/messages.py",
        "        if kept is not None:  # before every refusal",
        "        if kept is not None and kept.deleted_at:  # before every refusal",
        ("talk",),
        "500 INTERNAL_ERROR",
    ),
    Mutant(
        "an inviter gets no points",
        "application/pending_accruals.py",
        "    for earning in earned:\n        try:\n            points_batch.credit(earning)\n",
        "    for earning in earned[1:]:\n        try:\n            points_batch.credit(earning)\n",
        ("arrival",),
        "the inviter has other points",
    ),
)


@contextmanager
def planted(mutant: Mutant | None) -> Iterator[str]:
    """Make a mutant, and return the PYTHONPATH that leads to it; without a mutant it is empty."""
    if mutant is None:
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="tallystick-mutant-") as folder:
        package = Path(folder) / "tallystick"
        shutil.copytree(SOURCES, package, ignore=shutil.ignore_patterns("__pycache__"))
        changed = package / mutant.file
        text = changed.read_text(encoding="utf-8")
        if text.count(mutant.guard) != 1:
            raise LookupError(f"{mutant.file} does not hold the guard of {mutant.name!r} once")
        changed.write_text(text.replace(mutant.guard, mutant.instead), encoding="utf-8")
        yield folder
