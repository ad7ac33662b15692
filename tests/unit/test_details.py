"""The detail of a failure is a sentence for the reader of the problem: of every class, made with plausible facts."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tallystick.domain.flags import Flag
from tallystick.domain.refusals import Failure
from tests.failures import every_failure

FACTS: Mapping[str, Any] = {"fault": "malformed", "bound": "rewards", "flag": next(iter(Flag)), "faults": ()}
"""Arguments that are no plain numbers or words, by their names."""
_CASE_CHANGES = re.compile(r"[A-Z]{2}[a-z]|[a-z][A-Z]{2}")


def made(kind: type[Failure]) -> Failure:
    """Return a failure of a class, with facts wherever its constructor needs one."""
    needed = [
        each
        for each in inspect.signature(kind).parameters.values()
        if each.default is inspect.Parameter.empty and each.kind is not inspect.Parameter.VAR_POSITIONAL
    ]
    facts = {each.name: FACTS.get(each.name, 7 if each.annotation in {int, "int"} else "some words") for each in needed}
    keywords = {each.name: facts[each.name] for each in needed if each.kind is inspect.Parameter.KEYWORD_ONLY}
    return kind(*(value for name, value in facts.items() if name not in keywords), **keywords)


@pytest.mark.parametrize("kind", every_failure(), ids=lambda kind: kind.__name__)
def test_a_detail_is_a_sentence(kind: type[Failure]) -> None:
    detail = made(kind).detail

    assert isinstance(detail, str)
    assert kind.__name__ == "InvalidRequest" or " " in detail  # the details of faults are their own
    assert not detail.isupper()
    assert _CASE_CHANGES.search(detail) is None
