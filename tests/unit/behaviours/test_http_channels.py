"""The routes of channels and messages as clients see them."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.http.services import Caller
from tests.http.wallets import UTC_TIME, UUID, is_replay_of, said


async def a_channel(owner: Caller, *members: str) -> str:
    """Return the id of a channel with these members beside its owner."""
    channel_id: str = (await owner.post("/api/channels", {"name": "a channel"})).json()["channel_id"]
    for member in members:
        await owner.call("PUT", f"/api/channels/{channel_id}/members/{member}", body={"role": "member"})
    return channel_id


async def sent(caller: Caller, channel_id: str, body: str = "hello", **more: Any) -> dict[str, Any]:
    """Send a message, and return it."""
    answer = await caller.post("/api/messages/send", {"channel_id": channel_id, "body": body, **more})
    assert answer.status_code == 201, answer.text
    message: dict[str, Any] = answer.json()
    return message


async def listed(caller: Caller, channel_id: str, **query: object) -> dict[str, Any]:
    """Return a page of messages."""
    given = "".join(f"&{name}={quote(str(value))}" for name, value in query.items())
    answer = await caller.get(f"/api/messages/list?channel_id={channel_id}{given}")
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


class TestChannelRoutes:
    async def test_a_channel_is_made_by_its_owner(self, anyone: Caller) -> None:
        ada = anyone.named("ada")

        made = await ada.post("/api/channels", {"name": "chess"}, key="k1")
        again = await ada.post("/api/channels", {"name": "chess"}, key="k1")

        channel = made.json()
        assert made.status_code == 201
        assert is_replay_of(made, again)
        assert UUID.match(channel["channel_id"])
        assert UTC_TIME.match(channel["created_at"])
        assert channel == {
            "channel_id": channel["channel_id"],
            "name": "chess",
            "owner_id": "ada",
            "head": 1,
            "created_at": channel["created_at"],
        }
        assert (await ada.get("/api/channels")).json() == {
            "items": [{**channel, "role": "owner", "read_seq": 1, "unread": 0}],
            "next_cursor": None,
        }

    async def test_channels_and_members_come_in_pages(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        made = [await a_channel(ada, "bob", "cid") for _ in range(3)]

        first = (await ada.get("/api/channels?limit=2")).json()
        rest = (await ada.get(f"/api/channels?limit=2&cursor={first['next_cursor']}")).json()
        path = f"/api/channels/{made[0]}/members?limit=2"
        members = (await ada.get(path)).json()
        others = (await ada.get(f"{path}&cursor={members['next_cursor']}")).json()
        foreign = await ada.get(f"/api/channels/{made[1]}/members?cursor={members['next_cursor']}")

        found = [item["channel_id"] for item in (*first["items"], *rest["items"])]
        assert (sorted(found), rest["next_cursor"]) == (sorted(made), None)
        assert [m["user_id"] for m in (*members["items"], *others["items"])] == ["ada", "bob", "cid"]
        assert said(foreign) == [(400, "INVALID_REQUEST")]

    async def test_owners_place_and_remove_members(self, anyone: Caller) -> None:
        ada, bob = anyone.named("ada"), anyone.named("bob")
        path = f"/api/channels/{await a_channel(ada)}/members/bob"

        placed = await ada.call("PUT", path, body={"role": "member"})
        removed = await ada.call("DELETE", path, headers={"Idempotency-Key": "k1"})
        replayed = await ada.call("DELETE", path, headers={"Idempotency-Key": "k1"})
        again = await ada.call("DELETE", path)
        by_bob = await bob.call("PUT", path, body={"role": "owner"})
        by_eve = await anyone.named("eve").call("PUT", path, body={"role": "owner"})

        assert placed.json() == {"user_id": "bob", "role": "member", "joined_seq": 2, "left_seq": None}
        assert removed.json() == {"user_id": "bob", "role": "member", "joined_seq": 2, "left_seq": 3}
        assert is_replay_of(removed, replayed)
        assert said(again, by_bob, by_eve) == [
            (404, "MEMBER_NOT_FOUND"),
            (403, "NOT_A_MEMBER"),
            (404, "CHANNEL_NOT_FOUND"),
        ]

    async def test_the_last_owner_stays_and_members_change_no_one(self, anyone: Caller) -> None:
        ada, bob = anyone.named("ada"), anyone.named("bob")
        members = f"/api/channels/{await a_channel(ada, 'bob')}/members"

        answers = [
            await ada.call("DELETE", f"{members}/ada"),
            await bob.call("DELETE", f"{members}/ada"),
            await bob.call("PUT", f"{members}/bob", body={"role": "owner"}),
        ]

        assert said(*answers) == [(409, "LAST_OWNER"), (403, "NOT_AN_OWNER"), (403, "NOT_AN_OWNER")]

    async def test_the_read_marker_moves_the_number_of_unread_messages(self, anyone: Caller) -> None:
        ada, bob = anyone.named("ada"), anyone.named("bob")
        channel_id = await a_channel(ada, "bob")
        messages = [await sent(ada, channel_id) for _ in range(3)]
        before = (await bob.get("/api/channels")).json()["items"][0]

        marked = await bob.call("PUT", f"/api/channels/{channel_id}/read", body={"seq": messages[1]["seq"]})

        after = (await bob.get("/api/channels")).json()["items"][0]
        assert marked.json() == {"channel_id": channel_id, "read_seq": messages[1]["seq"]}
        assert (before["unread"], after["unread"], after["head"]) == (3, 1, messages[2]["seq"])


class TestMessageRoutes:
    async def test_a_message_is_sent_and_read_by_members(self, anyone: Caller) -> None:
        ada, bob = anyone.named("ada"), anyone.named("bob")
        channel_id = await a_channel(ada, "bob")

        message = await sent(ada, channel_id, "hello\nthere")

        assert UUID.match(message["message_id"])
        assert message == {
            "message_id": message["message_id"],
            "channel_id": channel_id,
            "seq": 3,
            "sender_id": "ada",
            "body": "hello\nthere",
            "created_at": message["created_at"],
            "deleted_at": None,
        }
        assert await listed(bob, channel_id) == {"items": [message], "next_cursor": None, "head": 3}

    async def test_the_same_client_message_id_is_the_first_message_for_ever(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel_id = await a_channel(ada)
        first = await sent(ada, channel_id, "one", client_message_id="m1")

        assert await sent(ada, channel_id, "two", client_message_id="m1") == first
        assert len((await listed(ada, channel_id))["items"]) == 1

    async def test_pages_go_down_by_cursor_and_up_behind_a_number(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel_id = await a_channel(ada)
        messages = [await sent(ada, channel_id, f"{n}") for n in range(5)]

        down = await listed(ada, channel_id, limit=3)
        further = await listed(ada, channel_id, limit=3, cursor=down["next_cursor"])
        up = await listed(ada, channel_id, limit=2, after=messages[0]["seq"])
        higher = await listed(ada, channel_id, limit=2, cursor=up["next_cursor"])

        assert [*down["items"], *further["items"]] == messages[::-1]
        assert [*up["items"], *higher["items"]] == messages[1:]
        assert (further["next_cursor"], higher["next_cursor"]) == (None, None)
        assert {page["head"] for page in (down, further, up, higher)} == {messages[-1]["seq"]}

    async def test_numbers_and_limits_beyond_everything_are_the_nearest_that_there_are(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel_id = await a_channel(ada)
        message = await sent(ada, channel_id)

        assert (await listed(ada, channel_id, after=-(10**30)))["items"] == [message]
        assert (await listed(ada, channel_id, after=10**30))["items"] == []
        assert (await listed(ada, channel_id, limit=0))["items"] == [message]
        assert (await listed(ada, channel_id, limit=10**9))["items"] == [message]

    async def test_since_takes_a_time_with_its_zone(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel_id = await a_channel(ada)
        message = await sent(ada, channel_id)

        assert (await listed(ada, channel_id, since=message["created_at"]))["items"] == []
        assert (await listed(ada, channel_id, since="2020-01-01T00:00:00+02:00"))["items"] == [message]
        for time in ("2020-01-01T00:00:00", "yesterday", "0001-01-01T00:00:00Z", ""):
            answer = await ada.get(f"/api/messages/list?channel_id={channel_id}&since={quote(time)}")
            assert said(answer) == [(400, "INVALID_REQUEST")]
            assert "2030-01-31T12:00:00Z" in answer.json()["errors"][0]["message"]

    @pytest.mark.parametrize("name", ["", "   ", "\u3000", "a\u202egnp.b", "a\u2066b", "a\x07b", "\u200d"])
    async def test_a_name_that_cannot_be_seen_makes_no_channel(self, anyone: Caller, name: str) -> None:
        ada = anyone.named("ada")

        answer = await ada.post("/api/channels", {"name": name})

        assert said(answer) == [(400, "INVALID_REQUEST")]
        (fault,) = answer.json()["errors"]
        assert fault["pointer"] == "/name"
        assert "a name of 1 to 200 characters, more than spaces" in fault["message"]
        assert (await ada.get("/api/channels")).json()["items"] == []

    @pytest.mark.parametrize(
        ("body", "refusal"),
        [
            ({"body": ""}, (422, "MESSAGE_LENGTH")),
            ({"body": " \n\t"}, (422, "MESSAGE_LENGTH")),
            ({"body": "x" * 4001}, (422, "MESSAGE_LENGTH")),
            ({"body": 5}, (400, "INVALID_REQUEST")),
            ({}, (400, "INVALID_REQUEST")),
            ({"body": "x", "channel_id": "nothing"}, (404, "CHANNEL_NOT_FOUND")),
            ({"body": "x", "channel_id": ""}, (400, "INVALID_REQUEST")),
            ({"body": "x", "client_message_id": "with a space"}, (400, "INVALID_REQUEST")),
            ({"body": "x", "client_message_id": "x" * 129}, (400, "INVALID_REQUEST")),
            ({"body": "x", "sender_id": "bob"}, (400, "INVALID_REQUEST")),
        ],
    )
    async def test_a_bad_message_is_refused_and_not_stored(
        self, anyone: Caller, body: dict[str, Any], refusal: tuple[int, str]
    ) -> None:
        ada = anyone.named("ada")
        channel_id = await a_channel(ada)

        answer = await ada.post("/api/messages/send", {"channel_id": channel_id, **body})

        assert said(answer) == [refusal]
        assert await listed(ada, channel_id) == {"items": [], "next_cursor": None, "head": 1}

    async def test_a_deleted_message_is_a_tombstone_for_everybody(self, anyone: Caller) -> None:
        ada, bob = anyone.named("ada"), anyone.named("bob")
        channel_id = await a_channel(ada, "bob")
        message = await sent(ada, channel_id, "secret")
        path = f"/api/messages/{message['message_id']}"
        assert said(await bob.call("DELETE", path)) == [(403, "NOT_YOUR_MESSAGE")]

        gone = await ada.call("DELETE", path)

        tombstone = gone.json()
        assert tombstone == {**message, "body": None, "deleted_at": tombstone["deleted_at"]}
        assert (await ada.call("DELETE", path)).json() == tombstone
        assert await listed(bob, channel_id) == {"items": [tombstone], "next_cursor": None, "head": message["seq"] + 1}
