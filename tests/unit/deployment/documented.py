"""The settings that docs/settings.md documents, and the files that deploy the service."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"

_PAGE = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
_ROWS = set(re.findall(r"^\| `([A-Z_]+)` \|", _PAGE, re.MULTILINE))
_SECRETS = set(re.findall(r"^- `([A-Z_]+)`$", _PAGE, re.MULTILINE))
DOCUMENTED = _ROWS | {f"{name}_FILE" for name in _SECRETS}
"""The names of all settings, and of the secrets that can be read from a file."""


def undocumented(names: Iterable[str]) -> set[str]:
    """Return the names that are no setting."""
    return {name for name in names if name.startswith(("TALLYSTICK_", "DATABASE_"))} - DOCUMENTED


def run(program: str, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run a program of the machine or of this environment, which must succeed, and return what it printed."""
    found = shutil.which(program, path=f"{Path(sys.executable).parent}:/usr/sbin:/usr/local/bin:/usr/bin:/bin")
    assert found is not None, f"{program} is missing: .ci/run and `make install` name the packages"
    done = subprocess.run(
        [found, *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/sbin:/usr/bin:/bin", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
