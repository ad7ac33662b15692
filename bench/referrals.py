"""Referrals, compared with the framework's empty route: each function returns rows measured side by side."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from bench.client import WrongAnswer
from bench.drivers import CONNECTIONS, Slot, repeat, send
from bench.messages import Signer, get
from bench.report import Row, Say, rates, row
from bench.servers import Server, framework, tallystick

EMPTY, KNOWN = "empty route", "a known code"
RESOLVE_AIM = 0.8
MOST_PER_SECOND = 10_000
"""The most writes that are prepared for each second."""

_STEADY_PER_SECOND = (20.0, 2000.0)
_SAMPLE = 50
_WARM_REQUESTS = 1000
_SLOW_MS = 1000.0
_MOST_MEGABYTES = 150.0
_ANSWER_SECONDS = 10.0


class Plan(NamedTuple):
    """The sizes and durations of a run. Turns are short, because machines change their speed within seconds."""

    pairs: int
    kind_rounds: int
    slot_seconds: float
    write_rounds: int
    write_seconds: float
    steady_seconds: float
    late_pairs: int


FULL = Plan(
    pairs=24, kind_rounds=12, slot_seconds=0.3, write_rounds=8, write_seconds=0.6, steady_seconds=6.0, late_pairs=12
)
QUICK = Plan(
    pairs=5, kind_rounds=2, slot_seconds=0.3, write_rounds=2, write_seconds=0.4, steady_seconds=1.5, late_pairs=0
)


class Lookup(NamedTuple):
    """A GET, and the bytes that its answer must contain."""

    server: Server
    path: str
    holds: bytes


class Bench(NamedTuple):
    """The two servers of a run, and its plan."""

    service: Server
    framework: Server
    signer: Signer
    plan: Plan
    say: Say


def measure(folder: Path, say: Say, plan: Plan) -> list[Row]:
    """Measure all of it against the framework's empty route; both servers are started for this."""
    signer = Signer()
    say("starting the servers")
    with (
        framework(folder / "framework") as reference,
        tallystick(folder / "service", jwt_secret=signer.jwt_secret, webhook_secret=signer.webhook_secret) as service,
    ):
        bench = Bench(service, reference, signer, plan, say)
        asked = lookups(bench)
        rows = resolving(bench, asked)
        written = writing(bench)
        rows += [*written.rows, time_to_code(bench, written.webhooks_per_second)]
        rows += [*resolving_later(bench, asked, written.callers), memory(bench)]
        say("ending the servers")
    return rows


def lookups(bench: Bench) -> dict[str, Lookup]:
    """Return the repeated requests: the framework's empty route, and a look-up for every kind of code."""
    known, alias = _codes(bench)
    path = "/api/referral/resolve"
    asked = {
        "a known code": (f"{path}?code={known}", b'"valid":true'),
        "an unknown code": (f"{path}?code=NOBODY99", b'"valid":false'),
        "an alias": (f"{path}?code={alias}", b'"valid":true'),
        "a malformed code": (f"{path}?code=!!!!!!!!", b'"valid":false'),
        "no code": (path, b'"valid":false'),
    }
    found = {EMPTY: Lookup(bench.framework, "/empty", b"{}")}
    found |= {kind: Lookup(bench.service, *each) for kind, each in asked.items()}
    for kind, (server, target, holds) in found.items():
        number = _WARM_REQUESTS if kind in {EMPTY, KNOWN} else 1
        send(server, [get(target)] * number, holds, seconds=1.0)
    return found


def resolving(bench: Bench, asked: dict[str, Lookup]) -> list[Row]:
    """Resolve a known code in turns with the framework's empty route, and codes of every kind in turns."""
    pairs = _turns(bench, "resolving", [asked[EMPTY], asked[KNOWN]], bench.plan.pairs)
    first = rates(f"resolve {KNOWN}", pairs[1], EMPTY, pairs[0], at_least=RESOLVE_AIM)
    kinds = [kind for kind in asked if kind != EMPTY]
    slots = _turns(bench, "resolving every kind", [asked[kind] for kind in kinds], bench.plan.kind_rounds)
    others = zip(kinds[1:], slots[1:], strict=True)
    return [first] + [
        rates(f"resolve {kind}", taken, KNOWN, slots[0], at_least=0.9, at_most=1.1) for kind, taken in others
    ]


def resolving_later(bench: Bench, asked: dict[str, Lookup], callers: int) -> list[Row]:
    """Resolve again after many users have called: state about callers must not make requests slower."""
    if not bench.plan.late_pairs:
        return []
    pairs = _turns(bench, "resolving again", [asked[EMPTY], asked[KNOWN]], bench.plan.late_pairs)
    note = f"after {callers:,} users had called, each counted by the rate limits"
    return [rates(f"resolve {KNOWN}, later", pairs[1], EMPTY, pairs[0], at_least=RESOLVE_AIM, note=note)]


def _turns(bench: Bench, doing: str, asked: list[Lookup], rounds: int) -> list[list[Slot]]:
    """Run the requests in turns and alternate their order, so that a machine that slows down favours none of them."""
    slots: list[list[Slot]] = [[] for _ in asked]
    for turn in range(rounds):
        bench.say(f"{doing}, round {turn + 1} of {rounds}")
        for place in range(len(asked))[:: -1 if turn % 2 else 1]:
            slots[place].append(repeat(*asked[place], seconds=bench.plan.slot_seconds))
    return slots


class Written(NamedTuple):
    """Writes and their rates."""

    rows: list[Row]
    webhooks_per_second: float
    callers: int
    """The number of users who requested their link."""


def writing(bench: Bench) -> Written:
    """Mint codes for new users who request their link, and send deliveries about new users."""
    signer, plan = bench.signer, bench.plan
    number = int(MOST_PER_SECOND * plan.write_seconds)
    empty: list[Slot] = []
    mints: list[Slot] = []
    deliveries: list[Slot] = []
    for turn in range(plan.write_rounds):
        bench.say(f"writing, round {turn + 1} of {plan.write_rounds}")
        asks = [signer.link_request(user_id) for user_id in signer.new_users(number)]
        requests = [signer.delivery(user_id) for user_id in signer.new_users(number)]
        emptiest = [get("/empty")] * CONNECTIONS
        empty.append(send(bench.framework, emptiest, b"{}", seconds=plan.write_seconds, repeats=True))
        mints.append(send(bench.service, asks, b'"pending":false', seconds=plan.write_seconds))
        deliveries.append(send(bench.service, requests, b'"status":"processed"', seconds=plan.write_seconds))
    rows = [
        rates("mint on read, a new user each", mints, EMPTY, empty),
        rates("webhook user.created", deliveries, EMPTY, empty),
    ]
    callers = sum(len(slot.latencies_ms) for slot in mints)
    return Written(rows, median(slot.per_second for slot in deliveries), callers)


def time_to_code(bench: Bench, webhooks_per_second: float) -> Row:
    """Deliver new users at half of the service's highest rate, and look up the codes of some of them."""
    least, most = _STEADY_PER_SECOND
    per_second = min(most, max(least, webhooks_per_second / 2))
    seconds = bench.plan.steady_seconds
    bench.say(f"time to code, {per_second:.0f} new users a second")
    users = bench.signer.new_users(int(per_second * seconds))
    deliveries = [bench.signer.delivery(user_id) for user_id in users]
    slot = send(bench.service, deliveries, b'"status":"processed"', seconds=seconds, per_second=per_second)
    for user_id in users[:: max(1, len(users) // _SAMPLE)]:
        _check_resolvable(bench, user_id)
    cuts = quantiles(slot.latencies_ms, n=100, method="inclusive")
    return row(
        "time to code, p95",
        "one second",
        [(cuts[94], _SLOW_MS)],
        unit="ms",
        at_most=1.0,
        note=f"p50 {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms, p99 {cuts[98]:.1f} ms at {per_second:,.0f} new users a "
        f"second, from the moment the delivery was due to its answer, which comes after the commit",
    )


def memory(bench: Bench) -> Row:
    """Measure the memory of the server after all loads."""
    return row(
        "memory of the server",
        "150 MB",
        [(bench.service.resident_megabytes(), _MOST_MEGABYTES)],
        unit="MB",
        at_most=1.0,
        note="resident memory after all loads, one process; the database is not included",
    )


def _codes(bench: Bench) -> tuple[str, str]:
    """Return a code, and an older one of the same user."""
    [user_id] = bench.signer.new_users(1)
    authorization = bench.signer.bearer(user_id)
    alias = _ask(bench.service, "/api/my-referral-link", authorization)["referral_code"]
    reminted = _ask(bench.service, "/api/referral/remint", authorization, method="POST")
    if reminted["alias"] != alias:
        raise WrongAnswer(f"the alias of {alias} is said to be {reminted['alias']}")
    return str(reminted["referral_code"]), str(alias)


def _check_resolvable(bench: Bench, user_id: str) -> None:
    """Find a user's code without minting it, and resolve it."""
    link = _ask(bench.service, "/api/referral", bench.signer.bearer(user_id))
    resolved = _ask(bench.service, f"/api/referral/resolve?code={link['referral_code']}")
    if link["pending"] or not resolved["valid"]:
        raise WrongAnswer(f"{user_id} was delivered, and has no code that resolves")


def _ask(server: Server, path: str, authorization: str | None = None, *, method: str = "GET") -> dict[str, object]:
    headers = {"authorization": authorization} if authorization is not None else {}
    request = urllib.request.Request(server.address + path, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as response:
            answer = json.loads(response.read())
    except (OSError, ValueError) as error:
        raise WrongAnswer(f"{method} {path.partition('?')[0]}: {error}") from None
    if not isinstance(answer, dict):
        raise WrongAnswer(f"{path}: an object was expected")
    return answer
