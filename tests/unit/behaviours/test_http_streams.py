"""Streams over HTTP: server-sent events, resumed by their ids, for browsers that send no headers too."""

from http.cookies import SimpleCookie

import pytest

from tests.http.event_streams import streaming
from tests.http.services import Caller, Serve
from tests.http.wallets import said
from tests.unit.behaviours.test_http_channels import a_channel, sent


class TestStreamRoutes:
    async def test_members_receive_what_is_sent_behind_ready(self, anyone: Caller) -> None:
        ada, bob = anyone.named("ada"), anyone.named("bob")
        channel = await a_channel(ada, "bob")

        async with streaming(bob, f"/api/channels/{channel}/stream") as stream:
            ready = await stream.next()
            message = await sent(ada, channel, "hello\nthere")
            received = await stream.next()

        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert stream.headers["cache-control"] == "no-store, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert 2000 <= stream.retry_ms < 5000
        assert (ready.name, ready.data["head"], ready.data["heads"]) == ("ready", 2, {channel: 2})
        assert (received.name, received.data) == ("message", message)
        assert received.position is not None
        assert received.position.startswith("3-")

    async def test_every_kind_of_event_is_sent_with_its_facts(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel = await a_channel(ada, "bob")
        message = await sent(ada, channel)
        await ada.call("DELETE", f"/api/messages/{message['message_id']}")
        await ada.call("DELETE", f"/api/channels/{channel}/members/bob")

        async with streaming(ada, f"/api/channels/{channel}/stream?after=0") as stream:
            events = await stream.until("ready")

        assert [(event.name, event.data.get("user_id"), event.data.get("role")) for event in events[:2]] == [
            ("member_added", "ada", "owner"),
            ("member_added", "bob", "member"),
        ]
        assert (events[2].name, events[2].data["body"]) == ("message", None)
        assert (events[3].name, events[3].data["message_id"]) == ("message_deleted", message["message_id"])
        assert (events[4].name, events[4].data["user_id"]) == ("member_removed", "bob")

    async def test_the_header_and_the_parameter_mean_the_same_and_the_header_is_newer(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel = await a_channel(ada)
        path = f"/api/channels/{channel}/stream"
        async with streaming(ada, path) as stream:
            await stream.next()
            await sent(ada, channel, "one")
            first = (await stream.next()).position or ""
        await sent(ada, channel, "two")

        for target, headers in (
            (path, {"last-event-id": first}),
            (f"{path}?after={first}", {}),
            (f"{path}?after=0", {"last-event-id": first}),
        ):
            async with streaming(ada, target, headers) as again:
                assert [event.data.get("body") for event in await again.until("ready")] == ["two", None]

    async def test_several_channels_come_over_one_connection(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        one, two = await a_channel(ada), await a_channel(ada)

        async with streaming(ada, f"/api/streams?topic={one}&topic={two}") as stream:
            ready = await stream.next()
            await sent(ada, two, "two")
            received = await stream.next()

        assert "head" not in ready.data
        assert ready.data["heads"] == {one: 1, two: 1}
        assert received.data["channel_id"] == two
        first, _, second = (received.position or "").partition(",")
        assert (first[:2], second[:2]) == ("1-", "2-")

    async def test_an_unknown_id_is_a_reset_without_an_id(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel = await a_channel(ada)

        async with streaming(ada, f"/api/channels/{channel}/stream", {"last-event-id": "7-12345678"}) as stream:
            reset, ready = await stream.until("ready")

        assert (reset.name, reset.position) == ("reset", None)
        assert reset.data == {"topic_id": channel, "reason": "ahead", "head": 1}
        assert ready.position is not None

    async def test_strangers_and_faults_are_refused_as_everywhere(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel = await a_channel(ada, "bob")
        await ada.call("DELETE", f"/api/channels/{channel}/members/bob")
        path = f"/api/channels/{channel}/stream"

        assert said(
            await anyone.get(path),
            await anyone.named("bob").get(path),
            await anyone.named("eve").get(path),
            await ada.get(f"{path}?after=1&after=1"),
            await ada.get("/api/streams"),
            await ada.get("/api/streams?topic=a&topic=a"),
            await ada.get("/api/streams?topic=not%20an%20id"),
            await ada.get("/api/streams?" + "&".join(f"topic=c{number}" for number in range(21))),
            await ada.post(path),
        ) == [
            (401, "UNAUTHENTICATED"),
            (403, "NOT_A_MEMBER"),
            (404, "CHANNEL_NOT_FOUND"),
            *[(400, "INVALID_REQUEST")] * 5,
            (405, "METHOD_NOT_ALLOWED"),
        ]

    async def test_head_answers_at_once(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel = await a_channel(ada)

        for path in (f"/api/channels/{channel}/stream", f"/api/streams?topic={channel}", "/api/overlays/stream"):
            answer = await ada.call("HEAD", path)

            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")

    async def test_one_request_too_many_is_a_stream_that_ends(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="stream=1/hour")
        ada = anyone.named("ada")
        channel = await a_channel(ada)
        async with streaming(ada, f"/api/channels/{channel}/stream") as stream:
            await stream.next()

        async with streaming(ada, f"/api/channels/{channel}/stream") as refused:
            events = await refused.until("closed")

        assert refused.status == 200
        assert [(event.name, event.data) for event in events] == [("bye", {"reason": "busy"}), ("closed", {})]
        assert refused.retry_ms >= 2000

    async def test_a_token_that_ends_ends_the_stream_and_opens_none_in_its_leeway(self, anyone: Caller) -> None:
        channel = await a_channel(anyone.named("ada"))
        path = f"/api/channels/{channel}/stream"

        async with streaming(anyone.named("ada", lifetime_seconds=2), path) as stream:
            *_, bye, _ = await stream.until("closed")
        stale = anyone.named("ada", lifetime_seconds=-1)
        refused = await stale.get(path)

        assert (bye.name, bye.data) == ("bye", {"reason": "token_ended"})
        assert said(refused, await stale.get("/api/streams?topic=nothing")) == [(401, "UNAUTHENTICATED")] * 2
        assert refused.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        assert (await stale.get("/api/channels")).status_code == 200

    async def test_a_server_with_too_many_requests_answers_with_a_stream_that_ends(
        self, anyone: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = anyone.named("ada")
        channel = await a_channel(ada)
        monkeypatch.setattr("tallystick.entrypoints.http.request_boundary.MAX_IN_FLIGHT", 0)

        async with streaming(ada, f"/api/channels/{channel}/stream") as stream:
            events = await stream.until("closed")

        assert (stream.status, stream.retry_ms >= 2000) == (200, True)
        assert [event.data for event in events] == [{"reason": "busy"}, {}]
        assert (await ada.get("/api/channels")).status_code == 503

    async def test_open_streams_are_neither_in_flight_nor_timed(
        self, anyone: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = anyone.named("ada")
        channel = await a_channel(ada)
        monkeypatch.setattr("tallystick.entrypoints.http.request_boundary.MAX_IN_FLIGHT", 1)

        async with streaming(ada, f"/api/channels/{channel}/stream") as stream:
            await stream.next()
            assert "tallystick_open_streams 1.0" in (await anyone.get("/metrics")).text
        assert (await anyone.get("/healthz")).status_code == 200

        measured = (await anyone.get("/metrics")).text
        assert "/api/channels/{channel_id}/stream" not in measured
        assert 'stream_ends_total{reason="client_left"} 1.0' in measured
        assert "tallystick_open_streams 0.0" in measured


class TestStreamSession:
    async def test_the_cookie_reads_streams_and_nothing_else(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel = await a_channel(ada)
        answer = await ada.post("/api/streams/session")
        cookie = answer.headers["set-cookie"].partition(";")[0]
        headers = {"cookie": cookie}

        async with streaming(anyone, f"/api/channels/{channel}/stream", headers) as stream:
            assert (await stream.next()).name == "ready"

        assert answer.status_code == 200
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert said(await anyone.get("/api/channels", headers=headers)) == [(401, "UNAUTHENTICATED")]
        stolen = {"authorization": f"Bearer {cookie.partition('=')[2]}"}
        assert said(await anyone.get("/api/channels", headers=stolen)) == [(401, "UNAUTHENTICATED")]
        forged = {"cookie": f"{cookie[:-2]}xx"}
        refused = await anyone.get(f"/api/channels/{channel}/stream", headers=forged)
        assert said(refused) == [(401, "UNAUTHENTICATED")]

    async def test_the_cookie_ends_with_the_token_that_it_was_given_for(self, anyone: Caller) -> None:
        answer = await anyone.named("ada", lifetime_seconds=60).post("/api/streams/session")
        longer = await anyone.named("ada", lifetime_seconds=7200).post("/api/streams/session")

        ages = [SimpleCookie(each.headers["set-cookie"])["tallystick_stream"]["max-age"] for each in (answer, longer)]
        assert 50 <= int(ages[0]) <= 60
        assert int(ages[1]) == 3600
