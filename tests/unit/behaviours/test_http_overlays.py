"""The routes of overlays as clients see them."""

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from tallystick.domain.overlays import MAX_PAYLOAD_BYTES, MAX_TTL_SECONDS
from tests.http.event_streams import streaming
from tests.http.services import Caller
from tests.http.wallets import said

PATH = "/api/overlays/table:1"
MISSING = object()


async def put(caller: Caller, payload: Any = "hello", *, path: str = PATH, **fields: Any) -> httpx2.Response:
    return await caller.call("PUT", path, body={"payload": payload, **fields})


class TestOverlayRoutes:
    async def test_an_overlay_is_put_read_by_everyone_and_removed(self, anyone: Caller) -> None:
        ada, bob = anyone.named("ada"), anyone.named("bob")
        payload = {"text": "Grüße", "scores": [1, 2.5, None, True, 2**70]}

        first = await put(ada, payload)
        second = await put(ada, payload, ttl_seconds=60)
        read = await bob.get(PATH)
        removed = await ada.call("DELETE", PATH)
        gone = await bob.get(PATH)

        answer = first.json()
        assert list(answer) == ["session_id", "version", "expires_at", "payload", "server_time"]
        assert (answer["session_id"], answer["version"], answer["payload"]) == ("table:1", 1, payload)
        assert timedelta(seconds=299.999) <= lifetime(answer) <= timedelta(seconds=300)
        assert timedelta(seconds=59.999) <= lifetime(second.json()) <= timedelta(seconds=60)
        assert read.json() == {**second.json(), "server_time": read.json()["server_time"]}
        assert (removed.status_code, removed.json()) == (200, {"session_id": "table:1", "version": 2})
        assert said(gone) == [(404, "OVERLAY_NOT_FOUND")]

    @pytest.mark.parametrize("payload", ["", 0, False, [], {}, "x" * (MAX_PAYLOAD_BYTES - 2), "ö" * 8191])
    async def test_every_json_value_up_to_the_bound_is_shown_as_it_is(self, anyone: Caller, payload: Any) -> None:
        ada = anyone.named("ada")

        assert (await put(ada, payload)).json()["payload"] == payload
        assert (await ada.get(PATH)).json()["payload"] == payload

    async def test_a_session_of_another_user_is_refused(self, anyone: Caller) -> None:
        ada, bob, staff = anyone.named("ada"), anyone.named("bob"), anyone.named("staff", "overlays:manage")
        await put(ada)

        assert said(await put(bob), await bob.call("DELETE", PATH)) == [(403, "NOT_YOUR_OVERLAY")] * 2
        assert (await put(staff, "moderated")).json()["version"] == 2
        assert (await staff.call("DELETE", PATH)).status_code == 200
        assert (
            said(await ada.call("DELETE", PATH), await ada.call("DELETE", "/api/overlays/nowhere"))
            == [(404, "OVERLAY_NOT_FOUND")] * 2
        )

    @pytest.mark.parametrize(
        ("change", "at"),
        [
            ({"payload": MISSING}, "/payload"),
            ({"payload": None}, "/payload"),
            ({"payload": "x" * (MAX_PAYLOAD_BYTES - 1)}, "/payload"),
            ({"payload": "ö" * 8192}, "/payload"),
            ({"ttl_seconds": 0}, "/ttl_seconds"),
            ({"ttl_seconds": -1}, "/ttl_seconds"),
            ({"ttl_seconds": MAX_TTL_SECONDS + 1}, "/ttl_seconds"),
            ({"ttl_seconds": 10**40}, "/ttl_seconds"),
            ({"ttl_seconds": True}, "/ttl_seconds"),
            ({"ttl_seconds": 1.5}, "/ttl_seconds"),
            ({"ttl_seconds": "60"}, "/ttl_seconds"),
            ({"ttl_seconds": None}, "/ttl_seconds"),
            ({"version": 2}, "/version"),
        ],
    )
    async def test_a_malformed_overlay_is_refused_at_its_place_and_nothing_is_stored(
        self, anyone: Caller, change: dict[str, Any], at: str
    ) -> None:
        ada = anyone.named("ada")
        body = {name: value for name, value in ({"payload": "hello"} | change).items() if value is not MISSING}

        answer = await ada.call("PUT", PATH, body=body)

        assert said(answer) == [(400, "INVALID_REQUEST")]
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [at]
        assert said(await ada.get(PATH)) == [(404, "OVERLAY_NOT_FOUND")]

    async def test_an_id_that_is_none_is_refused(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        paths = [f"/api/overlays/{text}" for text in ("a%20b", "s" * 129, "%00", "%23", "a%2Fb", "%2E", "%2e%2E")]

        answers = [answer for path in paths for answer in (await put(ada, path=path), await ada.get(path))]

        assert {answer.status_code for answer in answers} <= {400, 404}
        assert said(*answers[-4:]) == [(400, "INVALID_REQUEST")] * 4
        assert "other than . and .." in answers[-1].json()["errors"][0]["message"]
        assert (await put(ada, path="/api/overlays/...")).status_code == 200
        assert said(await put(ada, path="/api/overlays/stream")) == [(405, "METHOD_NOT_ALLOWED")]
        assert said(await anyone.get(PATH), await put(anyone)) == [(401, "UNAUTHENTICATED")] * 2

    async def test_a_body_above_the_bound_of_all_bodies_is_refused(self, anyone: Caller) -> None:
        assert said(await put(anyone.named("ada"), "x" * 70_000)) == [(413, "BODY_TOO_LARGE")]


class TestOverlayStream:
    @pytest.mark.parametrize("path", ["/api/overlays/stream", "/api/streams?topic=overlays"])
    async def test_every_user_receives_what_begins_and_ends(self, anyone: Caller, path: str) -> None:
        ada = anyone.named("ada")
        async with streaming(anyone.named("bob"), path) as stream:
            ready = await stream.next()
            first = (await put(ada, {"text": "one"})).json()
            shown = await stream.next()
            second = (await put(ada, "two")).json()
            updated = await stream.next()
            await ada.call("DELETE", PATH)
            removed = await stream.next()

        assert (ready.name, ready.data["heads"]) == ("ready", {"overlays": 0})
        assert (shown.name, updated.name, removed.name) == ("overlay_shown", "overlay_updated", "overlay_removed")
        assert shown.data == {
            "session_id": "table:1",
            "seq": 1,
            "created_at": shown.data["created_at"],
            "version": 1,
            "ended_version": None,
            "expires_at": first["expires_at"],
            "payload": {"text": "one"},
            "server_time": shown.data["server_time"],
        }
        assert timedelta(0) <= lifetime(shown.data) <= timedelta(seconds=300)
        assert (updated.data["ended_version"], updated.data["version"]) == (1, 2)
        assert (updated.data["payload"], updated.data["expires_at"]) == ("two", second["expires_at"])
        assert removed.data == {
            "session_id": "table:1",
            "seq": 3,
            "created_at": removed.data["created_at"],
            "ended_version": 2,
        }

    async def test_a_replay_shows_no_payload_of_a_version_that_has_ended(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        await put(ada, "one")
        await put(ada, "two")
        await put(ada, "gone", path="/api/overlays/other")
        await ada.call("DELETE", "/api/overlays/other")

        async with streaming(ada, "/api/overlays/stream?after=0") as stream:
            events = await stream.until("ready")

        assert [(event.name, event.data.get("payload")) for event in events[:-1]] == [
            ("overlay_shown", None),
            ("overlay_updated", "two"),
            ("overlay_shown", None),
            ("overlay_removed", None),
        ]
        assert events[0].data["server_time"] is None

    async def test_a_stream_is_resumed_by_its_id(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        async with streaming(ada, "/api/overlays/stream") as stream:
            await stream.next()
            await put(ada, "one")
            last = (await stream.next()).position or ""
        await put(ada, "two")

        async with streaming(ada, "/api/overlays/stream", {"last-event-id": last}) as again:
            events = await again.until("ready")
        async with streaming(ada, "/api/overlays/stream?after=9") as ahead:
            reset = await ahead.next()

        assert [(event.name, event.data.get("payload")) for event in events[:-1]] == [("overlay_updated", "two")]
        assert (reset.name, reset.data) == ("reset", {"topic_id": "overlays", "reason": "ahead", "head": 2})

    async def test_channels_and_overlays_come_over_one_connection(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel = (await ada.post("/api/channels", {"name": "a channel"})).json()["channel_id"]

        async with streaming(ada, f"/api/streams?topic={channel}&topic=overlays") as stream:
            ready = await stream.next()
            await put(ada)
            shown = await stream.next()

        assert ready.data["heads"] == {channel: 1, "overlays": 0}
        assert (shown.position or "").partition(",")[2].startswith("1-")
        assert said(await anyone.named("bob").get(f"/api/streams?topic=overlays&topic={channel}")) == [
            (404, "CHANNEL_NOT_FOUND")
        ]


def lifetime(answer: dict[str, Any]) -> timedelta:
    """Return how long an overlay is still shown, by the clock of the server."""
    return datetime.fromisoformat(answer["expires_at"]) - datetime.fromisoformat(answer["server_time"])
