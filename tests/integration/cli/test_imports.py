"""The packages that a server imports, and those that it only installs because Litestar requires them."""

import re

from tests.processes.installations import Installation, answer

NEVER_IMPORTED = {"faker", "polyfactory", "httpx"}
"""Litestar needs them for examples in its OpenAPI document and for its test client."""


def test_packages_that_litestar_needs_and_a_server_does_not_use_are_never_imported(installation: Installation) -> None:
    server = installation.serve("--store", "memory", PYTHONPROFILEIMPORTTIME="1")
    assert answer(server.address, "/schema/openapi.json") is not None
    assert answer(server.address, "/schema") is not None
    installation.code_of("ada", server)

    assert server.end() == 0

    imported = set(re.findall(r"^import time: .*\| +(\w+)", server.output, re.MULTILINE))
    assert "litestar" in imported
    assert not NEVER_IMPORTED & imported
