"""The notes of `tallystick serve --workers 2` and `tallystick check` on set-ups that only an operator can judge."""

import pytest

from tallystick.entrypoints.cli.notes import notes
from tests.http.services import settings


@pytest.mark.parametrize(
    ("storage", "is_named"),
    [("memory://", True), ("valkey://127.0.0.1:6379", False), ("redis://127.0.0.1:6379", False)],
)
@pytest.mark.parametrize("workers", [None, 2])
def test_limits_that_are_counted_in_each_process_are_named(storage: str, is_named: bool, workers: int | None) -> None:
    named = [note.topic for note in notes(settings(rate_limit_storage=storage), workers=workers)]

    assert ("rate limits" in named) is is_named
