"""The referral routes as clients see them."""

import re

import pytest

from tests.http.services import APP_URL, BASE_URL, Caller, Serve

CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{8}\Z")


class TestReferralLinkRoutes:
    async def test_a_new_user_has_a_working_link_on_the_first_call(self, anyone: Caller) -> None:
        link = (await anyone.named("ada").get("/api/my-referral-link")).json()

        assert CODE.match(link["referral_code"])
        assert link == {
            "referral_url": f"{BASE_URL}/r/{link['referral_code']}",
            "referral_code": link["referral_code"],
            "otp_verified": False,
            "pending": False,
        }
        assert await resolves(anyone, link["referral_code"])

    async def test_no_parameter_names_another_user(self, anyone: Caller) -> None:
        bobs = (await anyone.named("bob").get("/api/my-referral-link")).json()["referral_code"]

        for query in ("user_id=bob", "userId=bob", "sub=bob", "id=bob"):
            refused = await anyone.named("ada").get(f"/api/my-referral-link?{query}")
            assert (refused.status_code, bobs in refused.text) == (400, False)
            assert [fault["name"] for fault in refused.json()["errors"]] == [query.partition("=")[0]]

    async def test_without_minting_on_read_the_link_is_pending(self, serve: Serve) -> None:
        anyone = await serve(flags="ensure_on_read_enabled=off")

        link = (await anyone.named("ada").get("/api/my-referral-link")).json()

        assert link == {"referral_url": "", "referral_code": "", "otp_verified": False, "pending": True}

    async def test_the_older_route_never_mints(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        pending = {"referral_url": "", "referral_code": "", "otp_verified": False, "pending": True}
        assert (await ada.get("/api/referral")).json() == pending
        assert (await ada.get("/api/referral")).json() == pending

        minted = (await ada.get("/api/my-referral-link")).json()

        assert (await ada.get("/api/referral")).json() == minted

    async def test_a_remint_answers_the_new_code_and_the_alias(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        old = (await ada.get("/api/my-referral-link")).json()["referral_code"]

        reminted = (await ada.post("/api/referral/remint")).json()

        assert reminted["alias"] == old
        assert reminted["referral_code"] != old
        assert reminted.keys() == {"referral_url", "referral_code", "otp_verified", "pending", "alias"}
        assert await resolves(anyone, old)
        assert (await ada.get("/api/my-referral-link")).json()["referral_code"] == reminted["referral_code"]

    async def test_the_first_remint_has_no_alias(self, anyone: Caller) -> None:
        assert (await anyone.named("ada").post("/api/referral/remint")).json()["alias"] == ""


class TestIdempotentRoutes:
    async def test_the_same_key_and_body_get_the_first_answer_byte_for_byte(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        first = await ada.post("/api/referral/remint", key="k1")

        again = await ada.post("/api/referral/remint", key="k1")

        assert again.content == first.content
        assert (again.status_code, again.headers["content-type"]) == (200, first.headers["content-type"])
        assert "idempotency-hit" not in first.headers
        assert again.headers["idempotency-hit"] == "true"
        assert again.headers["x-correlation-id"] != first.headers["x-correlation-id"]

    async def test_a_stored_refusal_keeps_its_first_correlation_id(self, anyone: Caller) -> None:
        await anyone.named("ada").post("/api/users/upsert", {"username": "queen"})
        bob = anyone.named("bob")
        first = await bob.post("/api/users/upsert", {"username": "queen"}, key="k1")
        await anyone.named("ada").post("/api/users/upsert", {"username": "empress"})

        again = await bob.post("/api/users/upsert", {"username": "queen"}, key="k1")

        assert (first.status_code, again.status_code) == (409, 409)
        assert again.content == first.content
        assert again.headers["content-type"] == "application/problem+json"
        assert again.json()["correlation_id"] == first.headers["x-correlation-id"]

    async def test_another_body_or_path_under_the_same_key_is_refused(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        await ada.post("/api/users/upsert", {"display_name": "Ada"}, key="k1")

        other_body = await ada.post("/api/users/upsert", {"display_name": "Eve"}, key="k1")
        other_path = await ada.post("/api/referral/remint", key="k1")

        assert [(r.status_code, r.json()["code"]) for r in (other_body, other_path)] == [
            (422, "IDEMPOTENCY_MISMATCH")
        ] * 2
        assert (await ada.get("/api/me")).json()["display_name"] == "Ada"

    async def test_another_callers_same_key_is_another_matter(self, anyone: Caller) -> None:
        ada = await anyone.named("ada").post("/api/referral/remint", key="k1")
        bob = await anyone.named("bob").post("/api/referral/remint", key="k1")

        assert ada.json()["referral_code"] != bob.json()["referral_code"]
        assert "idempotency-hit" not in bob.headers

    async def test_a_key_has_1_to_255_visible_characters(self, anyone: Caller) -> None:
        ada = anyone.named("ada")

        longest = await ada.post("/api/referral/remint", key="k" * 255)
        wrong = [await ada.post("/api/referral/remint", key=key) for key in ("", "a b", "k" * 256, "\x7f")]

        assert longest.status_code == 200
        assert [(r.status_code, r.json()["errors"][0]["name"]) for r in wrong] == [(400, "Idempotency-Key")] * 4


class TestUpsertRoutes:
    async def test_the_code_in_the_body_records_the_inviter(self, anyone: Caller) -> None:
        code = await code_of(anyone, "ada")

        arrived = await anyone.named("bob").post("/api/users/upsert", {"referred_by": code.lower()})

        assert arrived.json() == {"user_id": "bob", "otp_verified": False, "attribution": "recorded"}
        assert (await anyone.named("bob").get("/api/me")).json()["referred"] is True
        assert (await anyone.named("ada").get("/api/me")).json()["referrals"] == 1

    async def test_the_click_serves_where_the_body_names_no_code(self, anyone: Caller) -> None:
        code = await code_of(anyone, "ada")
        click = await anyone.get(f"/r/{code}")

        arrived = await anyone.named("bob").post(
            "/api/users/upsert", {}, headers={"cookie": click.headers["set-cookie"].split(";")[0]}
        )

        assert arrived.json()["attribution"] == "recorded"

    async def test_the_code_in_the_body_counts_before_the_click(self, anyone: Caller) -> None:
        adas, carols = await code_of(anyone, "ada"), await code_of(anyone, "carol")

        await anyone.named("bob").post(
            "/api/users/upsert", {"referred_by": adas}, headers={"cookie": f"tallystick_ref={carols}"}
        )

        assert (await anyone.named("ada").get("/api/me")).json()["referrals"] == 1

    async def test_once_recorded_it_is_kept_whatever_is_sent(self, anyone: Caller) -> None:
        bob = anyone.named("bob")
        await bob.post("/api/users/upsert", {"referred_by": await code_of(anyone, "ada")})

        for referred_by in (await code_of(anyone, "carol"), "NOBODY99", "!", None):
            kept = (await bob.post("/api/users/upsert", {"referred_by": referred_by})).json()
            assert (kept["attribution"], kept["attribution_reason"]) == ("kept", "kept")

    async def test_codes_that_lead_nowhere_leave_none_and_the_answer_says_why(self, anyone: Caller) -> None:
        own, carols = await code_of(anyone, "bob"), await code_of(anyone, "carol")
        await anyone.named("dan").post("/api/users/upsert", {"referred_by": own})
        dans = await code_of(anyone, "dan")
        await anyone.deliver({"type": "user.deleted", "data": {"id": "carol"}})
        reasons = {
            **dict.fromkeys(("NOBODY99", "!", "x" * 5000, "ＡＢＣＤ1234", carols), "not_found"),
            "": "no_code",
            own: "self",
            dans: "cycle",
        }

        for referred_by, reason in reasons.items():
            arrived = await anyone.named("bob").post("/api/users/upsert", {"referred_by": referred_by})
            assert arrived.status_code == 200
            assert arrived.json() == {
                "user_id": "bob",
                "otp_verified": False,
                "attribution": "none",
                "attribution_reason": reason,
            }
        absent = await anyone.named("bob").post("/api/users/upsert", {})
        assert absent.json()["attribution_reason"] == "no_code"

    @pytest.mark.parametrize("blank", ["", " ", "\t\n", None])
    async def test_a_blank_names_no_code_and_the_click_counts(self, anyone: Caller, blank: str | None) -> None:
        cookie = {"cookie": f"tallystick_ref={await code_of(anyone, 'ada')}"}

        arrived = await anyone.named("bob").post("/api/users/upsert", {"referred_by": blank}, headers=cookie)
        clickless = await anyone.named("carol").post("/api/users/upsert", {"referred_by": blank})

        assert arrived.json()["attribution"] == "recorded"
        assert clickless.json()["attribution_reason"] == "no_code"

    async def test_a_code_in_the_body_goes_before_the_click_even_where_it_is_nobodys(self, anyone: Caller) -> None:
        cookie = {"cookie": f"tallystick_ref={await code_of(anyone, 'ada')}"}

        arrived = await anyone.named("bob").post("/api/users/upsert", {"referred_by": "NOBODY99"}, headers=cookie)

        assert (arrived.json()["attribution"], arrived.json()["attribution_reason"]) == ("none", "not_found")

    async def test_a_verified_phone_in_the_token_marks_the_otp_for_good(self, anyone: Caller) -> None:
        verified = await anyone.named("ada", phone_verified=True).post("/api/users/upsert", {})
        later = await anyone.named("ada").post("/api/users/upsert", {})

        assert (verified.json()["otp_verified"], later.json()["otp_verified"]) == (True, True)

    async def test_a_taken_name_is_a_conflict_and_nothing_is_stored(self, anyone: Caller) -> None:
        await anyone.named("ada").post("/api/users/upsert", {"email": "Ada@example.org", "username": "queen"})
        bob = anyone.named("bob")

        email = await bob.post("/api/users/upsert", {"email": "ada@EXAMPLE.org", "display_name": "B"})
        username = await bob.post("/api/users/upsert", {"username": "queen"})

        assert [(r.status_code, r.json()["code"]) for r in (email, username)] == [
            (409, "EMAIL_TAKEN"),
            (409, "USERNAME_TAKEN"),
        ]
        assert (await bob.get("/api/me")).status_code == 404

    async def test_it_never_mints(self, anyone: Caller) -> None:
        await anyone.named("ada").post("/api/users/upsert", {})

        assert (await anyone.named("ada").get("/api/referral")).json()["pending"] is True


class TestSameTruthRoutes:
    async def test_me_shows_what_every_other_route_shows(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        await ada.post("/api/users/upsert", {"username": "queen", "display_name": "Ada"})
        link = (await ada.post("/api/referral/remint")).json()

        me = (await ada.get("/api/me")).json()

        assert me == {
            "user_id": "ada",
            "username": "queen",
            "display_name": "Ada",
            "referral_code": link["referral_code"],
            "referral_url": link["referral_url"],
            "otp_verified": False,
            "referred": False,
            "referrals": 0,
            "credits": 0,
            "points": 0,
            "tier": "bronze",
        }

    async def test_a_user_never_seen_is_not_found(self, anyone: Caller) -> None:
        me = await anyone.named("nobody").get("/api/me")

        assert (me.status_code, me.json()["code"]) == (404, "USER_NOT_FOUND")

    async def test_staff_find_a_profile_by_email_with_its_current_code(self, anyone: Caller) -> None:
        ada, staff = anyone.named("ada"), anyone.named("staff", "profiles:read")
        await ada.post("/api/users/upsert", {"email": "Ada@example.org"})
        await ada.get("/api/my-referral-link")
        code = (await ada.post("/api/referral/remint")).json()["referral_code"]

        found = await staff.get("/api/profiles/by-email?email=ada%40example.org")

        assert (found.status_code, found.json()["user_id"], found.json()["referral_code"]) == (200, "ada", code)

    async def test_without_the_permission_nobody_is_found(self, anyone: Caller) -> None:
        refused = await anyone.named("ada").get("/api/profiles/by-email?email=ada%40example.org")

        assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
        assert refused.json()["permission"] == "profiles:read"

    async def test_addresses_that_are_nobodys_or_none_are_not_found(self, anyone: Caller) -> None:
        staff = anyone.named("staff", "profiles:read")

        for email in ("nobody%40example.org", "none", "", "%00%40x", "a" * 300):
            assert (await staff.get(f"/api/profiles/by-email?email={email}")).status_code == 404
        assert (await staff.get("/api/profiles/by-email")).status_code == 400

    async def test_equal_referrals_share_a_rank_across_pages(self, anyone: Caller) -> None:
        for inviter, count in (("ada", 2), ("bob", 1), ("carol", 1), ("dora", 1)):
            code = await code_of(anyone, inviter)
            await anyone.named(inviter).post("/api/users/upsert", {"display_name": inviter.title()})
            for number in range(count):
                await anyone.named(f"{inviter}-{number}").post("/api/users/upsert", {"referred_by": code})
        places: list[tuple[int, str, int]] = []
        query = "limit=2"

        while query:
            page = (await anyone.named("ada").get(f"/api/leaderboard?{query}")).json()
            places += [(item["rank"], item["display_name"], item["referrals"]) for item in page["items"]]
            query = f"limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""

        assert places == [(1, "Ada", 2), (2, "Bob", 1), (2, "Carol", 1), (2, "Dora", 1)]

    async def test_the_limit_of_a_page_is_clamped(self, anyone: Caller) -> None:
        for number in range(3):
            await anyone.named(f"friend-{number}").post(
                "/api/users/upsert", {"referred_by": await code_of(anyone, f"inviter-{number}")}
            )

        lengths = [
            len((await anyone.named("ada").get(f"/api/leaderboard?limit={limit}")).json()["items"])
            for limit in (-5, 0, 1, 2, 200, 10**30)
        ]

        assert lengths == [1, 1, 1, 2, 3, 3]

    async def test_a_cursor_that_was_made_up_is_refused(self, anyone: Caller) -> None:
        for cursor in ("x", "AAAA", "%00", "A" * 400):
            refused = await anyone.named("ada").get(f"/api/leaderboard?cursor={cursor}")
            assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_REQUEST")

    async def test_a_remint_moves_nothing_on_the_globe(self, anyone: Caller) -> None:
        await code_of(anyone, "ada")
        before = (await anyone.named("ada").get("/api/globe")).json()

        await anyone.named("ada").post("/api/referral/remint")

        assert (await anyone.named("ada").get("/api/globe")).json() == before
        (node,) = before["nodes"]
        assert node.keys() == {"id", "lat", "lng", "referrals"}
        assert "ada" not in str(before)


class TestClickRoutes:
    async def test_a_click_lands_at_the_app_with_the_normal_form(self, anyone: Caller) -> None:
        code = await code_of(anyone, "ada")

        click = await anyone.get(f"/r/{code.lower()[:4]}-{code[4:]}")

        assert click.status_code == 302
        assert click.headers["location"] == f"{APP_URL}&ref={code}"
        assert click.headers["cache-control"] == "no-store"

    async def test_a_click_reveals_nothing_about_the_code(self, anyone: Caller) -> None:
        known, unknown = await anyone.get(f"/r/{await code_of(anyone, 'ada')}"), await anyone.get("/r/NOBODY99")

        assert (known.status_code, len(known.content)) == (unknown.status_code, len(unknown.content))
        assert sorted(known.headers) == sorted(unknown.headers)

    async def test_without_a_normal_form_there_is_no_ref(self, anyone: Caller) -> None:
        for path in ("!", "abc", "a/b/c", "%00", "%E4%BD%A0", "x" * 200):
            click = await anyone.get(f"/r/{path}")
            assert (click.status_code, click.headers["location"]) == (302, APP_URL)
            assert "set-cookie" not in click.headers

    async def test_the_first_five_clicks_are_remembered_the_oldest_first(self, anyone: Caller) -> None:
        cookie, codes = "", ["FIRST123", "SECOND12", "THIRD123", "FOURTH12", "FIFTH123"]
        for number, code in enumerate(codes, start=1):
            click = await anyone.get(f"/r/{code}", headers={"cookie": cookie} if cookie else None)
            set_cookie = click.headers["set-cookie"]
            assert set_cookie.startswith(f"tallystick_ref={'.'.join(codes[:number])};")
            assert {"httponly", "secure", "samesite=lax"} <= {part.strip().lower() for part in set_cookie.split(";")}
            cookie = set_cookie.split(";")[0]

        for code in ("SIXTH123", "FIRST123", "fifth-123"):
            click = await anyone.get(f"/r/{code}", headers={"cookie": cookie})
            assert "set-cookie" not in click.headers
            assert click.headers["location"].endswith(f"ref={code.upper().replace('-', '')}")

    async def test_a_click_on_a_dead_code_blocks_no_later_one(self, anyone: Caller) -> None:
        adas, carols = await code_of(anyone, "ada"), await code_of(anyone, "carol")
        cookie = ""
        for code in ("DEAD1234", adas, carols):
            click = await anyone.get(f"/r/{code}", headers={"cookie": cookie} if cookie else None)
            cookie = click.headers["set-cookie"].split(";")[0]

        arrived = await anyone.named("bob").post("/api/users/upsert", {}, headers={"cookie": cookie})

        assert arrived.json()["attribution"] == "recorded"
        assert (await anyone.named("ada").get("/api/me")).json()["referrals"] == 1

    async def test_a_cookie_from_before_there_were_several_still_counts(self, anyone: Caller) -> None:
        cookie = {"cookie": f"tallystick_ref={await code_of(anyone, 'ada')}"}

        appended = await anyone.get("/r/SECOND12", headers=cookie)
        arrived = await anyone.named("bob").post("/api/users/upsert", {}, headers=cookie)

        assert appended.headers["set-cookie"].startswith(f"{cookie['cookie']}.SECOND12;")
        assert arrived.json()["attribution"] == "recorded"

    @pytest.mark.parametrize("value", ["!", ".", "A.B.C", f"{'.' * 400}GOOD1234", "%2e", "x" * 4000])
    async def test_a_cookie_that_was_tampered_with_harms_nobody(self, anyone: Caller, value: str) -> None:
        cookie = {"cookie": f"tallystick_ref={value}"}

        click = await anyone.get("/r/FIRST123", headers=cookie)
        arrived = await anyone.named("bob").post("/api/users/upsert", {}, headers=cookie)

        assert click.headers["set-cookie"].startswith("tallystick_ref=FIRST123;")
        assert (arrived.status_code, arrived.json()["attribution_reason"]) == (200, "no_code")

    async def test_other_parameters_are_passed_on(self, anyone: Caller) -> None:
        click = await anyone.get("/r/FIRST123?utm_source=mail&utm_campaign=a%20b%26c&flag&q=%C3%A9%23x")

        assert click.headers["location"] == (
            f"{APP_URL}&utm_source=mail&utm_campaign=a+b%26c&flag=&q=%C3%A9%23x&ref=FIRST123"
        )
        without = await anyone.get("/r/!?utm_source=mail")
        assert without.headers["location"] == f"{APP_URL}&utm_source=mail"

    @pytest.mark.parametrize(
        "query",
        [
            *("ref=EVIL1234", "%72ef=EVIL1234", "REF=EVIL1234", "ref[]=EVIL1234", "ref%5B0%5D=EVIL1234"),
            *("+ref=EVIL1234", "ref=EVIL1234&ref=EVIL1234", "ref", "%20ref%20=EVIL1234"),
            *("from=EVIL1234", "a%0d%0aSet-Cookie:EVIL1234=1", "a=%0d%0aEVIL1234", "a=%00EVIL1234", "a=%ffEVIL1234"),
        ],
    )
    async def test_nothing_is_smuggled_past_the_code_or_into_the_headers(self, anyone: Caller, query: str) -> None:
        click = await anyone.get(f"/r/FIRST123?{query}&utm_source=mail")

        assert click.status_code == 302
        assert click.headers["location"] == f"{APP_URL}&utm_source=mail&ref=FIRST123"
        assert "EVIL1234" not in str(click.headers)

    async def test_a_separator_of_old_servers_stays_a_value(self, anyone: Caller) -> None:
        click = await anyone.get("/r/FIRST123?a=1;ref=EVIL1234")

        assert click.headers["location"] == f"{APP_URL}&a=1%3Bref%3DEVIL1234&ref=FIRST123"

    async def test_the_query_that_is_passed_on_is_bounded(self, anyone: Caller) -> None:
        many = "&".join(f"p{number}=1" for number in range(100))
        long = f"a={'x' * 3000}&utm_source=mail&b={'%C3%A9' * 400}"

        answers = [(await anyone.get(f"/r/FIRST123?{query}")).headers["location"] for query in (many, long)]

        assert answers[0].count("&p") == 32
        assert answers[1] == f"{APP_URL}&utm_source=mail&ref=FIRST123"

    @pytest.mark.parametrize("length", [9_113, 32_000])
    async def test_a_first_click_is_kept_among_as_many_cookies_as_the_headers_may_hold(
        self, anyone: Caller, length: int
    ) -> None:
        adas = await code_of(anyone, "ada")
        cookies = f"x={'x' * length}"[: length - 24] + f"; tallystick_ref={adas}"

        click = await anyone.get("/r/SECOND12", headers={"cookie": cookies})
        assert click.headers["set-cookie"].startswith(f"tallystick_ref={adas}.SECOND12;")
        arrived = await anyone.named("bob").post("/api/users/upsert", {}, headers={"cookie": cookies})
        assert arrived.json()["attribution"] == "recorded"

    async def test_a_cookie_that_is_no_code_is_replaced(self, anyone: Caller) -> None:
        click = await anyone.get("/r/FIRST123", headers={"cookie": "tallystick_ref=!"})

        assert click.headers["set-cookie"].startswith("tallystick_ref=FIRST123;")


async def code_of(anyone: Caller, user: str) -> str:
    """Return a user's code, minting it where it is missing."""
    code: str = (await anyone.named(user).get("/api/my-referral-link")).json()["referral_code"]
    return code


async def resolves(anyone: Caller, code: str) -> bool:
    """Return whether anybody can resolve a code."""
    valid: bool = (await anyone.get(f"/api/referral/resolve?code={code}")).json()["valid"]
    return valid
