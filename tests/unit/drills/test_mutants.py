"""The mutants that the checker of the drills has to find."""

import pytest

from drills.mutants import MUTANTS, SOURCES, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_guard_of_a_mutant_stands_once_in_its_file(mutant: Mutant) -> None:
    assert (SOURCES / mutant.file).read_text(encoding="utf-8").count(mutant.guard) == 1


def test_there_are_sixteen_mutants() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == 16
