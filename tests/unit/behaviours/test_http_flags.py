"""The routes of flags as administrators see them."""

from typing import Any

import pytest
from httpx2 import Response

from tallystick.domain.flags import Flag
from tests.http.services import Caller, Serve
from tests.http.wallets import UTC_TIME, is_replay_of, said
from tests.worlds.switchboards import DEFAULTS, LOCKED

FLAGS = "/api/admin/flags"
STATE = {"name", "enabled", "pinned", "updated_at", "updated_by"}


async def switched(anyone: Caller, flag: str, body: Any, *, by: str = "chief", key: str | None = None) -> Response:
    """Let an administrator switch a flag."""
    headers = {"idempotency-key": key} if key is not None else None
    return await anyone.named(by, "admin:flags").call("PUT", f"{FLAGS}/{flag}", body=body, headers=headers)


async def switch(anyone: Caller, flag: Flag, *, on: bool) -> dict[str, Any]:
    answer = await switched(anyone, flag, {"enabled": on})
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


async def listed(anyone: Caller) -> dict[str, dict[str, Any]]:
    """Return every flag by its name."""
    answer = await anyone.named("chief", "admin:flags").get(FLAGS)
    assert answer.json().keys() == {"items"}
    return {item["name"]: item for item in answer.json()["items"]}


class TestFlagRoutes:
    async def test_every_flag_is_listed_at_its_default_until_somebody_switches_it(self, anyone: Caller) -> None:
        nobody = {"pinned": False, "updated_at": None, "updated_by": None}

        assert await listed(anyone) == {
            flag: {"name": flag, "enabled": is_on, **nobody} for flag, is_on in DEFAULTS.items()
        }

    @pytest.mark.parametrize("flag", [flag for flag in Flag if flag not in LOCKED])
    async def test_a_switch_answers_the_one_flag_and_the_list_shows_it(self, anyone: Caller, flag: Flag) -> None:
        for on in (not DEFAULTS[flag], DEFAULTS[flag]):
            state = await switch(anyone, flag, on=on)

            assert state.keys() == STATE
            assert UTC_TIME.match(state["updated_at"])
            assert (state["name"], state["enabled"], state["pinned"]) == (flag, on, False)
            assert state["updated_by"] == "chief"
            assert (await listed(anyone))[flag] == state

    async def test_a_switched_flag_counts_for_the_next_request(self, anyone: Caller) -> None:
        ada = anyone.named("ada")

        await switch(anyone, Flag.ENSURE_ON_READ_ENABLED, on=False)
        await switch(anyone, Flag.WEBHOOK_ENABLED, on=False)
        assert (await ada.get("/api/my-referral-link")).json()["pending"] is True
        assert said(await anyone.deliver({"type": "user.created", "data": {"id": "ada"}})) == [
            (503, "WEBHOOK_DISABLED")
        ]

        await switch(anyone, Flag.ENSURE_ON_READ_ENABLED, on=True)
        await switch(anyone, Flag.WEBHOOK_ENABLED, on=True)
        assert (await ada.get("/api/my-referral-link")).json()["pending"] is False
        assert (await anyone.deliver({"type": "user.created", "data": {"id": "ada"}})).status_code == 200

    async def test_the_same_again_changes_nothing(self, anyone: Caller) -> None:
        first = await switched(anyone, "points_enabled", {"enabled": False})

        again = await switched(anyone, "points_enabled", {"enabled": False}, by="another-chief")

        assert again.json() == first.json()

    async def test_a_key_gets_its_first_answer_and_switches_nothing_again(self, anyone: Caller) -> None:
        first = await switched(anyone, "points_enabled", {"enabled": False}, key="k")
        await switched(anyone, "points_enabled", {"enabled": True})

        again = await switched(anyone, "points_enabled", {"enabled": False}, key="k")
        other = await switched(anyone, "points_enabled", {"enabled": True}, key="k")

        assert is_replay_of(first, again)
        assert said(other) == [(422, "IDEMPOTENCY_MISMATCH")]
        assert (await listed(anyone))["points_enabled"]["enabled"] is True

    async def test_minting_in_the_older_route_cannot_be_switched_on(self, anyone: Caller) -> None:
        refused = await switched(anyone, "mint_in_referral_api", {"enabled": True})

        assert said(refused) == [(409, "FLAG_LOCKED")]
        assert refused.json()["flag"] == "mint_in_referral_api"
        assert "GET /api/referral never writes" in refused.json()["detail"]
        assert (await listed(anyone))["mint_in_referral_api"]["enabled"] is False
        assert (await switched(anyone, "mint_in_referral_api", {"enabled": False})).status_code == 200

    async def test_a_pinned_flag_is_the_environments(self, serve: Serve) -> None:
        anyone = await serve(flags="points_enabled=off; webhook_enabled=on")

        refused = [await switched(anyone, "points_enabled", {"enabled": on}) for on in (True, False)]

        assert said(*refused) == [(409, "FLAG_PINNED")] * 2
        assert all(answer.json()["flag"] == "points_enabled" for answer in refused)
        assert all("TALLYSTICK_FLAGS" in answer.json()["detail"] for answer in refused)
        shown = await listed(anyone)
        assert [(name, item["enabled"]) for name, item in shown.items() if item["pinned"]] == [
            ("webhook_enabled", True),
            ("points_enabled", False),
        ]
        assert (shown["points_enabled"]["updated_at"], shown["points_enabled"]["updated_by"]) == (None, None)

    @pytest.mark.parametrize("name", ["points", "POINTS_ENABLED", "points_enabled ", "%00", "%FF", "x" * 500])
    async def test_a_name_that_is_none_is_not_found(self, anyone: Caller, name: str) -> None:
        refused = await switched(anyone, name, {"enabled": True})

        assert said(refused) in ([(404, "FLAG_NOT_FOUND")], [(400, "INVALID_REQUEST")])
        assert name not in refused.json()["detail"] or name == "points"

    @pytest.mark.parametrize(
        "body",
        [{}, {"enabled": True, "pinned": False}, {"enabled": "on"}, {"enabled": 1}, {"enabled": None}, True, [], None],
    )
    async def test_a_body_of_another_shape_is_refused(self, anyone: Caller, body: Any) -> None:
        before = await listed(anyone)

        assert said(await switched(anyone, "points_enabled", body)) == [(400, "INVALID_REQUEST")]

        assert await listed(anyone) == before

    async def test_nobody_sees_or_switches_them_without_the_permission(self, anyone: Caller) -> None:
        reader = anyone.named("reader", "admin:read")

        for caller, refusal in ((reader, (403, "FORBIDDEN")), (anyone, (401, "UNAUTHENTICATED"))):
            for name in ("points_enabled", "no_flag"):
                answer = await caller.call("PUT", f"{FLAGS}/{name}", body={"enabled": False})
                assert said(await caller.get(FLAGS), answer) == [refusal] * 2

        assert (await listed(anyone))["points_enabled"]["enabled"] is True
