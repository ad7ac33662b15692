"""A canary: no log, no metric, no trace and no error holds a personal value or a secret, in any failure."""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from dishka import Provider, Scope

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.telemetry.logs import Pseudonyms, configure
from tests.http.collector import Collector, ReceivedSpan, collecting
from tests.http.services import JWT_SECRET, WEBHOOK_SECRET, Caller, bearer, running, settings
from tests.processes.service import Process

USER = "canary.user@tagged.example"
EMAIL = "canary.mail@tagged.example"
PHONE = "+4599887766"
CODE = "CANARY99"
TYPED_CODE = "canary-99"
BEARER = "canary bearer of the webhook"
GUEST = "canary.guest@tagged.example"
GUEST_PHONE = "+4511223344"
INVITE = "CANARYSEAT7"
TYPED_INVITE = "canary-seat-7"
PASSWORD = "canary pass phrase"
FORCED = {400, 401, 403, 404, 405, 409, 410, 413, 414, 415, 422, 429, 431, 500}

BROKEN = {"POST /api/auth/sign-in", "POST /api/invites/redeem"}
"""The requests that fail in a way that nobody foresaw."""
ROUNDS, ROUND_SECONDS = 8, 3.0


class Evidence:
    """Everything that a run showed to operators and callers, and the texts that must not be in it."""

    def __init__(self) -> None:
        self.statuses: set[int] = set()
        self.errors: list[str] = []
        self.tags: set[str] = {USER, EMAIL, PHONE, CODE, TYPED_CODE, BEARER, JWT_SECRET, WEBHOOK_SECRET}
        self.tags |= {GUEST, GUEST_PHONE, INVITE, TYPED_INVITE, PASSWORD}

    def note(self, response: httpx2.Response) -> httpx2.Response:
        """Note an answer; its body counts where it is an error's."""
        self.statuses.add(response.status_code)
        if response.status_code >= 400:
            self.errors.append(response.text + str(response.headers))
        return response

    def leaks(self, *places: str) -> dict[str, str]:
        """Return every tag that is found, with what stands around it."""
        text = "\n".join((*self.errors, *places))
        folded = text.lower()
        return {tag: text[max(0, folded.index(tag.lower()) - 80) :][:200] for tag in self.tags if tag.lower() in folded}


async def exercise(anyone: Caller, evidence: Evidence) -> None:
    """Go through every flow and every class of error, with tags wherever a value can be sent."""
    token = bearer(USER, "profiles:read")
    ada = Caller(anyone.http, token)
    evidence.tags.add(token.removeprefix("Bearer "))

    async def send(method: str, path: str, caller: Caller = ada, **what: Any) -> httpx2.Response:
        return evidence.note(await caller.call(method, path, **what))

    minted = (await send("GET", "/api/my-referral-link")).json()["referral_code"]
    reminted = (await send("POST", "/api/referral/remint")).json()["referral_code"]
    evidence.tags |= {minted, reminted}
    profile = {"email": EMAIL, "username": "canary", "phone": PHONE}
    assert (await send("POST", "/api/users/upsert", body={**profile, "referred_by": CODE})).status_code == 200
    await send("GET", f"/api/profiles/by-email?email={EMAIL}")
    await send("GET", f"/api/referral/resolve?code={TYPED_CODE}", anyone)
    await send("GET", f"/r/{TYPED_CODE}", anyone)
    await send("GET", "/api/me")

    rival = anyone.named("canary-rival")
    await send("POST", "/api/users/upsert", rival, body=profile)
    await send("POST", "/api/users/upsert", rival, body={"username": EMAIL}, headers={"idempotency-key": CODE})
    await send("POST", "/api/users/upsert", rival, body={"username": "x"}, headers={"idempotency-key": CODE})
    for field in ("email", "username", "display_name", "phone", "referred_by"):
        for value in (f"{EMAIL}\n", f"{PHONE}\x07", [EMAIL], {EMAIL: PHONE}, 99887766):
            await send("POST", "/api/users/upsert", rival, body={field: value})
    for name in (EMAIL, PHONE, CODE):
        await send("POST", "/api/users/upsert", rival, body={name: 1})
    await send("POST", "/api/users/upsert", rival, raw=f'{{"email":"{EMAIL}"'.encode())
    await send("POST", "/api/users/upsert", rival, raw=EMAIL.encode(), headers={"content-type": "text/plain"})
    await send("POST", "/api/users/upsert", rival, raw=(EMAIL * 5000).encode())
    await send("POST", "/api/referral/remint", rival, headers={"idempotency-key": f"{EMAIL} {PHONE}"})
    await send("GET", f"/api/leaderboard?cursor={EMAIL}")
    await send("GET", f"/api/leaderboard?limit={PHONE}")
    await send("GET", f"/api/profiles/by-email?email={EMAIL}", rival)
    await send("GET", f"/nowhere/{EMAIL}/{CODE}?phone={PHONE}")
    await send("DELETE", f"/api/me?email={EMAIL}")
    chief = anyone.named("canary-chief", "admin:flags")
    await send("PUT", f"/api/admin/flags/{EMAIL}", chief, body={"enabled": True})
    for wrong in ({"enabled": EMAIL}, {EMAIL: True, "enabled": True}, [PHONE]):
        await send("PUT", "/api/admin/flags/points_enabled", chief, body=wrong)
    await send("GET", f"/r/{CODE}?padding={EMAIL * 500}", anyone)
    await send("GET", "/api/me", headers={"x-padding": EMAIL * 2000})
    await send("GET", "/api/me", headers={"x-correlation-id": EMAIL})
    await send("GET", "/api/me", headers={"host": f"{EMAIL}/{CODE}"})
    for authorization in (f"Bearer {token}x", f"Basic {EMAIL}", f"Bearer {EMAIL}", f"Bearer {JWT_SECRET}"):
        await send("GET", "/api/me", headers={"authorization": authorization})

    user = {"id": USER, "email": EMAIL, "phone": PHONE, "phone_verified": True}
    evidence.note(await anyone.deliver({"type": "user.created", "data": user}, message_id="m1"))
    evidence.note(await anyone.deliver({"type": "user.created", "data": {"id": f"{EMAIL} {PHONE}"}}, message_id="m2"))
    evidence.note(await anyone.deliver({"type": "user.created", "data": user}, headers={"webhook-id": EMAIL}))
    evidence.note(await anyone.deliver({"type": EMAIL, "data": user}, message_id="m3"))
    raw = json.dumps({"type": "INSERT", "schema": "auth", "table": "users", "record": {"id": EMAIL, "email": EMAIL}})
    await send("POST", "/api/webhooks/auth", raw=raw.encode(), headers={"authorization": f"Bearer {BEARER}"})
    await send("POST", "/api/webhooks/auth", raw=raw.encode(), headers={"authorization": f"Bearer {BEARER}x"})
    evidence.note(await anyone.deliver({"type": "user.deleted", "data": {"id": USER}}, message_id="m4"))
    await send("GET", "/api/me")
    for _ in range(60):
        await send("GET", f"/api/referral/resolve?code={CODE}", anyone)


async def exercise_wallets(anyone: Caller, evidence: Evidence) -> None:
    """Go through sign-up, sign-in, invites, credits and rewards, with tags wherever a value can be sent."""
    guest = anyone.named("canary-guest", phone=GUEST_PHONE)
    staff = anyone.named("canary-staff", "invites:create", "credits:grant", "purchases:batch")

    async def send(caller: Caller, path: str, body: Any, key: str | None = None) -> httpx2.Response:
        return evidence.note(await caller.post(path, body, key=key))

    drawn = (await send(staff, "/api/invites", {"max_uses": 1})).json()["code"]
    evidence.tags.add(drawn)
    assert (await send(staff, "/api/invites", {"max_uses": 2, "code": TYPED_INVITE})).status_code == 201
    await send(staff, "/api/invites", {"max_uses": 2, "code": INVITE})
    for code in (f"{INVITE}!", INVITE * 100, [INVITE], {INVITE: PASSWORD}, 7):
        await send(staff, "/api/invites", {"max_uses": 1, "code": code})
        await send(guest, "/api/invites/redeem", {"code": code})
        await send(anyone, "/api/invites/validate", {"code": code})
    for path in (f"/api/invites/{INVITE}", f"/api/invites/{INVITE}/uses?cursor={PASSWORD}"):
        evidence.note(await guest.get(path))

    whole = {"userId": "canary-guest", "email": GUEST, "password": PASSWORD, "username": "canary guest"}
    whole |= {"displayName": "Guest", "inviteCode": TYPED_INVITE, "phone": GUEST_PHONE}
    sign_up, sign_in = "/api/auth/complete-phone-signup", "/api/auth/sign-in"
    for name, value in whole.items():
        for wrong in (f"{value}!\n", f"{value}\x07{PASSWORD}", [value, PASSWORD], {PASSWORD: value}, PASSWORD + GUEST):
            await send(guest, sign_up, {**whole, "inviteCode": CODE, name: wrong})
    await send(guest, sign_up, {**whole, "password": "canary"})
    await send(guest, sign_up, {**whole, PASSWORD: GUEST})
    await send(anyone.named("canary-other", phone=PHONE), sign_up, {**whole, "userId": "canary-other"})
    assert (await send(guest, sign_up, whole, key=TYPED_INVITE)).status_code == 200
    await send(guest, sign_up, {**whole, "password": PASSWORD * 2}, key=TYPED_INVITE)
    await send(guest, sign_up, whole)
    await send(anyone.named("canary-rival"), sign_up, {**whole, "userId": "canary-rival", "inviteCode": drawn})

    session = await send(anyone, sign_in, {"email": GUEST, "password": PASSWORD})
    evidence.tags |= {session.json()["token"], session.headers["set-cookie"].split(";")[0].partition("=")[2]}
    for wrong in ({"email": GUEST, "password": f"{PASSWORD}!"}, {"email": GUEST}, {PASSWORD: GUEST}, [GUEST, PASSWORD]):
        await send(anyone, sign_in, wrong)
    await send(anyone, f"{sign_in}/{PASSWORD}", {})
    evidence.note(await anyone.call("POST", sign_in, raw=f'{{"password":"{PASSWORD}"'.encode()))
    evidence.note(await anyone.get("/api/me", headers={"authorization": f"Basic {PASSWORD}"}))

    for user in (f"{GUEST} {GUEST_PHONE}", [GUEST]):
        await send(staff, "/api/credits/grants", {"user_id": user, "amount": 1, "reason": "r", "event_key": "e"})
        await send(staff, "/api/rewards/purchases", {"orders": [{"user_id": user, "reward_id": INVITE}]})
    await send(guest, f"/api/rewards/{INVITE}/purchase", None)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def process(tmp_path: Path, collector: Collector) -> Iterator[Process]:
    environment = {
        "TALLYSTICK_JWT_SECRET": JWT_SECRET,
        "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "TALLYSTICK_WEBHOOK_BEARER": BEARER,
        "TALLYSTICK_LOG_LEVEL": "debug",
        "TALLYSTICK_RATE_LIMITS": "resolver=50/minute; sign_up=1000/minute",
        "TALLYSTICK_OTLP_ENDPOINT": collector.address,
        "TALLYSTICK_TRACE_RATIO": "1",
    }
    server = Process("serve", "--port", "0", folder=tmp_path, environment=environment)
    yield server
    server.end()


async def test_a_server_under_every_kind_of_error_leaks_nothing(
    process: Process, collector: Collector, tmp_path: Path
) -> None:
    evidence = Evidence()
    async with httpx2.AsyncClient(base_url=process.wait_until_listening()) as http:
        anyone = Caller(http)
        await exercise_wallets(anyone, evidence)
        await exercise(anyone, evidence)
        await break_the_schema(tmp_path / ".tallystick")
        for path in (f"/api/profiles/by-email?email={EMAIL}", "/api/my-referral-link"):
            evidence.note(await Caller(http, bearer(USER, "profiles:read")).get(path))
        await fail_until_traced(anyone, evidence, collector)
        metrics = (await anyone.get("/metrics")).text
    process.end()
    spans = collector.raw.decode("latin-1")
    database_log = (tmp_path / ".tallystick" / "postgres.log").read_text(encoding="utf-8")

    assert evidence.statuses >= FORCED
    assert '"event": "request failed"' in process.output
    assert "tallystick_http_request_seconds" in metrics
    assert evidence.leaks(process.output, metrics, spans, database_log) == {}


async def fail_until_traced(anyone: Caller, evidence: Evidence, collector: Collector) -> None:
    """Send requests that fail, until the collector has a span of each.

    A server records only some requests a second: those before these may have used the second up.
    """
    failed: set[str] = set()
    for _ in range(ROUNDS):
        broken = [
            await anyone.post("/api/auth/sign-in", {"email": GUEST, "password": PASSWORD}),
            await anyone.named("canary-late").post("/api/invites/redeem", {"code": INVITE}),
        ]
        assert [evidence.note(answer).status_code for answer in broken] == [500, 500]
        spans = await asyncio.to_thread(
            collector.received_within, ROUND_SECONDS, lambda spans: failures(spans) >= BROKEN
        )
        failed = failures(spans)
        if failed >= BROKEN:
            return
    raise AssertionError(failed)


def failures(spans: list[ReceivedSpan]) -> set[str]:
    """Return the requests that failed."""
    return {span.name for span in spans if span.facts.get("tallystick.code") == "INTERNAL_ERROR"}


async def break_the_schema(folder: Path) -> None:
    """Let every look at users, invites and credentials fail in a way that nobody foresaw."""
    cluster = Cluster(folder)
    connection = await asyncpg.connect(cluster.dsn("postgres", "tallystick"))
    for table in ("users", "invites", "credentials"):
        await connection.execute(f"ALTER POLICY {table}_service ON tallystick.{table} USING (1 / 0 = 1)")
    await connection.close()


class LeakyPseudonyms(Pseudonyms):
    """The planted leak: users are logged by their ids."""

    def of(self, user_id: str) -> str:
        return user_id


async def test_a_planted_leak_is_found() -> None:
    lines = io.StringIO()
    configure("debug", lines)
    leaky = Provider(scope=Scope.APP)
    leaky.provide(lambda: LeakyPseudonyms(b""), provides=Pseudonyms, override=True)
    evidence = Evidence()
    given = settings(webhook_bearer=BEARER, rate_limits="resolver=50/minute; sign_up=1000/minute")
    async with running(given, "memory", leaky) as (anyone, _):
        await exercise_wallets(anyone, evidence)
        await exercise(anyone, evidence)
        metrics = (await anyone.get("/metrics")).text

    assert set(evidence.leaks(lines.getvalue(), metrics)) == {USER}
