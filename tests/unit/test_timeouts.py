"""A test that never ends."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HANGS = """
import threading

def test_it_hangs():
    threading.Event().wait()
"""


def test_the_time_of_every_test_is_bounded(request: pytest.FixtureRequest) -> None:
    assert 0 < float(request.config.getini("timeout")) <= 300


def test_a_test_that_hangs_fails_with_the_stack_where_it_hangs(tmp_path: Path) -> None:
    hangs = tmp_path / "test_hangs.py"
    hangs.write_text(HANGS, encoding="utf-8")

    options = f"--rootdir {tmp_path} -c {ROOT / 'pyproject.toml'} -q -p no:cacheprovider --override-ini timeout=1"
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options.split(), str(hangs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Timeout (>1.0s)" in ended.stdout
    assert "threading.Event().wait()" in ended.stdout
