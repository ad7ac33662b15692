"""A team that moves into an empty database."""

from pathlib import Path

import pytest

from tests.worlds.moving import Moving
from tests.worlds.world import World


@pytest.fixture
def moving(owner_dsn: str, tmp_path: Path, world: World) -> Moving:
    return Moving(owner_dsn, tmp_path, world)
