"""Checks of referrals: codes come fast, differ, are random, and go on working."""

from http import HTTPStatus

from tallystick.domain.codes import CROCKFORD
from tallystick.entrypoints.acceptance.outside import Finding, Outside, together
from tallystick.entrypoints.acceptance.statistics import percentile, unevenness

_TIMED = 20
_MOST_SECONDS = 1.0
_MOST_DEVIATIONS = 6.0
_FEWEST_SYMBOLS = 320
"""Ten of each symbol: with fewer, chi-square says nothing."""


async def time_to_code(outside: Outside) -> Finding:
    """New users, one after the other, from the request to the answer with their code."""
    answers = [await outside.mint(outside.user(f"timed-{number}")) for number in range(_TIMED)]
    wrong = [answer.status for answer in answers if not answer.is_ok]
    if wrong:
        return Finding("no", f"{len(wrong)} of {_TIMED} users got {wrong[0]}")
    p95 = percentile([answer.seconds for answer in answers], 0.95)
    return Finding(
        "ok" if p95 <= _MOST_SECONDS else "no", f"p95 {p95 * 1000:.0f} ms of {_TIMED} new users (at most 1 s)"
    )


async def collisions(outside: Outside) -> Finding:
    """Many users at a time: each gets a code, and no two get one code."""
    users = [outside.user(number) for number in range(outside.users)]
    answers = await together(outside.mint(user) for user in users)
    wrong = [answer.status for answer in answers if not answer.is_ok]
    if wrong:
        return Finding("no", f"{len(wrong)} of {len(users)} users got {wrong[0]}")
    equal = len(users) - len({outside.codes[user] for user in users})
    return Finding("no" if equal else "ok", f"{equal} equal codes of {len(users)} users who asked in parallel")


async def randomness(outside: Outside) -> Finding:
    """The symbols of all codes are drawn evenly."""
    codes = list(outside.codes.values())
    if sum(map(len, codes)) < _FEWEST_SYMBOLS:
        return Finding("note", f"{len(codes)} codes are too few to judge; use more --users")
    found = unevenness(codes, CROCKFORD)
    return Finding(
        "ok" if found <= _MOST_DEVIATIONS else "no",
        f"chi-square of {len(codes)} codes is {found:+.1f} deviations from an even draw (at most 6)",
    )


async def share(outside: Outside) -> Finding:
    """A link works at once: the same code for every reader, known to the resolver, and the click leads to the app."""
    user = outside.user("share")
    await outside.mint(user)
    code = outside.codes[user]
    read = await outside.ask("GET", "/api/referral", headers=outside.bearer(user))
    if not read.is_ok or read.json()["referral_code"] != code:
        return Finding("no", "the next request shows another code")
    if not await outside.resolves(code):
        return Finding("no", "the resolver does not know the code yet")
    click = await outside.ask("GET", f"/r/{code}")
    if click.status != HTTPStatus.FOUND or f"ref={code}" not in click.headers.get("location", ""):
        return Finding("no", f"a click got {click.status} and no redirection with the code")
    return Finding("ok", "link, resolver and click agree at once")


async def normal_form(outside: Outside) -> Finding:
    """Every spelling of a code is the same code."""
    user = outside.user("spelling")
    await outside.mint(user)
    code = outside.codes[user]
    spellings = [code.lower(), f"{code[:4]}-{code[4:]}", f"%20{code[:2]}%20{code[2:].lower()}-"]
    unknown = [spelling for spelling in spellings if not await outside.resolves(spelling)]
    return Finding("no" if unknown else "ok", f"{len(spellings) - len(unknown)} of {len(spellings)} spellings resolve")


async def aliases(outside: Outside) -> Finding:
    """A replaced code goes on working."""
    user = outside.user("alias")
    await outside.mint(user)
    earlier = outside.codes[user]
    answer = await outside.ask("POST", "/api/referral/remint", headers=outside.bearer(user))
    if not answer.is_ok:
        return Finding("no", f"a user who replaces their code got {answer.status}")
    resolve = [await outside.resolves(code) for code in (earlier, answer.json()["referral_code"])]
    return Finding("ok" if all(resolve) else "no", f"earlier and present code resolve: {resolve[0]}, {resolve[1]}")


async def verified_phone(outside: Outside) -> Finding:
    """A verified phone stays verified, whatever a later token says."""
    user, path = outside.user("phone"), "/api/users/upsert"
    shown = []
    for claims in ({"phone_verified": True}, {"phone_verified": False}, {}):
        answer = await outside.ask("POST", path, headers=outside.bearer(user, **claims), json={})
        if not answer.is_ok:
            return Finding("no", f"an upsert got {answer.status}")
        shown.append(bool(answer.json()["otp_verified"]))
    return Finding("ok" if all(shown) else "no", f"verified by three tokens in turn: {', '.join(map(str, shown))}")
