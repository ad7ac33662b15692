"""The table of use cases: every batch use case has a row, and a row says what its types are."""

import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

import tallystick.application
from tallystick.application.codes import Remint, RemintCodes, Reminted
from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.reads import ReadUserSummaries
from tallystick.application.rewards import ChangeReward, OfferReward, OfferRewards
from tallystick.domain.rewards import Reward
from tallystick.domain.user_summaries import UserSummary
from tallystick.domain.users import UserId
from tallystick.entrypoints.group_commits import BatchUseCase
from tallystick.entrypoints.http.links import Addresses
from tallystick.entrypoints.wiring import batch_use_cases

ROWS = batch_use_cases(Addresses("https://go.example.org", "https://app.example.org"))


def batches() -> Iterator[type]:
    """Yield the use cases of the application that take a sequence of commands and return a list of outcomes."""
    for module in pkgutil.iter_modules(tallystick.application.__path__, "tallystick.application."):
        for _, use_case in inspect.getmembers(import_module(module.name), inspect.isclass):
            call: Any = inspect.signature(use_case.__call__) if "__call__" in vars(use_case) else None
            if call is not None and use_case.__module__ == module.name and len(call.parameters) == 2:
                commands = list(call.parameters.values())[1].annotation
                if str(commands).startswith("collections.abc.Sequence[") and str(call.return_annotation)[:5] == "list[":
                    yield use_case


def test_every_batch_use_case_has_one_row() -> None:
    assert len(ROWS) > 20
    assert sorted(row.use_case.__name__ for row in ROWS) == sorted(use_case.__name__ for use_case in batches())


def test_a_label_of_the_metrics_is_the_name_of_the_use_case() -> None:
    for row in ROWS:
        assert row.name == re.sub(r"(?<!^)([A-Z])", r"_\1", row.use_case.__name__).lower()


@pytest.mark.parametrize(
    ("use_case", "single"),
    [
        (RemintCodes, Single[Keyed[Remint], Reminted]),
        (OfferRewards, Single[Keyed[OfferReward | ChangeReward], Reward]),
        (ReadUserSummaries, Single[UserId, UserSummary | None]),
    ],
)
def test_parameters_of_routers_are_made_of_the_annotations_of_a_use_case(use_case: Any, single: object) -> None:
    row = BatchUseCase(use_case, "a label", key=lambda _: 0)

    assert row.single == single
    assert hash(row.single) == hash(single)
