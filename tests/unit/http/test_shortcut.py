"""The shortcut past the framework: it answers requests as the framework would."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tallystick.entrypoints.http.shortcut import Shortcut
from tests.http.services import Caller, Serve

CORRELATED = {"x-correlation-id": "the-same-for-both"}
FROM_A_PAGE = {**CORRELATED, "origin": "https://elsewhere.example.org"}


@contextmanager
def long_way() -> Iterator[None]:
    """Let every request take the way through the framework."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shortcut, "_at", lambda *_: None)
        yield


@pytest.fixture
async def staff(anyone: Caller) -> Caller:
    return anyone.named("staff", "credits:grant", "invites:create", "rewards:offer")


async def both(caller: Caller, method: str, path: str, *, body: Any = None) -> tuple[Any, Any]:
    """Return the answers along the short way and along the long way."""
    answers = [await caller.call(method, path, body=body, headers=CORRELATED)]
    with long_way():
        answers.append(await caller.call(method, path, body=body, headers=CORRELATED))
    short, long = ((answer.status_code, _stable(answer.headers), answer.content) for answer in answers)
    return short, long


def _stable(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in {"date", "ratelimit"}}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/rewards/unknown/purchase", None),
        ("POST", "/api/rewards/unknown/purchase", {"more": 1}),
        ("POST", "/api/rewards/unknown/purchase/", None),
        ("POST", "/api/rewards//purchase", None),
        ("POST", "/api/rewards/a/b/purchase", None),
        ("POST", "/api/rewards/%2F/purchase", None),
        ("POST", "/api/rewards/%00/purchase", None),
        ("GET", "/api/rewards/unknown/purchase", None),
        ("BREW", "/api/rewards/unknown/purchase", None),
        ("POST", "/api/invites/redeem", {"code": "NONESUCH"}),
        ("POST", "/api/invites/redeem", {"code": 7}),
        ("POST", "/api/invites/redeem", None),
        ("PUT", "/api/invites/redeem", {"code": "NONESUCH"}),
        ("POST", "/api/messages/send", {"channel_id": "01990000-0000-7000-8000-000000000001", "body": "hello"}),
        ("POST", "/api/messages/send", {"channel_id": "none", "body": ""}),
        ("POST", "/api/messages/send/", {"channel_id": "none", "body": "hello"}),
        ("POST", "/api/messages/send", None),
        ("DELETE", "/api/messages/send", None),
        ("GET", "/api/referral/resolve?code=NONESUCH", None),
        ("HEAD", "/api/referral/resolve?code=NONESUCH", None),
        ("POST", "/api/referral/resolve", None),
    ],
)
async def test_both_ways_answer_alike(anyone: Caller, method: str, path: str, body: Any) -> None:
    short, long = await both(anyone.named("ada"), method, path, body=body)

    assert short == long
    assert short[0] < 500


@pytest.mark.parametrize("path", ["/api/rewards/unknown/purchase", "/api/invites/redeem", "/api/messages/send"])
async def test_nobody_comes_along_without_a_token(anyone: Caller, path: str) -> None:
    short, long = await both(anyone, "POST", path)

    assert short == long
    assert short[0] == 401


async def test_a_cookie_needs_the_word_of_a_browser_that_it_comes_from_here(anyone: Caller) -> None:
    answer = await anyone.call("POST", "/api/invites/redeem", headers={"cookie": "tallystick_session=forged"})

    assert answer.status_code == 401


async def test_a_first_answer_is_repeated_along_both(anyone: Caller, staff: Caller) -> None:
    reward = (await staff.post("/api/rewards", {"name": "A hat", "cost": 40})).json()["reward_id"]
    await staff.post("/api/credits/grants", {"user_id": "ada", "amount": 100, "reason": "x", "event_key": "1"})
    path, key = f"/api/rewards/{reward}/purchase", {"idempotency-key": "once"}
    ada = anyone.named("ada")

    first = await ada.call("POST", path, headers=key)
    again = [await ada.call("POST", path, headers={**key, **way}) for way in (CORRELATED, FROM_A_PAGE)]
    with long_way():
        again.append(await ada.call("POST", path, headers=key))

    assert first.status_code == 200
    assert {answer.content for answer in again} == {first.content}
    assert {answer.headers["idempotency-hit"] for answer in again} == {"true"}
    assert {answer.headers["content-type"] for answer in again} == {"application/json"}


async def test_a_message_is_sent_along_both(anyone: Caller) -> None:
    ada = anyone.named("ada")
    channel_id = (await ada.post("/api/channels", {"name": "Table talk"})).json()["channel_id"]
    body = {"channel_id": channel_id, "body": "hello", "client_message_id": "once"}

    short, long = await both(ada, "POST", "/api/messages/send", body=body)

    assert short == long
    assert short[0] == 201


async def test_both_are_measured_by_one_route_template(anyone: Caller) -> None:
    await both(anyone.named("ada"), "POST", "/api/rewards/unknown/purchase")

    lines = (await anyone.get("/metrics")).text.splitlines()
    counted = [
        line for line in lines if line.startswith("tallystick_http_request_seconds_count") and "purchase" in line
    ]
    assert [line.rpartition(" ")[2] for line in counted] == ["2.0"]
    assert 'route="/api/rewards/{reward_id}/purchase"' in counted[0]


async def test_an_allowed_origin_may_read_the_answer(serve: Serve) -> None:
    anyone = await serve(allowed_origins="https://app.example.org")

    answer = await anyone.named("ada").call(
        "POST", "/api/invites/redeem", body={"code": "NONESUCH"}, headers={"origin": "https://app.example.org"}
    )

    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == "https://app.example.org"


async def test_a_bug_reveals_nothing_but_its_correlation_id(anyone: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr("tallystick.entrypoints.http.routes.invites.normal_form", fail)

    short, long = await both(anyone.named("ada"), "POST", "/api/invites/redeem", body={"code": "NONESUCH"})

    assert short == long
    assert short[0] == 500
    assert b"a secret" not in short[2]
