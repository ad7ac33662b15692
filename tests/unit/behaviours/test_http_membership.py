"""Every route of a channel refuses strangers, former members and callers without a token."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.http.services import Caller
from tests.http.wallets import said
from tests.unit.behaviours.test_http_channels import a_channel, sent

NO_TOKEN, FORMER = (401, "UNAUTHENTICATED"), (403, "NOT_A_MEMBER")
NO_CHANNEL, NO_MESSAGE = (404, "CHANNEL_NOT_FOUND"), (404, "MESSAGE_NOT_FOUND")


class Route(NamedTuple):
    """A route of a channel, and the query and body of a request to it."""

    method: str
    path: str
    query: str = ""
    body: Mapping[str, Any] | None = None
    unknown: tuple[int, str] = NO_CHANNEL

    async def asked(self, caller: Caller, channel_id: str, message_id: str) -> tuple[int, str]:
        """Return the answer that a caller gets about a channel and a message in it."""
        ids = {"channel_id": channel_id, "message_id": message_id, "user_id": "bob"}
        body = None if self.body is None else {name: ids.get(name, value) for name, value in self.body.items()}
        (answer,) = said(await caller.call(self.method, f"{self.path}{self.query}".format(**ids), body=body))
        return answer


ROUTES = (
    Route("GET", "/api/channels/{channel_id}/members"),
    Route("PUT", "/api/channels/{channel_id}/members/{user_id}", body={"role": "owner"}),
    Route("DELETE", "/api/channels/{channel_id}/members/{user_id}"),
    Route("PUT", "/api/channels/{channel_id}/read", body={"seq": 1}),
    Route("GET", "/api/channels/{channel_id}/stream"),
    Route("GET", "/api/streams", "?topic={channel_id}"),
    Route("GET", "/api/messages/list", "?channel_id={channel_id}"),
    Route("POST", "/api/messages/send", body={"channel_id": "", "body": "hello"}),
    Route("DELETE", "/api/messages/{message_id}", unknown=NO_MESSAGE),
)
OF_NO_CHANNEL = {("GET", "/api/channels"), ("POST", "/api/channels"), ("POST", "/api/streams/session")}


class TestMembersOnly:
    @pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
    async def test_a_route_of_a_channel_refuses_everybody_else(self, anyone: Caller, route: Route) -> None:
        ada, bob = anyone.named("ada"), anyone.named("bob")
        channel = await a_channel(ada, "bob")
        message: str = (await sent(bob, channel))["message_id"]
        await ada.call("DELETE", f"/api/channels/{channel}/members/bob")
        before = (await ada.get("/api/channels")).json()

        assert [
            await route.asked(anyone, channel, message),
            await route.asked(anyone, "nothing", "nothing"),
            await route.asked(bob, channel, message),
            await route.asked(anyone.named("eve"), channel, message),
            await route.asked(ada, "nothing", "nothing"),
        ] == [NO_TOKEN, NO_TOKEN, FORMER, route.unknown, route.unknown]
        assert (await ada.get("/api/channels")).json() == before

    async def test_every_route_of_channels_messages_and_streams_is_asked(self, anyone: Caller) -> None:
        document = (await anyone.get("/schema/openapi.json")).json()

        served = {
            (method.upper(), path)
            for path, operations in document["paths"].items()
            for method in operations
            if path.startswith(("/api/channels", "/api/messages", "/api/streams"))
        }
        assert served == {(route.method, route.path) for route in ROUTES} | OF_NO_CHANNEL
