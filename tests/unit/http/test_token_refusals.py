"""Why a token was refused: the operator learns it from log and metrics, the caller from neither answer nor header."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, get_args

import pytest
from dishka import AsyncContainer

from tallystick.adapters.identity.keys import Purpose, derive
from tallystick.adapters.telemetry.logs import configure
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.domain.tokens import REMEDIES, TokenFault
from tests.http.replacements import published
from tests.http.services import BASE_URL, JWT_SECRET, Caller, running, settings
from tests.http.tokens import (
    EXPIRED,
    HS256,
    INVALID_TOKEN,
    NO_TOKEN,
    TURNED_AWAY,
    answer_to,
    by_secret,
    claims,
    good_token,
    provider,
    seconds_from_now,
    stranger,
    token,
)

ISSUER, AUDIENCE = "https://id.example.org/", "tallystick-app"
SESSION_SECRET = "a secret for the sessions"
GOOD = {"iss": ISSUER, "aud": AUDIENCE}
Service = tuple[Caller, AsyncContainer]


def signed(**changes: object) -> str:
    return good_token(**{**GOOD, **changes})


def of_ours(purpose: Purpose, **changes: object) -> str:
    """Return a session as the service signs it, as a cookie or as a bearer token, with changes."""
    audience = {"sessions": "tallystick-session", "bearers": "tallystick-bearer"}[purpose]
    body = claims(**{"iat": seconds_from_now(0), "iss": "tallystick", "aud": audience, "sid": "f" * 32, **changes})
    return token(HS256, body, by_secret(derive(SESSION_SECRET, purpose)))


REFUSED: dict[str, tuple[TokenFault, str, Callable[[], str]]] = {
    "another secret": (
        "wrong_secret",
        "TALLYSTICK_JWT_SECRET",
        lambda: token(HS256, claims(**GOOD), by_secret("another secret, just as long")),
    ),
    "a stranger's key": (
        "wrong_secret",
        "the published key",
        lambda: stranger().token("RS256", {"kid": provider().rsa.kid}, **GOOD),
    ),
    "another audience": ("audience", AUDIENCE, lambda: signed(aud="another-app")),
    "no audience": ("audience", AUDIENCE, lambda: signed(aud=...)),
    "another issuer": ("issuer", ISSUER, lambda: signed(iss=ISSUER.rstrip("/"))),
    "another issuer by a published key": (
        "issuer",
        ISSUER,
        lambda: provider().token("ES256", {}, iss="x", aud=AUDIENCE),
    ),
    "expired": ("expired", "30 s", lambda: signed(exp=seconds_from_now(-60))),
    "no exp": ("no_exp", "exp", lambda: signed(exp=...)),
    "exp null": ("no_exp", "exp", lambda: signed(exp=None)),
    "nbf ahead": ("not_yet", "nbf", lambda: signed(nbf=seconds_from_now(120))),
    "iat ahead": ("not_yet", "iat", lambda: signed(iat=seconds_from_now(120))),
    "alg none": ("algorithm", "ES256 or HS256 or RS256", lambda: token({"alg": "none"}, claims(), lambda _: b"")),
    "HS512": ("algorithm", "HS256", lambda: token({"alg": "HS512"}, claims(), by_secret(digest="sha512"))),
    "no fitting key": ("unknown_kid", "RS256", lambda: provider().token("RS256", {"kid": provider().ec.kid}, **GOOD)),
    "no JWT": ("malformed", "base64url", lambda: "not-a.jwt"),
    "no signature": ("malformed", "base64url", lambda: signed().rpartition(".")[0]),
    "exp a text": ("malformed", "exp", lambda: signed(exp="tomorrow")),
    "nbf beyond all years": ("malformed", "nbf", lambda: signed(nbf=10**18)),
    "kid a number": ("malformed", "kid", lambda: token({**HS256, "kid": 7}, claims(**GOOD), by_secret())),
    "no sub": ("subject", "sub", lambda: signed(sub=...)),
    "sub with a space": ("subject", "sub", lambda: signed(sub="ada lovelace")),
    "an expired token of sign-in": (
        "expired",
        "30 s",
        lambda: of_ours("bearers", exp=seconds_from_now(-60)),
    ),
    "a token of sign-in for something else": ("audience", "tallystick-bearer", lambda: of_ours("bearers", aud="x")),
    "a token of sign-in whose session has ended": ("session_ended", "has not ended", lambda: of_ours("bearers")),
}

SESSIONS: dict[str, tuple[TokenFault, Callable[[], str]]] = {
    "another key": ("wrong_secret", signed),
    "a token of sign-in": ("wrong_secret", lambda: of_ours("bearers")),
    "another audience": ("audience", lambda: of_ours("sessions", aud="tallystick-bearer")),
    "another issuer": ("issuer", lambda: of_ours("sessions", iss="somebody")),
    "expired": ("expired", lambda: of_ours("sessions", exp=seconds_from_now(-60))),
    "no exp": ("no_exp", lambda: of_ours("sessions", exp=...)),
    "of tomorrow": ("not_yet", lambda: of_ours("sessions", iat=seconds_from_now(86_400))),
    "alg none": ("algorithm", lambda: token({"alg": "none"}, claims(), lambda _: b"")),
    "no JWT": ("malformed", lambda: "not-a.jwt"),
    "no sub": ("subject", lambda: of_ours("sessions", sub=...)),
    "one that has ended": ("session_ended", lambda: of_ours("sessions")),
}

ROUTES = ("/api/referral", "/api/rewards/r1/purchase")
"""A route of the framework, and one past it."""


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Service]:
    configure("info")
    given = settings(
        jwks_url="https://id.example.org/keys",
        session_secret=SESSION_SECRET,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        webhook_bearer="a bearer of the provider",
    )
    async with AsyncExitStack() as running_services:
        yield await running_services.enter_async_context(running(given, "memory", published(provider().document)))


async def refused_for(container: AsyncContainer, fault: TokenFault) -> float:
    """Return how many tokens were refused for a fault."""
    exposition, _ = (await container.get(PrometheusMetrics)).exposition()
    line = f'tallystick_token_refusals_total{{reason="{fault}"}} '
    return float(next(text for text in exposition.decode().splitlines() if text.startswith(line)).split()[-1])


def logged(capsys: pytest.CaptureFixture[str]) -> tuple[str, list[dict[str, Any]]]:
    text = capsys.readouterr().out
    lines = [json.loads(line) for line in text.splitlines()]
    return text, [line for line in lines if line["event"] == "token refused"]


@pytest.mark.parametrize("row", REFUSED)
@pytest.mark.parametrize("path", ROUTES)
async def test_the_operator_learns_the_reason_of_a_refused_token(
    service: Service, capsys: pytest.CaptureFixture[str], path: str, row: str
) -> None:
    anyone, container = service
    fault, expected, issue = REFUSED[row]
    issued, before = issue(), await refused_for(container, fault)
    capsys.readouterr()

    answer = await anyone.call(
        "POST" if "purchase" in path else "GET", path, headers={"authorization": f"Bearer {issued}"}
    )

    text, (line,) = logged(capsys)
    assert (line["reason"], line["sent_as"]) == (fault, "bearer")
    assert expected in line["expected"]
    assert line["correlation_id"] == answer.headers["x-correlation-id"]
    assert await refused_for(container, fault) == before + 1
    for hidden in (issued, *filter(None, issued.split(".")), JWT_SECRET, SESSION_SECRET):
        assert hidden not in text
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, INVALID_TOKEN)
    body = answer.content.replace(answer.headers["x-correlation-id"].encode(), b"")
    assert body == (EXPIRED if fault == "expired" else TURNED_AWAY)[-1]


@pytest.mark.parametrize("row", SESSIONS)
@pytest.mark.parametrize("path", ROUTES)
async def test_and_of_a_refused_session(
    service: Service, capsys: pytest.CaptureFixture[str], path: str, row: str
) -> None:
    anyone, container = service
    fault, issue = SESSIONS[row]
    issued, before = issue(), await refused_for(container, fault)
    capsys.readouterr()

    answer = await anyone.call(
        "POST" if "purchase" in path else "GET",
        path,
        headers={"cookie": f"tallystick_session={issued}", "origin": BASE_URL},
    )

    text, (line,) = logged(capsys)
    assert (line["reason"], line["sent_as"]) == (fault, "session cookie")
    assert await refused_for(container, fault) == before + 1
    assert issued not in text
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, INVALID_TOKEN)


def test_every_fault_has_a_row_and_a_remedy() -> None:
    faults = set(get_args(TokenFault))

    assert {fault for fault, *_ in REFUSED.values()} == faults == set(REMEDIES)
    # Sessions have one key, and it has no name.
    assert {fault for fault, _ in SESSIONS.values()} == faults - {"unknown_kid"}


def test_the_docs_say_what_to_do_about_every_fault() -> None:
    page = (Path(__file__).parents[3] / "docs" / "authentication.md").read_text(encoding="utf-8")
    rows = [f"| `{fault}` | {remedy.replace('|', chr(92) + '|')} |" for fault, remedy in REMEDIES.items()]

    assert [row for row in rows if row not in page] == []


async def test_another_scheme_is_logged_and_is_no_token(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()

    assert await answer_to(service[0], f"Basic {signed()}") == NO_TOKEN

    _, (line,) = logged(capsys)
    assert (line["reason"], line["expected"]) == ("malformed", "Authorization: Bearer TOKEN")


async def test_without_a_token_nothing_is_logged_of_one(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()

    assert await answer_to(service[0]) == NO_TOKEN

    assert logged(capsys)[1] == []


@pytest.mark.parametrize(
    ("sent", "challenge"),
    [
        ({}, "Bearer"),
        ({"authorization": "Basic YTpi"}, "Bearer"),
        ({"authorization": "Bearer x.y.z"}, INVALID_TOKEN),
        ({"authorization": "bearer x.y.z"}, INVALID_TOKEN),
        ({"cookie": "tallystick_session=x.y.z", "origin": BASE_URL}, INVALID_TOKEN),
    ],
    ids=["nothing", "another scheme", "a token", "a token in lower case", "a session"],
)
async def test_every_401_of_every_route_says_how_to_authenticate(
    service: Service, sent: dict[str, str], challenge: str
) -> None:
    anyone, _ = service
    document = (await anyone.get("/schema/openapi.json")).json()
    refused: list[str] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = await anyone.call(method.upper(), path.replace("{", "").replace("}", ""), headers=sent)
            if operation.get("security") != [] or answer.status_code == 401:
                # Nobody sees the webhook's session: it reads the Authorization header alone.
                right = "Bearer" if path == "/api/webhooks/auth" and "cookie" in sent else challenge
                assert (answer.status_code, answer.headers["www-authenticate"]) == (401, right), (method, path)
                refused.append(path)
    assert "/api/webhooks/auth" in refused


async def test_a_wrong_password_is_answered_with_a_challenge_too(service: Service) -> None:
    answer = await service[0].post("/api/auth/sign-in", {"email": "ada@example.org", "password": "wrong password"})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
