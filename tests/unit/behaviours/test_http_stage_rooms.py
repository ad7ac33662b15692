"""The route of stage rooms as clients see it."""

from typing import Any

import httpx2
import pytest

from tests.http.services import Caller
from tests.http.wallets import is_replay_of, said

PATH = "/api/rank/stage-room-match"
RULES = {"roles": {"captain": {"slots": 1}, "player": {"slots": 4}}}


def slot(role: str, number: int, player: str) -> dict[str, Any]:
    return {"role": role, "slot": number, "player_id": player}


def roster(*slots: dict[str, Any], room: str = "room:1", version: int = 0, rules: Any = RULES) -> dict[str, Any]:
    return {"room_id": room, "roster_version": version, "slots": list(slots), "rules": rules}


def pointers(answer: httpx2.Response) -> list[str]:
    return [fault["pointer"] for fault in answer.json()["errors"]]


class TestStageRoomRoute:
    async def test_a_roster_is_stored_as_a_whole(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        slots = [slot("captain", 1, "ada"), slot("player", 2, "bob")]

        first = await ada.post(PATH, roster(*slots), key="k1")
        again = await ada.post(PATH, roster(*slots), key="k1")
        without_key = await ada.post(PATH, roster(*reversed(slots)))

        answer = first.json()
        assert first.status_code == 200
        assert isinstance(answer["contract_version"], str)
        assert answer == {
            "room_id": "room:1",
            "roster_version": 1,
            "contract_version": answer["contract_version"],
            "slots": slots,
        }
        assert is_replay_of(first, again)
        assert without_key.json() == answer

    async def test_each_refusal_has_its_facts(self, anyone: Caller) -> None:
        ada, captain = anyone.named("ada"), slot("captain", 1, "ada")
        await ada.post(PATH, roster(captain))

        answers = [
            await ada.post(PATH, roster(captain, slot("referee", 1, "bob"), version=1)),
            await ada.post(PATH, roster(slot("captain", 2, "ada"), version=1)),
            await ada.post(PATH, roster(captain, slot("player", 1, "ada"), version=1)),
            await ada.post(PATH, roster(captain, slot("captain", 1, "bob"), version=1)),
            await ada.post(PATH, roster(slot("captain", 1, "bob"))),
            await anyone.named("eve").post(PATH, roster(captain, version=1)),
        ]
        managed = await anyone.named("staff", "rooms:manage").post(PATH, roster(slot("captain", 1, "bob"), version=1))

        assert said(*answers) == [
            (422, "UNKNOWN_ROLE"),
            (422, "SLOTS_EXCEEDED"),
            (422, "PLAYER_TWICE"),
            (422, "SLOT_TAKEN"),
            (409, "ROSTER_STALE"),
            (403, "NOT_YOUR_ROOM"),
        ]
        facts = [answer.json() for answer in answers]
        assert (facts[0]["index"], facts[0]["role"]) == (1, "referee")
        assert (facts[1]["slot"], facts[1]["allowed"]) == (2, 1)
        assert (facts[2]["index"], facts[2]["first_index"], facts[2]["player_id"]) == (1, 0, "ada")
        assert (facts[3]["index"], facts[3]["first_index"], facts[3]["slot"]) == (1, 0, 1)
        assert facts[4]["current_version"] == 1
        assert managed.json()["roster_version"] == 2

    @pytest.mark.parametrize(
        ("change", "at"),
        [
            ({"room_id": ""}, ["/room_id"]),
            ({"room_id": "a room"}, ["/room_id"]),
            ({"room_id": "r" * 129}, ["/room_id"]),
            ({"roster_version": -1}, ["/roster_version"]),
            ({"roster_version": 2**63 - 1}, ["/roster_version"]),
            ({"roster_version": True}, ["/roster_version"]),
            (
                {"slots": [slot("captain", 0, "ada"), slot("captain", 101, "")]},
                ["/slots/0/slot", "/slots/1/player_id", "/slots/1/slot"],
            ),
            ({"slots": [slot("player", 1, "ada")] * 101}, ["/slots"]),
            ({"rules": {}}, ["/rules/roles"]),
            ({"rules": {"roles": {}}}, ["/rules/roles"]),
            ({"rules": {"roles": []}}, ["/rules/roles"]),
            ({"rules": {"roles": {"the captain": {"slots": 1}}}}, ["/rules/roles"]),
            ({"rules": {"roles": {"captain": {"slots": 0}}}}, ["/rules/roles/captain/slots"]),
            ({"rules": {"roles": {"captain": {"slots": 101}}}}, ["/rules/roles/captain/slots"]),
            ({"rules": {"roles": {"captain": 1}}}, ["/rules/roles/captain"]),
            ({"rules": {"roles": {"captain": {"slots": 1, "order": 2}}}}, ["/rules/roles/captain/order"]),
            ({"rules": {"roles": {f"role{n}": {"slots": 1} for n in range(33)}}}, ["/rules/roles"]),
        ],
    )
    async def test_a_malformed_roster_is_refused_at_its_place(
        self, anyone: Caller, change: dict[str, Any], at: list[str]
    ) -> None:
        answer = await anyone.named("ada").post(PATH, roster(slot("captain", 1, "ada")) | change)

        assert said(answer) == [(400, "INVALID_REQUEST")]
        assert sorted(pointers(answer)) == at

    async def test_the_largest_roster_is_accepted(self, anyone: Caller) -> None:
        rules = {"roles": {f"{n:064}": {"slots": 100} for n in range(32)}}
        slots = [slot(f"{0:064}", n, f"{n:0128}") for n in range(1, 101)]

        answer = await anyone.named("ada").post(PATH, roster(*slots, room="r" * 128, rules=rules))

        assert (answer.status_code, len(answer.json()["slots"])) == (200, 100)
