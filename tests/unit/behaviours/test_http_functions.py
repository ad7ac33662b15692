"""Database functions as old frontends call them."""

from typing import Any

import httpx2
import pytest

from tests.http.services import BASE_URL, Caller, Serve
from tests.http.wallets import balance, funded, grant, invited, offered
from tests.unit.behaviours.test_http_channels import a_channel, sent
from tests.unit.behaviours.test_http_referrals import code_of
from tests.unit.behaviours.test_http_sign_in import by_cookie, sign_in, signed_up
from tests.unit.behaviours.test_http_stage_rooms import RULES, slot

ONE_OBJECT = {"accept": "application/vnd.pgrst.object+json"}
COUNTED = {"prefer": "count=exact"}
ANONYMOUS = "an-anonymous-key"


async def rpc(
    caller: Caller, function: str, headers: dict[str, str] | None = None, **arguments: Any
) -> httpx2.Response:
    """Call a function by POST."""
    return await caller.post(f"/rest/v1/rpc/{function}", arguments, headers=headers)


def raised(answer: httpx2.Response) -> tuple[int, str, str]:
    """Return status, code and message of an error, which has the members of PostgREST's errors."""
    error = answer.json()
    assert error.keys() == {"code", "details", "hint", "message"}
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    return answer.status_code, error["code"], error["message"]


class TestFunctionCalls:
    async def test_a_purchase_is_the_token_users_whatever_the_arguments_say(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        await funded(anyone, "bob", 100)

        answer = await rpc(ada, "purchase_reward", p_reward_id=reward_id, p_collector_id="bob")

        assert (answer.status_code, answer.headers["content-range"]) == (200, "0-0/*")
        assert (answer.json()["cost"], answer.json()["balance_after"]) == (40, 60)
        assert (await balance(ada), await balance(anyone.named("bob"))) == (60, 100)

    async def test_refusals_are_raised_with_the_code_as_the_message(self, anyone: Caller) -> None:
        ada, reward_id, own = await funded(anyone, "ada", 40), await offered(anyone, 40), await offered(anyone, 1)
        await rpc(ada, "purchase_reward", p_reward_id=reward_id)

        answers = [
            await rpc(ada, "purchase_reward", p_reward_id=reward_id),
            await rpc(ada, "purchase_reward", p_reward_id=own),
            await rpc(anyone.named("owner"), "purchase_reward", p_reward_id=own),
            await rpc(ada, "purchase_reward", p_reward_id="none"),
            await rpc(ada, "use_invite_code", p_code="NOBODY99"),
        ]

        assert [raised(answer) for answer in answers] == [
            (409, "P0001", "ALREADY_COLLECTED"),
            (402, "P0001", "INSUFFICIENT_FUNDS"),
            (403, "P0001", "SELF_PURCHASE"),
            (404, "P0001", "REWARD_NOT_FOUND"),
            (404, "P0001", "INVITE_NOT_FOUND"),
        ]
        assert answers[1].json()["details"] == "1 credits are needed, 0 are available"

    async def test_a_replaced_function_says_what_to_call(self, anyone: Caller) -> None:
        answer = await rpc(anyone.named("ada"), "purchase_bounty", p_bounty_id="b", p_collector_id="ada")

        assert raised(answer) == (410, "P0001", "FUNCTION_REPLACED")
        assert answer.json()["hint"] == "Call purchase_reward(p_reward_id)"

    async def test_a_code_is_assigned_and_resolved(self, anyone: Caller) -> None:
        code = (await rpc(anyone.named("ada"), "assign_referral_code", p_user_id="bob")).json()
        known = await rpc(anyone, "resolve_referral_code", p_code=f" {code.lower()} ")
        unknown = await rpc(anyone, "resolve_referral_code", p_code="NOBODY99")
        malformed = await rpc(anyone, "resolve_referral_code", p_code="?")

        assert code == await code_of(anyone, "ada")
        assert [answer.json() for answer in (known, unknown, malformed)] == [code, None, None]
        assert len({len(answer.content) for answer in (known, unknown, malformed)}) == 1
        assert len({tuple(answer.headers) for answer in (known, unknown, malformed)}) == 1

    async def test_a_code_waits_while_codes_are_not_minted_on_read(self, anyone: Caller) -> None:
        flag = {"enabled": False}
        staff = anyone.named("staff", "admin:flags")
        assert (await staff.call("PUT", "/api/admin/flags/ensure_on_read_enabled", body=flag)).status_code == 200

        answer = await rpc(anyone.named("ada"), "assign_referral_code")

        assert (answer.status_code, answer.json()) == (200, None)

    async def test_only_the_token_says_that_a_phone_is_verified(self, anyone: Caller) -> None:
        unproved = await rpc(anyone.named("ada"), "mark_otp_verified", p_user_id="ada")
        proved = await rpc(anyone.named("bob", phone_verified=True), "mark_otp_verified", p_user_id="ada")

        assert (unproved.json(), proved.json()) == (False, True)
        assert not (await anyone.named("ada").get("/api/referral")).json()["otp_verified"]

    async def test_an_invite_is_used_once(self, anyone: Caller) -> None:
        await invited(anyone, 5, code="SEATS123")

        first = await rpc(anyone.named("ada"), "use_invite_code", p_code="seats-123", p_user_id="bob")
        again = await rpc(anyone.named("ada"), "use_invite_code", invite_code="SEATS123")

        assert (first.status_code, first.json()["remaining"]) == (200, 4)
        assert raised(again) == (409, "P0001", "ALREADY_USED")

    async def test_points_are_one_row(self, anyone: Caller) -> None:
        await code_of(anyone, "bob")
        staff = anyone.named("staff", "loyalty:award")

        rows = await rpc(staff, "increment_player_loyalty", p_player_id="bob", p_delta_points=500, p_reward_id="1")
        one = await rpc(
            staff, "increment_player_loyalty", ONE_OBJECT, p_player_id="bob", p_delta_points=50, p_reason="thanks"
        )

        assert [row["balance_after"] for row in rows.json()] == [500]
        assert one.json()["balance_after"] == 550
        assert one.headers["content-type"].startswith("application/vnd.pgrst.object+json")

    async def test_points_need_the_permission_of_their_route(self, anyone: Caller) -> None:
        refused = await rpc(anyone.named("ada"), "increment_player_loyalty", p_player_id="bob", p_delta_points=1)

        assert raised(refused) == (403, "42501", "FORBIDDEN")

    async def test_messages_are_sent_and_fetched(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel_id = await a_channel(ada)

        message = await rpc(ada, "insert_social_message", p_channel_id=channel_id, p_body="hello", p_sender_id="bob")
        await rpc(ada, "insert_social_message", p_channel_id=channel_id, p_body="again", p_client_message_id=None)
        rows = await rpc(ada, "fetch_social_messages", COUNTED, p_channel_id=channel_id, p_limit=10)
        some = await ada.get(f"/rest/v1/rpc/fetch_social_messages?p_channel_id={channel_id}&p_limit=1&select=*")
        none = await ada.get(
            f"/rest/v1/rpc/fetch_social_messages?p_channel_id={channel_id}&p_after=99", headers=COUNTED
        )

        assert (message.status_code, message.json()["sender_id"]) == (200, "ada")
        assert [row["body"] for row in rows.json()] == ["again", "hello"]
        assert (rows.headers["content-range"], rows.headers["preference-applied"]) == ("0-1/2", "count=exact")
        assert ([row["body"] for row in some.json()], some.headers["content-range"]) == (["again"], "0-0/*")
        assert (none.json(), none.headers["content-range"]) == ([], "*/0")

    async def test_one_object_needs_one_row(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        channel_id = await a_channel(ada)
        none = await rpc(ada, "fetch_social_messages", ONE_OBJECT, p_channel_id=channel_id)
        await sent(ada, channel_id)
        one = await rpc(ada, "fetch_social_messages", ONE_OBJECT, p_channel_id=channel_id)
        await sent(ada, channel_id)
        two = await rpc(ada, "fetch_social_messages", ONE_OBJECT, p_channel_id=channel_id)

        message = "Cannot coerce the result to a single JSON object"
        assert [raised(answer) for answer in (none, two)] == [(406, "PGRST116", message)] * 2
        assert none.json()["details"] == "The result contains 0 rows"
        assert one.json()["body"] == "hello"

    async def test_a_roster_is_verified_and_stored(self, anyone: Caller) -> None:
        ada, slots = anyone.named("ada"), [slot("captain", 1, "ada"), slot("player", 2, "bob")]

        verified = await rpc(ada, "verify_rank_roles_and_slots", p_slots=slots, p_rules=RULES)
        refused = await rpc(ada, "verify_rank_roles_and_slots", p_slots=[slot("captain", 2, "ada")], p_rules=RULES)
        stored = await rpc(
            ada, "sync_rank_match_roster", p_room_id="r", p_roster_version=0, p_slots=slots, p_rules=RULES
        )
        stale = await rpc(ada, "sync_rank_match_roster", p_room_id="r", p_roster_version=7, p_slots=[], p_rules=RULES)

        assert verified.json() == [
            {"role": "captain", "slots": 1, "taken": 1},
            {"role": "player", "slots": 4, "taken": 1},
        ]
        assert raised(refused) == (422, "P0001", "SLOTS_EXCEEDED")
        assert stored.json()["roster_version"] == 1
        assert raised(stale) == (409, "P0001", "ROSTER_STALE")

    async def test_a_key_answers_once(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        key = {"idempotency-key": "k1"}

        first = await rpc(ada, "purchase_reward", key, p_reward_id=reward_id)
        again = await rpc(ada, "purchase_reward", key, p_reward_id=reward_id)

        assert (again.content, again.headers["idempotency-hit"]) == (first.content, "true")
        assert await balance(ada) == 60

    async def test_a_user_who_is_signed_out_has_the_anonymous_key_as_the_bearer(self, anyone: Caller) -> None:
        headers = {"apikey": ANONYMOUS, "authorization": f"Bearer {ANONYMOUS}"}

        public = await rpc(anyone, "resolve_referral_code", headers, p_code="NOBODY99")
        refused = await rpc(anyone, "purchase_reward", headers, p_reward_id="r")
        user = await rpc(anyone.named("ada"), "assign_referral_code", {"apikey": ANONYMOUS})

        assert (public.status_code, public.json()) == (200, None)
        assert raised(refused) == (401, "42501", "UNAUTHENTICATED")
        assert refused.headers["www-authenticate"] == "Bearer"
        assert isinstance(user.json(), str)

    async def test_the_anonymous_key_is_nobody_also_beside_the_cookie_of_a_session(self, anyone: Caller) -> None:
        await signed_up(anyone, "eve")
        cookie = by_cookie(await sign_in(anyone, "eve@example.org"))
        headers = {"apikey": ANONYMOUS, "authorization": f"Bearer {ANONYMOUS}", "origin": BASE_URL, **cookie}

        refused = await rpc(anyone, "assign_referral_code", headers)

        assert raised(refused) == (401, "42501", "UNAUTHENTICATED")

    @pytest.mark.parametrize("code", [None, True, False, 1.5, ["A"], {"a": "b"}])
    async def test_a_value_that_is_no_text_is_refused(self, anyone: Caller, code: object) -> None:
        refused = await rpc(anyone, "resolve_referral_code", p_code=code)

        assert (refused.status_code, refused.json()["code"]) == (400, "22023")

    @pytest.mark.parametrize(
        ("header", "value", "code"),
        [
            ("accept", "application/vnd.pgrst.plan+text", "PGRST107"),
            ("accept", "text/csv", "PGRST107"),
            ("prefer", "tx=rollback", "PGRST107"),
            ("content-profile", "private", "PGRST106"),
        ],
    )
    async def test_a_form_that_is_not_served_does_nothing(
        self, anyone: Caller, header: str, value: str, code: str
    ) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)

        refused = await rpc(ada, "purchase_reward", {header: value}, p_reward_id=reward_id)

        assert (refused.status_code, refused.json()["code"]) == (406, code)
        assert await balance(ada) == 100

    async def test_a_bad_token_has_a_code_of_its_own(self, anyone: Caller) -> None:
        bad = await rpc(anyone, "assign_referral_code", {"authorization": "Bearer bad", "apikey": ANONYMOUS})

        assert raised(bad) == (401, "PGRST301", "UNAUTHENTICATED")

    async def test_a_session_cookie_needs_an_origin(self, anyone: Caller) -> None:
        await signed_up(anyone, "eve")
        cookie = by_cookie(await sign_in(anyone, "eve@example.org"))

        refused = await rpc(anyone, "assign_referral_code", cookie)
        taken = await rpc(anyone, "assign_referral_code", {**cookie, "origin": BASE_URL})

        assert raised(refused) == (403, "P0001", "CSRF_REFUSED")
        assert taken.status_code == 200

    @pytest.mark.parametrize(
        ("function", "arguments"),
        [
            ("drop_everything", {}),
            ("purchase_reward", {}),
            ("purchase_reward", {"p_reward_id": "r", "p_price": 1}),
            ("use_invite_code", {"p_code": "SEATS123", "invite_code": "SEATS123"}),
            ("", {}),
            ("purchase_reward/", {}),
        ],
    )
    async def test_a_function_is_found_by_its_name_and_arguments(
        self, anyone: Caller, function: str, arguments: dict[str, Any]
    ) -> None:
        status, code, message = raised(await rpc(anyone.named("ada"), function, **arguments))

        assert (status, code) == (404, "PGRST202")
        assert message.startswith("Could not find the function public.")

    async def test_a_filter_is_refused_and_not_ignored(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        arguments, path = {"p_channel_id": await a_channel(ada)}, "/rest/v1/rpc/fetch_social_messages"

        answers = [
            await ada.post(f"{path}?seq=eq.1", arguments),
            await ada.post(f"{path}?select=body", arguments),
            await ada.get(f"{path}?p_channel_id={arguments['p_channel_id']}&limit=1"),
        ]
        every_column = await ada.post(f"{path}?select=*", arguments)

        assert [raised(answer)[:2] for answer in answers] == [(404, "PGRST202")] * 3
        assert every_column.status_code == 200

    async def test_faults_name_the_argument(self, anyone: Caller) -> None:
        ada = anyone.named("ada")

        answers = [
            await rpc(ada, "purchase_reward", p_reward_id="a/b"),
            await rpc(ada, "purchase_reward", p_reward_id=None),
            await rpc(ada, "fetch_social_messages", p_channel_id="c", p_limit="many"),
            await rpc(ada, "insert_social_message", p_channel_id="c", p_body=7),
            await rpc(ada, "sync_rank_match_roster", p_room_id="", p_roster_version=0, p_slots=[], p_rules=RULES),
            await ada.call("POST", "/rest/v1/rpc/purchase_reward", raw=b"[]"),
            await ada.call("POST", "/rest/v1/rpc/purchase_reward", raw=b'{"p_reward_id":"a","p_reward_id":"a"}'),
            await ada.get("/rest/v1/rpc/resolve_referral_code?p_code=A&p_code=B"),
        ]

        assert [raised(answer)[:2] for answer in answers] == [(400, "22023")] * 8
        places = [answer.json()["details"].partition(":")[0] for answer in answers]
        assert places[:5] == ["p_reward_id", "p_reward_id", "p_limit", "p_body", "p_room_id"]

    async def test_get_calls_what_changes_nothing(self, anyone: Caller) -> None:
        get = await anyone.get("/rest/v1/rpc/resolve_referral_code?p_code=NOBODY99")
        head = await anyone.call("HEAD", "/rest/v1/rpc/resolve_referral_code?p_code=NOBODY99")
        refused = await anyone.named("ada").get("/rest/v1/rpc/assign_referral_code")
        refused_head = await anyone.named("ada").call("HEAD", "/rest/v1/rpc/assign_referral_code")

        assert (get.status_code, get.json()) == (200, None)
        assert (head.status_code, head.content, head.headers["content-range"]) == (200, b"", "0-0/*")
        assert raised(refused) == (405, "PGRST117", "METHOD_NOT_ALLOWED")
        assert refused.headers["allow"] == "OPTIONS, POST"
        assert (refused_head.status_code, refused_head.content) == (405, b"")

    async def test_a_call_counts_once_in_the_limit_of_its_route(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="send=2/hour; write=100/hour; read=100/hour")
        ada = anyone.named("ada")
        channel_id = await a_channel(ada)

        answers = [await rpc(ada, "insert_social_message", p_channel_id=channel_id, p_body="hello") for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert raised(answers[2])[1:] == ("P0001", "RATE_LIMITED")
        assert "retry-after" in answers[2].headers
        assert (await ada.post("/api/messages/send", {"channel_id": channel_id, "body": "hello"})).status_code == 429

    async def test_a_deleted_user_calls_nothing(self, anyone: Caller) -> None:
        await grant(anyone, "ada", 1)
        await anyone.deliver({"type": "user.deleted", "data": {"id": "ada"}})

        assert raised(await rpc(anyone.named("ada"), "assign_referral_code")) == (410, "P0001", "USER_DELETED")
