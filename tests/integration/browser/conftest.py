"""Installations of the service, for browsers."""

from collections.abc import Iterator

import pytest

from tests.integration.cli.conftest import installed
from tests.processes.installations import Installation


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Return an installation in an empty folder."""
    with installed({}) as installation:
        yield installation
