"""The OpenAPI document fuzzed against a real server: no server error, nothing undocumented."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.services import JWT_SECRET, WEBHOOK_SECRET, bearer
from tests.processes.service import PROGRAM, Process, clean_environment

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = "8"
STAFF = (
    *(
        "profiles:read",
        "admin:read",
        "credits:grant",
        "purchases:batch",
        "rewards:offer",
        "rewards:manage",
        "invites:create",
        "invites:manage",
        "rooms:manage",
    ),
    *("loyalty:award", "loyalty:batch", "loyalty:read", "loyalty:recover", "slips:write", "admin:flags"),
)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    environment = {
        "TALLYSTICK_JWT_SECRET": JWT_SECRET,
        "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "TALLYSTICK_RATE_LIMITS": "off",
        "TALLYSTICK_LOG_LEVEL": "error",
        # The fuzzer finds the flags in their list and switches them: a 503 that is documented would follow.
        "TALLYSTICK_FLAGS": "points_enabled=on; webhook_enabled=on",
    }
    server = Process("serve", "--port", "0", folder=tmp_path, environment=environment)
    yield server
    server.end()


@pytest.mark.parametrize("permissions", [None, STAFF], ids=["nobody", "staff"])
def test_fuzzing_finds_no_error_and_nothing_undocumented(
    process: Process, tmp_path: Path, permissions: tuple[str, ...] | None
) -> None:
    address = process.wait_until_listening()
    arguments = [f"{address}/schema/openapi.json", "--checks", CHECKS, "--max-examples", EXAMPLES, "--no-color"]
    # Clicks redirect to the service itself here, and where they lead is another operation.
    arguments += ["--seed", "1", "--max-redirects", "0"]
    # A stream has no end to wait for: tests/unit/behaviours/test_http_streams.py reads them.
    arguments += ["--exclude-path-regex", "/stream$|^/api/streams$"]
    if permissions is not None:
        arguments += ["--header", f"Authorization: {bearer('ada', *permissions)}"]

    fuzzed = subprocess.run(
        [str(PROGRAM.parent / "st"), "run", *arguments],
        cwd=tmp_path,
        env=clean_environment(None),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert fuzzed.returncode == 0, fuzzed.stdout[-6000:]
    assert "request failed" not in process.output
