"""`tallystick serve --store memory` needs no database driver."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.processes.service import START_SECONDS, clean_environment

_SERVE = """
import atexit, json, sys
from pathlib import Path
atexit.register(lambda: Path("modules.json").write_text(json.dumps(list(sys.modules))))
from tallystick.entrypoints.cli.main import main
main(["serve", "--store", "memory", "--port", "0"])
"""


def test_a_server_in_memory_imports_nothing_of_postgresql(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        cwd=tmp_path,
        env=clean_environment(None),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            listens = next((found for line in server.stdout if (found := re.search(r"listens on (\S+)", line))), None)
            assert listens is not None
            ready = httpx2.get(f"{listens[1]}/readyz", trust_env=False, timeout=START_SECONDS)
        finally:
            server.terminate()
            server.communicate(timeout=START_SECONDS)

    assert ready.status_code == 200
    modules = json.loads((tmp_path / "modules.json").read_text(encoding="utf-8"))
    assert "tallystick.adapters.memory.transactions" in modules
    assert [name for name in modules if name.startswith(("asyncpg", "tallystick.adapters.postgres"))] == []
