"""Checks of the boundary: who is turned away, what a stranger can tell apart, and how often anybody may ask."""

import base64
import json
import re
from collections.abc import Mapping
from http import HTTPStatus

from tallystick.domain.codes import CODE_LENGTH, CROCKFORD
from tallystick.entrypoints.acceptance.outside import Answer, Finding, Outside
from tallystick.entrypoints.acceptance.statistics import deviation, later_share

_RESOLVE = "/api/referral/resolve?code="
_POLICY = re.compile(r'"resolver";q=(\d+);w=(\d+)')
_MOST_FLOOD = 2_000
_PAIRS = 40
_TURNED_AWAY = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_ELSEWHERE = "https://elsewhere.invalid"
_OWN_HEADERS = {"content-length", "content-type", "cache-control", "x-content-type-options"}
"""The headers of the service that do not differ by request; a proxy may add others."""


async def readiness(outside: Outside) -> Finding:
    """The server takes requests."""
    answer = await outside.ask("GET", "/readyz")
    if answer.is_ok:
        return Finding("ok", "ready")
    if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
        return Finding("no", f"GET /readyz got {answer.status}")
    return Finding("no", "; ".join(answer.json().get("reasons", [])))


async def authentication(outside: Outside) -> Finding:
    """Strangers and forged tokens are turned away."""
    user = outside.user("stranger")
    head, body, _ = outside.bearer(user)["authorization"].split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    forged: Mapping[str, dict[str, str]] = {
        "no token": {},
        "no JWT": {"authorization": "Bearer x"},
        "a signature of nobody": {"authorization": f"{head}.{body}.{'A' * 43}"},
        "alg none": {"authorization": f"Bearer {unsigned}.{body}."},
        "expired": outside.bearer(user, exp=1_000_000_000),
    }
    taken = []
    for name, headers in forged.items():
        answer = await outside.ask("GET", "/api/my-referral-link", headers=headers)
        if answer.status != HTTPStatus.UNAUTHORIZED or "www-authenticate" not in answer.headers:
            taken.append(f"{name} got {answer.status}")
    return Finding("no", "; ".join(taken)) if taken else Finding("ok", f"{len(forged)} forged requests got 401")


async def cross_site(outside: Outside) -> Finding:
    """No page of another site acts in the name of a user."""
    user = outside.bearer(outside.user("cross-site"))
    faults = []
    cookie = {"cookie": "tallystick_session=x", "origin": _ELSEWHERE}
    answer = await outside.ask("POST", "/api/users/upsert", headers=cookie, json={})
    if answer.status not in _TURNED_AWAY:
        faults.append(f"a cookie from another origin got {answer.status}")
    form = {**user, "content-type": "text/plain"}
    answer = await outside.ask("POST", "/api/users/upsert", headers=form, json={})
    if answer.status != HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        faults.append(f"a form got {answer.status}")
    asked = {"origin": _ELSEWHERE, "access-control-request-method": "POST"}
    answer = await outside.ask("OPTIONS", "/api/users/upsert", headers=asked)
    if answer.headers.get("access-control-allow-origin") in {"*", _ELSEWHERE}:
        faults.append("any origin is allowed by CORS")
    return Finding("no", "; ".join(faults)) if faults else Finding("ok", "cookies, forms and CORS of another origin")


async def cache_headers(outside: Outside) -> Finding:
    """Nobody between the server and its user keeps an answer."""
    answers = [
        await outside.ask("GET", "/api/referral", headers=outside.bearer(outside.user("cache"))),
        await outside.ask("GET", f"{_RESOLVE}{_unknown(0)}"),
    ]
    kept = [answer.headers.get("cache-control", "none") for answer in answers if not _is_fresh(answer)]
    return Finding("no", f"cache-control is {kept[0]}") if kept else Finding("ok", "no-store, and no Age")


def _is_fresh(answer: Answer) -> bool:
    return "no-store" in answer.headers.get("cache-control", "") and "age" not in answer.headers


async def constant_shape(outside: Outside) -> Finding:
    """A stranger cannot tell known from unknown codes by status, headers or length."""
    known = next(iter(outside.codes.values()))
    answers = [await outside.ask("GET", f"{_RESOLVE}{code}") for code in (known, _unknown(1), "x", "")]
    shapes = {shape_of(answer) for answer in answers}
    return Finding("ok" if len(shapes) == 1 else "no", f"{len(shapes)} shape of known, unknown and malformed codes")


def shape_of(answer: Answer) -> tuple[int, int, tuple[tuple[str, str], ...]]:
    """Return the status, the length and the headers of an answer, which a stranger sees without reading it."""
    own = sorted((name, value) for name, value in answer.headers.items() if name in _OWN_HEADERS)
    return answer.status, len(answer.content), tuple(own)


async def constant_time(outside: Outside) -> Finding:
    """A stranger cannot tell known from unknown codes by the time of the answer."""
    known = list(outside.codes.values())
    times: tuple[list[float], list[float]] = [], []
    for number in range(_PAIRS):
        # In turns, each first in every second pair: what slows the machine slows both.
        for is_known in (number % 2 == 0, number % 2 == 1):
            code = known[number % len(known)] if is_known else _unknown(number)
            answer = await outside.ask("GET", f"{_RESOLVE}{code}")
            if not answer.is_ok:
                return Finding("note", f"the rate limit allows only {number} pairs; ask again in a minute")
            times[not is_known].append(answer.seconds)
    share, chance = later_share(*times), deviation(_PAIRS, _PAIRS)
    is_close = abs(share - 0.5) <= 0.05 + 3 * chance
    return Finding(
        "ok" if is_close else "no",
        f"known codes are slower in {share:.2f} of {_PAIRS**2:,} pairs (0.45 to 0.55; chance adds {3 * chance:.2f})",
    )


async def rate_limit(outside: Outside) -> Finding:
    """Too many look-ups of one address are refused, with the time after which it may ask again."""
    answer = await outside.ask("GET", f"{_RESOLVE}{_unknown(2)}")
    policy = _POLICY.search(answer.headers.get("ratelimit-policy", ""))
    if policy is None:
        return Finding("no", "no limit is named")
    limit, window = int(policy[1]), int(policy[2])
    if limit > _MOST_FLOOD:
        return Finding("note", f"{limit} look-ups in {window} s are allowed: not tried")
    for number in range(limit + 1):
        answer = await outside.ask("GET", f"{_RESOLVE}{_unknown(number)}")
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS and "retry-after" in answer.headers:
            return Finding("ok", f"429 within {limit} look-ups in {window} s, and Retry-After")
    return Finding("no", f"{limit + 1} look-ups were answered, and {limit} in {window} s are allowed")


def _unknown(number: int) -> str:
    """Return a code that can belong to nobody but by chance: one of a trillion."""
    symbols = [CROCKFORD[(number * 7 + place * 13) % len(CROCKFORD)] for place in range(CODE_LENGTH)]
    return "".join(symbols)
