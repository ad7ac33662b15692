"""The page about overlays: its requests are sent as they stand there, and its limits are those of the code."""

import json
import re
import shlex
from pathlib import Path

from tallystick.domain.overlays import DEFAULT_TTL_SECONDS, MAX_PAYLOAD_BYTES, MAX_TTL_SECONDS
from tallystick.entrypoints.worker.overlays import LONGEST_SLEEP_SECONDS
from tests.http.services import Serve

PAGE = (Path(__file__).parents[3] / "docs" / "overlays.md").read_text(encoding="utf-8")


async def test_the_requests_of_the_page_are_answered(serve: Serve) -> None:
    caller = (await serve()).named("ada")
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    answers = []

    for command in block.replace("\\\n", "").splitlines():
        words = shlex.split(command)
        (url,) = (word for word in words if word.startswith("localhost:8000"))
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        answers.append(await caller.call(method, url.removeprefix("localhost:8000"), body=body))

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    (shown,) = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    times = {name: shown[name] for name in ("expires_at", "server_time")}
    assert [answer.json() | times for answer in answers[:2]] == [shown, shown]


def test_the_page_states_the_limits() -> None:
    assert f"at most {MAX_PAYLOAD_BYTES:,} bytes" in PAGE
    assert f"1 to {MAX_TTL_SECONDS:,}; {DEFAULT_TTL_SECONDS} if it is missing" in PAGE
    assert "at most five seconds" in PAGE
    assert LONGEST_SLEEP_SECONDS == 5
