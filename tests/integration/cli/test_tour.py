"""The README's tour, run as it stands but for the port: from an empty directory to a recorded attribution."""

import re
import socket
import subprocess
from pathlib import Path

from tests.processes.service import PROGRAM, clean_environment

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
TOUR = re.compile(r"<!-- tour: .*?-->(.*?)<!-- end of the tour -->", re.DOTALL)
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
INSTALLED = ("make runtime\n", 'export PATH="$PWD/.venv/bin:$PATH"\n')


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def commands() -> str:
    """Return the tour's commands, for an environment that is made already."""
    found = TOUR.search(README)
    assert found is not None
    script = "".join(BLOCK.findall(found[1]))
    for line in INSTALLED:
        assert line in script
        script = script.replace(line, "")
    return script


def tour() -> str:
    """Return the tour's commands on a port of its own."""
    script = commands()
    port = free_port()
    for plain, ported in (
        ("tallystick serve --port 8017 &", f"tallystick serve --port {port} &"),
        ("HOST=http://127.0.0.1:8017", f"HOST=http://127.0.0.1:{port}"),
    ):
        assert plain in script
        script = script.replace(plain, ported)
    return script


def test_the_tour_leads_where_it_says(tmp_path: Path) -> None:
    environment = clean_environment({"PATH": f"{PROGRAM.parent}:/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(tmp_path)})

    walked = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", tour()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert walked.returncode == 0, walked.stdout + walked.stderr
    code = re.findall(r'"referral_code":"([^"]+)"', walked.stdout)[0]
    assert f"ref={code}" in walked.stdout
    said = [
        '"pending":false',
        f'{{"code":"{code}"',
        '"valid":true',
        '"attribution":"recorded"',
        '"attribution":"kept"',
        f'"alias":"{code}"',
        '"valid":true',
        '"referrals":1',
    ]
    place = 0
    for words in said:
        assert words in walked.stdout[place:], words
        place = walked.stdout.index(words, place) + 1
