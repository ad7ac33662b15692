"""The README's tour as it stands, while another server of this machine listens on the default port."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.integration.cli.test_tour import commands, free_port
from tests.processes.service import PROGRAM, clean_environment

_OWN_NETWORK = ("unshare", "--net", "--map-current-user", "--keep-caps")
_LOOPBACK_UP = "ip link set lo up"
_BESIDE = """
$OPENING
cd "$OTHER"
tallystick serve --port "$PORT" > log 2>&1 &
BESIDE=$!
trap 'kill $BESIDE; wait' EXIT
until tallystick probe "http://127.0.0.1:$PORT"; do sleep 0.2; done
cd "$START"
bash -euo pipefail -c "$TOUR" > walked 2>&1
cd "$OTHER"
CODE=$(sed -n 's/.*"referral_code":"\\([^"]*\\)".*/\\1/p' "$START/walked" | head -1)
curl -s "http://127.0.0.1:$PORT/api/referral/resolve?code=$CODE" > resolved
curl -s -H "Authorization: Bearer $(tallystick token --sub ada)" "http://127.0.0.1:$PORT/api/me" > me
"""


class Network(NamedTuple):
    """Where both servers listen."""

    prefix: Sequence[str]
    """The beginning of a command that runs there."""
    opening: str
    default_port: int
    port_of_the_tour: int


def network() -> Network:
    """Return a network of its own, with the ports that the README means; two free ports where none can be made."""
    if all(map(shutil.which, ("unshare", "ip"))):
        made = subprocess.run([*_OWN_NETWORK, "bash", "-c", _LOOPBACK_UP], capture_output=True, check=False)
        if made.returncode == 0:
            return Network(_OWN_NETWORK, _LOOPBACK_UP, 8000, 8017)
    return Network((), ":", free_port(), free_port())


def test_the_tour_leads_where_it_says_beside_a_server_on_the_default_port(tmp_path: Path) -> None:
    other, start, temporary = folders = [tmp_path / name for name in ("other", "start", "tmp")]
    for folder in folders:
        folder.mkdir()
    place = network()
    environment = {
        "PATH": f"{PROGRAM.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TMPDIR": str(temporary),
        "OTHER": str(other),
        "START": str(start),
        "PORT": str(place.default_port),
        "TOUR": commands().replace("8017", str(place.port_of_the_tour)),
    }

    ran = subprocess.Popen(
        [*place.prefix, "bash", "-euo", "pipefail", "-c", _BESIDE.replace("$OPENING", place.opening)],
        cwd=tmp_path,
        env=clean_environment(environment),
        start_new_session=True,
    )
    try:
        status = ran.wait(120)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(ran.pid, signal.SIGTERM)  # a tour that failed leaves its server behind

    walked = (start / "walked").read_text(encoding="utf-8")
    assert status == 0, walked + (other / "log").read_text(encoding="utf-8")
    for words in ('"attribution":"recorded"', '"attribution":"kept"', '"referrals":1'):
        assert words in walked
    # The server beside it was asked for nothing, and only the two that served made a data directory.
    assert '"valid":false' in (other / "resolved").read_text(encoding="utf-8")
    assert '"USER_NOT_FOUND"' in (other / "me").read_text(encoding="utf-8")
    made = {folder.parent for folder in tmp_path.rglob(".tallystick")}
    assert made == {other, *temporary.glob("tmp.*")}
    assert len(made) == 2
