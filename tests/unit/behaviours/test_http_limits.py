"""How requests are counted: by group and caller, never by what they ask about."""

from httpx2 import Response

from tests.http.services import Caller, Serve
from tests.unit.behaviours.test_http_referrals import code_of


class TestLimitedRoutes:
    async def test_past_the_limit_a_request_is_asked_to_come_again(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="resolver=3/minute")

        answers = [await anyone.get("/api/referral/resolve?code=NOBODY99") for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[3].json()["code"] == "RATE_LIMITED"
        assert answers[3].json()["retryable"] is True
        assert 1 <= int(answers[3].headers["retry-after"]) <= 60

    async def test_limited_routes_state_their_limits(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="resolver=3/minute")

        answers = [await anyone.get("/api/referral/resolve") for _ in range(4)]

        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"resolver";q=3;w=60'}
        assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]

    async def test_the_tightest_of_several_limits_counts(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="resolver=100/hour, 2/minute")

        answers = [await anyone.get("/api/referral/resolve") for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"resolver";q=100;w=3600, "resolver";q=2;w=60'

    async def test_clicks_and_questions_are_one_group(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="resolver=2/minute")
        await anyone.get("/r/NOBODY99")
        await anyone.get("/api/referral/resolve?code=NOBODY99")

        assert (await anyone.get("/r/NOBODY99")).status_code == 429

    async def test_the_subject_of_a_request_does_not_matter(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="resolver=4/minute")
        code = await code_of(anyone, "ada")

        statuses = [
            (await anyone.get(f"/api/referral/resolve?code={asked}")).status_code
            for asked in (code, "NOBODY99", "!", code, code)
        ]

        assert statuses == [200, 200, 200, 200, 429]

    async def test_users_are_counted_one_by_one(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="read=2/minute")

        ada = [(await anyone.named("ada").get("/api/referral")).status_code for _ in range(3)]
        bob = (await anyone.named("bob").get("/api/referral")).status_code

        assert (ada, bob) == ([200, 200, 429], 200)

    async def test_groups_are_counted_one_by_one(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="read=1/minute; write=1/minute; sign_up=1/minute")
        ada = anyone.named("ada")

        first = [await ada.get("/api/referral"), await ada.post("/api/referral/remint"), await _upsert(ada)]
        second = [await ada.get("/api/referral"), await ada.post("/api/referral/remint"), await _upsert(ada)]

        assert [answer.status_code for answer in first] == [200, 200, 200]
        assert [answer.status_code for answer in second] == [429, 429, 429]

    async def test_purchases_and_redemptions_are_writes_like_others(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="write=1/minute")
        purchase, redemption = "/api/rewards/nothing/purchase", "/api/invites/redeem"

        for user, path, body in (("ada", purchase, None), ("bob", redemption, {"code": "NOBODY99"})):
            answers = [await anyone.named(user).post(path, body) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [404, 429]
            assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"write";q=1;w=60'}

    async def test_a_refused_request_does_nothing(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="write=1/minute")
        ada = anyone.named("ada")
        code = (await ada.post("/api/referral/remint")).json()["referral_code"]

        await ada.post("/api/referral/remint")

        assert (await ada.get("/api/my-referral-link")).json()["referral_code"] == code

    async def test_a_limit_of_one_key_is_not_stored_as_its_answer(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="write=1/second")
        ada = anyone.named("ada")
        await ada.post("/api/referral/remint", key="k0")
        limited = await ada.post("/api/referral/remint", key="k1")

        while limited.status_code == 429:
            limited = await ada.post("/api/referral/remint", key="k1")

        assert limited.status_code == 200
        assert "idempotency-hit" not in limited.headers

    async def test_hits_are_counted(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="resolver=1/minute")
        for _ in range(3):
            await anyone.get("/api/referral/resolve")

        assert 'limit_hits_total{group="resolver"} 2.0' in (await anyone.get("/metrics")).text

    async def test_off_means_without_limits_and_without_headers(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="off")

        answer = await anyone.get("/api/referral/resolve")

        assert "ratelimit" not in answer.headers
        assert "ratelimit-policy" not in answer.headers


async def _upsert(caller: Caller) -> Response:
    return await caller.post("/api/users/upsert", {})
