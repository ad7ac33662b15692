"""The page about channels: its requests are sent as they stand there."""

import json
import re
import shlex
from pathlib import Path

from tests.http.services import Serve

PAGE = Path(__file__).parents[3] / "docs" / "channels.md"


async def test_the_requests_of_the_page_are_answered(serve: Serve) -> None:
    caller = (await serve()).named("ada")
    block = re.search(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    channel_id, statuses, bodies = "", [], []

    for command in block[1].replace("\\\n", "").strip().splitlines():
        words = [word.replace("$CHANNEL", channel_id) for word in shlex.split(command)]
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        (url,) = (word for word in words if word.startswith("localhost:8000"))
        answer = await caller.call(method, url.removeprefix("localhost:8000"), body=body)
        statuses.append(answer.status_code)
        bodies.append(answer.json())
        channel_id = bodies[0]["channel_id"]

    assert statuses == [201, 200, 201, 200]
    assert [item["body"] for item in bodies[-1]["items"]] == ["hello"]
