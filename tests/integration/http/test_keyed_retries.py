"""Keyed retries across instances and secrets: a repeated request gets its first answer."""

import asyncio

from tests.http.services import JWT_SECRET, Serve, bearer


async def test_an_instance_with_other_secrets_answers_a_retry(serve: Serve) -> None:
    ada = {"authorization": bearer("ada")}
    instances = [
        await serve(session_secret="the secret of one instance"),
        await serve(session_secret="the secret of the other one"),
        await serve(jwt_secret=f'"{JWT_SECRET}" another-secret-of-tokens'),
    ]

    answers = [await each.post("/api/referral/remint", key="k1", headers=ada) for each in instances]
    other = [await each.post("/api/referral/remint", {}, key="k1", headers=ada) for each in instances]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.content for answer in answers} == {answers[0].content}
    assert [answer.headers.get("idempotency-hit") for answer in answers] == [None, "true", "true"]
    assert [answer.status_code for answer in other] == [422] * 3


async def test_instances_that_need_the_first_key_at_once_agree_on_one(serve: Serve) -> None:
    instances = [await serve(session_secret=f"the secret of instance {number}") for number in range(4)]

    async def remint(number: int, user: str) -> int:
        headers = {"authorization": bearer(user)}
        return (await instances[number].post("/api/referral/remint", key="k1", headers=headers)).status_code

    first = await asyncio.gather(*(remint(number, f"user-{number}") for number in range(4)))
    again = await asyncio.gather(*(remint((number + 1) % 4, f"user-{number}") for number in range(4)))

    assert (first, again) == ([200] * 4, [200] * 4)
