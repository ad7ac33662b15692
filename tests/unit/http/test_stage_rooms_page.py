"""The page about stage rooms: its requests are sent as they stand there, and its limits are those of the code."""

import json
import re
import shlex
from pathlib import Path

from tallystick.domain.stage_rooms import MAX_ROLES, MAX_SLOTS
from tests.http.services import Serve

PAGE = (Path(__file__).parents[3] / "docs" / "stage-rooms.md").read_text(encoding="utf-8")


async def test_the_requests_of_the_page_are_answered(serve: Serve) -> None:
    caller = (await serve()).named("ada")
    commands = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    answers = []

    for command in commands:
        words = shlex.split(command.replace("\\\n", ""))
        (url,) = (word for word in words if word.startswith("localhost:8000"))
        body = json.loads(words[words.index("-d") + 1])
        answers.append(await caller.call("POST", url.removeprefix("localhost:8000"), body=body))

    assert [answer.status_code for answer in answers] == [200, 200]
    shown = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert [answers[0].json() | {"contract_version": "0027"}] == shown


def test_the_page_states_the_limits() -> None:
    assert f"1 to {MAX_ROLES} roles" in PAGE
    assert f"1 to {MAX_SLOTS} slots" in PAGE
    assert f"at most {MAX_SLOTS} slots" in PAGE
