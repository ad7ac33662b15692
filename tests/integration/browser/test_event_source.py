"""EventSource of a real browser, on a page of another origin: what docs/channels.md shows is what it runs."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.http.services import Caller, bearer
from tests.integration.browser.web_app import Report, web_app
from tests.integration.cli.conftest import installed, on
from tests.integration.postgres.sessions import session, superuser_of
from tests.processes.chromium import chromium
from tests.processes.installations import Installation
from tests.processes.service import Process
from tests.unit.behaviours.test_http_channels import a_channel, listed, sent

PAGE = Path(__file__).parents[3] / "docs" / "channels.md"
MOST_STREAMS = 10
FOLLOWING = """
const shown = new Map();
const tell = () => report("shown", [...shown.values()]);
const page = {
  clear: () => shown.clear(),
  show: (message) => { shown.set(message.message_id, message.body); tell(); },
  hide: (deleted) => { shown.set(deleted.message_id, null); tell(); },
  closed: () => report("gave up"),
};
"""


def following(address: str, channel: str) -> str:
    """Return the script of a page that follows a channel as the documentation says."""
    shown = re.search(r"```js\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    token = bearer("ada").removeprefix("Bearer ")
    return f"{shown[1]}{FOLLOWING}follow({address!r}, {channel!r}, {token!r}, page);"


def has(name: str, **data: Any) -> Callable[[list[Report]], bool]:
    """Return whether an event of a name was reported, with these data among others."""
    return lambda reports: any(each.name == name and data.items() <= (each.data or {}).items() for each in reports)


def bodies(reports: list[Report]) -> list[str | None]:
    """Return the texts that the stream brought."""
    return [each.data["body"] for each in reports if each.name == "message"]


async def test_it_survives_a_busy_answer_a_restart_and_a_database_of_another_past(
    anyone: Caller, owner_dsn: str, server: tuple[str, str]
) -> None:
    owner = anyone.named("owner")
    channel = await a_channel(owner, "ada")
    secret = await sent(owner, channel, "secret")
    path = f"/api/channels/{channel}/stream"
    with web_app() as app, installed({**on(owner_dsn), "TALLYSTICK_ALLOWED_ORIGINS": app.origin}) as installation:
        first = installation.serve(TALLYSTICK_RATE_LIMITS=f"stream={1 + MOST_STREAMS}/hour")
        address, port = first.address, str(urlsplit(first.address).port)
        app.script = following(address, channel)
        with chromium(app.origin):
            app.until(has("ready", head=3))
            await sent(owner, channel, "live")
            await owner.call("DELETE", f"/api/messages/{secret['message_id']}")
            app.until(has("message_deleted"))

            with ExitStack() as others:
                for _ in range(MOST_STREAMS):
                    others.enter_context(open_stream(first, path))
                app.until(has("bye", reason="too_many_streams"))
                app.until(has("bye", reason="busy"))
            await sent(owner, channel, "while it was busy")
            assert first.end() == 0, first.output

            last = await sent(owner, channel, "while it was stopped")
            second = installation.serve("--port", port)
            before = app.until(has("message", seq=last["seq"]))

            second.end(signal.SIGKILL)
            async with session(superuser_of(server, owner_dsn)) as database:  # as a backup that was restored
                for table in ("messages WHERE channel_id", "topic_events WHERE topic_id"):
                    await database.execute(f"DELETE FROM tallystick.{table} = $1 AND seq > 5", channel)
                await database.execute("UPDATE tallystick.topics SET head = 5 WHERE topic_id = $1", channel)
            for number in range(3):
                await sent(owner, channel, f"of another past {number}")
            installation.serve("--port", port)
            reset = {"topic_id": channel, "reason": "forked", "head": 8}
            app.until(has("reset", **reset))
            app.until(has("ready", head=8))
            final = await sent(owner, channel, "live again")
            app.until(has("message", seq=final["seq"]))
            wanted = [item["body"] for item in (await listed(owner, channel, after=0))["items"]]
            reports = app.until(lambda reports: shown(reports) == wanted)

    assert bodies(before) == ["live", "while it was busy", "while it was stopped"]
    assert bodies(reports[len(before) :]) == ["live again"]
    assert [each.data for each in reports if each.name == "reset"] == [reset]
    assert not has("gave up")(reports)
    assert not has("failed")(reports)


def test_it_gives_up_where_the_user_may_not_read_and_where_the_page_is_of_an_unknown_origin(
    installation: Installation,
) -> None:
    with web_app() as app, web_app() as stranger:
        server = installation.serve("--store", "memory", TALLYSTICK_ALLOWED_ORIGINS=app.origin)
        with httpx2.Client(base_url=server.address, headers=bearer_of(installation, "ada")) as ada:
            channel = ada.post("/api/channels", json={"name": "chess"}).json()["channel_id"]
            cookie = ada.post("/api/streams/session").headers["set-cookie"]
        own, unknown = (f"{server.address}/api/channels/{name}/stream" for name in (channel, "unknown"))
        script = f"""(async () => {{
            const headers = {json.dumps(bearer_of(installation, "ada"))};
            const options = {{method: "POST", credentials: "include", headers}};
            await fetch("{server.address}/api/streams/session", options).catch(() => report("not allowed"));
            for (const [url, withCredentials] of [["{own}", false], ["{unknown}", true], ["{own}", true]]) {{
                const source = new EventSource(url, {{withCredentials}});
                await new Promise((over) => {{ source.onerror = source.onopen = over; }});
            }}
        }})();"""
        stranger.script = script
        app.script = f"{script}document.write('<iframe src={stranger.origin}></iframe>');"
        with chromium(app.origin):
            reports = app.until(has("ready", head=1))
            refused = stranger.until(lambda reports: len(reports) == 4)

    assert "samesite=lax" in cookie.lower()
    assert [each.name for each in reports] == ["closed", "closed", "open", "ready"]
    assert [each.name for each in refused] == ["not allowed", "closed", "closed", "closed"]


def bearer_of(installation: Installation, user: str) -> dict[str, str]:
    """Return the headers of a user of an installation."""
    return {"authorization": f"Bearer {installation.token(user)}"}


@contextmanager
def open_stream(server: Process, path: str) -> Iterator[None]:
    """Keep a stream of ada open that nobody reads beyond `ready`."""
    place = urlsplit(server.address)
    with closing(HTTPConnection(str(place.hostname), int(place.port or 0))) as connection:
        connection.request("GET", path, headers={"authorization": bearer("ada")})
        stream = connection.getresponse()
        while not stream.readline().startswith(b"event: ready"):
            pass
        yield


def shown(reports: list[Report]) -> list[str | None]:
    """Return the texts that the page shows."""
    newest: list[str | None] = [each.data for each in reports if each.name == "shown"][-1]
    return newest
