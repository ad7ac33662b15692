"""Referrals, next to the framework's empty route: each function returns rows measured side by side."""

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
"""How many writes a second are prepared at most."""

_STEADY_PER_SECOND = (20.0, 2000.0)
_SAMPLE = 50
_WARM_REQUESTS = 1000
_SLOW_MS = 1000.0
_MOST_MEGABYTES = 150.0
_ANSWER_SECONDS = 10.0


class Plan(NamedTuple):
    """How much of everything there is. Many short turns: machines change their speed within seconds."""

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


class Question(NamedTuple):
    """A GET, and what its answer holds."""

    server: Server
    path: str
    holds: bytes


class Bench(NamedTuple):
    """The two servers of a run, and how it is run."""

    service: Server
    framework: Server
    signer: Signer
    plan: Plan
    say: Say


def measure(folder: Path, say: Say, plan: Plan) -> list[Row]:
    """Measure it all, against the empty route of the framework; both servers are started for this."""
    signer = Signer()
    say("starting the servers")
    with (
        framework(folder / "framework") as reference,
        tallystick(folder / "service", jwt_secret=signer.jwt_secret, webhook_secret=signer.webhook_secret) as service,
    ):
        bench = Bench(service, reference, signer, plan, say)
        asked = questions(bench)
        rows = resolving(bench, asked)
        written = writing(bench)
        rows += [*written.rows, time_to_code(bench, written.webhooks_per_second)]
        rows += [*resolving_later(bench, asked, written.callers), memory(bench)]
        say("ending the servers")
    return rows


def questions(bench: Bench) -> dict[str, Question]:
    """Return what is asked over and over: the framework's empty route, and a code of every kind."""
    known, alias = _codes(bench)
    path = "/api/referral/resolve"
    asked = {
        "a known code": (f"{path}?code={known}", b'"valid":true'),
        "an unknown code": (f"{path}?code=NOBODY99", b'"valid":false'),
        "an alias": (f"{path}?code={alias}", b'"valid":true'),
        "a malformed code": (f"{path}?code=!!!!!!!!", b'"valid":false'),
        "no code": (path, b'"valid":false'),
    }
    found = {EMPTY: Question(bench.framework, "/empty", b"{}")}
    found |= {kind: Question(bench.service, *each) for kind, each in asked.items()}
    for kind, (server, target, holds) in found.items():
        number = _WARM_REQUESTS if kind in {EMPTY, KNOWN} else 1
        send(server, [get(target)] * number, holds, seconds=1.0)
    return found


def resolving(bench: Bench, asked: dict[str, Question]) -> list[Row]:
    """Resolve a known code in turns with the framework's empty route, and codes of every kind in turns."""
    pairs = _turns(bench, "resolving", [asked[EMPTY], asked[KNOWN]], bench.plan.pairs)
    first = rates(f"resolve {KNOWN}", pairs[1], EMPTY, pairs[0], at_least=RESOLVE_AIM)
    kinds = [kind for kind in asked if kind != EMPTY]
    slots = _turns(bench, "resolving every kind", [asked[kind] for kind in kinds], bench.plan.kind_rounds)
    others = zip(kinds[1:], slots[1:], strict=True)
    return [first] + [
        rates(f"resolve {kind}", taken, KNOWN, slots[0], at_least=0.9, at_most=1.1) for kind, taken in others
    ]


def resolving_later(bench: Bench, asked: dict[str, Question], callers: int) -> list[Row]:
    """Resolve again, now that many users have called: what is kept about callers must not make requests slower."""
    if not bench.plan.late_pairs:
        return []
    pairs = _turns(bench, "resolving again", [asked[EMPTY], asked[KNOWN]], bench.plan.late_pairs)
    note = f"after {callers:,} users had called, each counted by the rate limits"
    return [rates(f"resolve {KNOWN}, later", pairs[1], EMPTY, pairs[0], at_least=RESOLVE_AIM, note=note)]


def _turns(bench: Bench, doing: str, asked: list[Question], rounds: int) -> list[list[Slot]]:
    """Ask in turns, now from one end and now from the other: a machine that slows down favours nobody."""
    slots: list[list[Slot]] = [[] for _ in asked]
    for turn in range(rounds):
        bench.say(f"{doing}, round {turn + 1} of {rounds}")
        for place in range(len(asked))[:: -1 if turn % 2 else 1]:
            slots[place].append(repeat(*asked[place], seconds=bench.plan.slot_seconds))
    return slots


class Written(NamedTuple):
    """What was written how fast."""

    rows: list[Row]
    webhooks_per_second: float
    callers: int
    """How many users asked for their link."""


def writing(bench: Bench) -> Written:
    """Mint codes, each for another user who asks for their link, and take deliveries, each of another user."""
    signer, plan = bench.signer, bench.plan
    number = int(MOST_PER_SECOND * plan.write_seconds)
    empty: list[Slot] = []
    mints: list[Slot] = []
    deliveries: list[Slot] = []
    for turn in range(plan.write_rounds):
        bench.say(f"writing, round {turn + 1} of {plan.write_rounds}")
        asks = [signer.link_request(user_id) for user_id in signer.new_users(number)]
        told = [signer.delivery(user_id) for user_id in signer.new_users(number)]
        emptiest = [get("/empty")] * CONNECTIONS
        empty.append(send(bench.framework, emptiest, b"{}", seconds=plan.write_seconds, repeats=True))
        mints.append(send(bench.service, asks, b'"pending":false', seconds=plan.write_seconds))
        deliveries.append(send(bench.service, told, b'"status":"processed"', seconds=plan.write_seconds))
    rows = [
        rates("mint on read, a new user each", mints, EMPTY, empty),
        rates("webhook user.created", deliveries, EMPTY, empty),
    ]
    callers = sum(len(slot.latencies_ms) for slot in mints)
    return Written(rows, median(slot.per_second for slot in deliveries), callers)


def time_to_code(bench: Bench, webhooks_per_second: float) -> Row:
    """Deliver new users at a steady half of what the service can take, and look for the codes of some."""
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
    """Weigh the server after all this."""
    return row(
        "memory of the server",
        "150 MB",
        [(bench.service.resident_megabytes(), _MOST_MEGABYTES)],
        unit="MB",
        at_most=1.0,
        note="resident, after all of the load, one process; the database has its own",
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
