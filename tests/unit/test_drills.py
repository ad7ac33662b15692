"""The drills of `make faults`: a module that is not registered would be forgotten without a sound."""

import importlib
from pathlib import Path

from drills.__main__ import DRILLS

MODULES = sorted(path.stem for path in (Path(__file__).parents[2] / "drills").glob("*.py") if path.stem != "__main__")


def test_every_drill_of_every_module_runs() -> None:
    written = [
        drill for module in MODULES for drill in getattr(importlib.import_module(f"drills.{module}"), "DRILLS", ())
    ]

    assert sorted(drill.name for drill in DRILLS) == sorted(drill.name for drill in written)
    assert len({drill.name for drill in DRILLS}) == len(DRILLS)
