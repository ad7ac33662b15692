"""The resolver reveals whether a code is valid, and nothing else."""

from tests.http.services import Caller
from tests.unit.behaviours.test_http_referrals import code_of

ANSWER_BYTES = 57


class TestResolverRoute:
    async def test_codes_and_aliases_are_valid_however_they_are_typed(self, anyone: Caller) -> None:
        alias = await code_of(anyone, "ada")
        code = (await anyone.named("ada").post("/api/referral/remint")).json()["referral_code"]

        for typed in (code, alias, alias.lower(), f"%20{code[:4]}-{code[4:]}%0A", f"{code[:2]}+{code[2:]}"):
            answer = (await anyone.get(f"/api/referral/resolve?code={typed}")).json()
            assert answer["valid"] is True
            assert answer["code"] in {code, alias}

    async def test_every_kind_of_request_gets_an_answer_of_one_form(self, anyone: Caller) -> None:
        alias = await code_of(anyone, "ada")
        code = (await anyone.named("ada").post("/api/referral/remint")).json()["referral_code"]
        deleted = await code_of(anyone, "gone")
        await anyone.deliver({"type": "user.deleted", "data": {"id": "gone"}})
        queries = {
            "canonical": (f"?code={code}", code, True),
            "alias": (f"?code={alias}", alias, True),
            "deleted": (f"?code={deleted}", deleted, False),
            "unknown": ("?code=NOBODY99", "NOBODY99", False),
            "longest": (f"?code={'Z' * 32}", "Z" * 32, False),
            "too long": (f"?code={'Z' * 33}", "", False),
            "malformed": ("?code=%21%22", "", False),
            "quotes": ("?code=%22%2C%22valid%22%3Atrue", "", False),
            "NUL": ("?code=ABCD%001234", "", False),
            "not UTF-8": ("?code=%FF%FE", "", False),
            "look-alikes": ("?code=%EF%BC%A1BCD1234", "", False),
            "empty": ("?code=", "", False),
            "absent": ("", "", False),
            "other": ("?other=1", "", False),
            "twice": (f"?code={code}&code={alias}", "", False),
        }

        answers = {kind: await anyone.get(f"/api/referral/resolve{query}") for kind, (query, _, _) in queries.items()}

        assert {kind: answer.json() for kind, answer in answers.items()} == {
            kind: {"code": normal, "valid": valid} for kind, (_, normal, valid) in queries.items()
        }
        assert {answer.status_code for answer in answers.values()} == {200}
        assert {len(answer.content) for answer in answers.values()} == {ANSWER_BYTES}
        assert len({tuple(sorted(answer.headers)) for answer in answers.values()}) == 1
        assert {answer.headers["cache-control"] for answer in answers.values()} == {"no-store"}

    async def test_a_bad_token_does_not_matter(self, anyone: Caller) -> None:
        answer = await anyone.get("/api/referral/resolve?code=NOBODY99", headers={"authorization": "Bearer nonsense"})

        assert answer.status_code == 200

    async def test_other_methods_are_not_taken(self, anyone: Caller) -> None:
        answer = await anyone.post("/api/referral/resolve?code=NOBODY99")

        assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
