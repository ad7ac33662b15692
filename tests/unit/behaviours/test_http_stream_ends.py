"""Streams over HTTP end with the session of their caller, and do not begin while the database cannot answer."""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest
from httpx2 import Response

from tallystick.adapters.telemetry.store_calls import MeasuredTransactions
from tallystick.application.stream_hub import StreamLimits
from tallystick.application.transactions import StoreUnavailable
from tests.http.event_streams import streaming
from tests.http.services import BASE_URL, Caller, Serve
from tests.unit.behaviours.test_http_channels import a_channel
from tests.unit.behaviours.test_http_sign_in import PASSWORD, by_cookie, by_token, sign_in, signed_up

Headers = dict[str, Any]


async def signs_out(anyone: Caller, answer: Response) -> Response:
    return await anyone.post("/api/auth/sign-out", headers={**by_cookie(answer), "origin": BASE_URL})


async def signs_out_elsewhere(anyone: Caller, _: Response) -> Response:
    other = by_token(await sign_in(anyone, "ada@example.org"))
    return await anyone.post("/api/auth/sign-out", {"everywhere": True}, headers=other)


async def changes_the_password_elsewhere(anyone: Caller, _: Response) -> Response:
    other = by_token(await sign_in(anyone, "ada@example.org"))
    return await anyone.post("/api/auth/password", {"current": PASSWORD, "new": "another good password"}, headers=other)


async def session_cookie(_: Caller, answer: Response) -> Headers:
    return by_cookie(answer)


async def stream_cookie(anyone: Caller, answer: Response) -> Headers:
    given = await anyone.post("/api/streams/session", headers=by_token(answer))
    return {"cookie": given.headers["set-cookie"].partition(";")[0]}


class TestEndedSessions:
    @pytest.fixture
    async def beating(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Caller:
        """Return a caller of a service whose streams have a heartbeat at once."""
        limits = StreamLimits(heartbeat_seconds=0.01)
        monkeypatch.setattr(StreamLimits, "within", lambda _: limits)
        return await serve()

    @pytest.mark.parametrize("form", [session_cookie, stream_cookie])
    @pytest.mark.parametrize("ends", [signs_out, signs_out_elsewhere, changes_the_password_elsewhere])
    async def test_a_session_that_ends_ends_its_streams(
        self,
        beating: Caller,
        ends: Callable[[Caller, Response], Awaitable[Response]],
        form: Callable[[Caller, Response], Awaitable[Headers]],
    ) -> None:
        await signed_up(beating, "ada")
        answer = await sign_in(beating, "ada@example.org")
        headers = await form(beating, answer)
        channel = await a_channel(beating.named("ada"))

        async with streaming(beating, f"/api/channels/{channel}/stream", headers) as stream:
            assert (await stream.next()).name == "ready"
            assert (await stream.next()).name == "head"
            assert (await ends(beating, answer)).status_code == 200
            *_, bye, _ = await stream.until("closed")

        assert (bye.name, bye.data) == ("bye", {"reason": "signed_out"})


class TestFailingDatabase:
    @pytest.mark.parametrize("path", ["/api/channels/{0}/stream", "/api/streams?topic={0}", "/api/overlays/stream"])
    async def test_a_stream_that_cannot_begin_ends_at_once_for_tokens_and_sessions(
        self, anyone: Caller, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        await signed_up(anyone, "ada")
        session = by_cookie(await sign_in(anyone, "ada@example.org"))
        ada = anyone.named("ada")
        target = path.format(await a_channel(ada))

        def fails(_: MeasuredTransactions) -> NoReturn:
            raise StoreUnavailable

        monkeypatch.setattr(MeasuredTransactions, "reading", fails)

        for caller, headers in ((ada, {}), (anyone, session)):
            async with streaming(caller, target, headers) as stream:
                events = await stream.until("closed")
            assert (stream.status, stream.retry_ms >= 2000) == (200, True)
            assert [(event.name, event.data) for event in events] == [("bye", {"reason": "busy"}), ("closed", {})]
        assert (await ada.get("/api/channels")).status_code == 503
