"""The page about channels: its requests are sent as they stand there."""

import json
import re
import shlex
import subprocess
from pathlib import Path

from tests.http.services import Serve

PAGE = Path(__file__).parents[3] / "docs" / "channels.md"
ASSIGNMENT = re.compile(r"(\w+)=\$\((.*)\)")


def piped(text: str, command: str) -> str:
    """Return what a command of the page makes of a text."""
    run = subprocess.run(shlex.split(command), input=text, capture_output=True, text=True, check=True)
    return run.stdout.strip()


async def test_the_requests_of_the_page_are_answered(serve: Serve) -> None:
    caller = (await serve()).named("ada")
    block = re.search(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    set_variables, statuses, bodies = {"TOKEN": ""}, [], []

    token, *commands = block[1].replace("\\\n", "").strip().splitlines()
    assert token == "TOKEN=$(.venv/bin/tallystick token --sub ada)"
    for command in commands:
        assigned = ASSIGNMENT.fullmatch(command)
        request, _, filter_ = (assigned[2] if assigned else command).partition(" | ")
        words = shlex.split(re.sub(r"\$(\w+)", lambda name: set_variables[name[1]], request))
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        (url,) = (word for word in words if word.startswith("localhost:8000"))
        answer = await caller.call(method, url.removeprefix("localhost:8000"), body=body)
        statuses.append(answer.status_code)
        bodies.append(answer.json())
        if assigned:
            set_variables[assigned[1]] = piped(answer.text, filter_)

    assert statuses == [201, 200, 201, 200]
    assert [item["body"] for item in bodies[-1]["items"]] == ["hello"]
