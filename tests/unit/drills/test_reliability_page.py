"""The drills, the planted faults and docs/reliability.md name the same things."""

from pathlib import Path

import pytest

from drills.__main__ import DRILLS
from drills.mutants import MUTANTS, SOURCES, Mutant
from drills.planted import PLANTED

PAGE = (Path(__file__).parents[3] / "docs/reliability.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_guard_of_a_mutant_stands_once_in_its_file(mutant: Mutant) -> None:
    assert (SOURCES / mutant.file).read_text(encoding="utf-8").count(mutant.guard) == 1


def test_there_are_sixteen_mutants() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == 16


def test_the_page_has_a_row_for_each_drill_and_a_line_for_each_planted_fault() -> None:
    rows = [line.split("|")[1].strip() for line in PAGE.splitlines() if line.startswith("| ")]
    lines = {line.removeprefix("- ").rstrip(";.") for line in PAGE.splitlines() if line.startswith("- ")}

    assert rows == ["incident", *(drill.incident for drill in DRILLS)]
    assert lines == {fault.name for fault in PLANTED}


def test_nothing_was_lost_in_any_drill_of_the_page() -> None:
    lost = [line.split("|")[5].strip() for line in PAGE.splitlines() if line.startswith("| ")]

    assert lost == ["lost", *("nothing" for _ in DRILLS)]
