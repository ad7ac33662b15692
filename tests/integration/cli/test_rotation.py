"""Every secret rotates as docs/secrets.md says, over two instances, and no request is refused on the way."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.http.services import signature_headers
from tests.http.tokens import HS256, by_secret, claims, token
from tests.integration.cli.conftest import on
from tests.processes.installations import Installation
from tests.processes.service import Process

WALK = {"before": "{old}", "add": "{old} {new}", "switch": "{new} {old}", "drop": "{new}"}
"""The secrets of every instance in each round."""
EMAIL, PASSWORD = "ada@example.org", "a good password"


def webhook_secret(name: str) -> str:
    return f"whsec_{base64.b64encode(name.encode().ljust(32)).decode()}"


def secret(kind: str, age: str) -> str:
    """Return the old or the new secret of a kind."""
    return webhook_secret(f"{age} webhook secret") if kind == "WEBHOOK_SECRETS" else f"the-{age}-secret-of-{kind}"


def listing(stage: str) -> dict[str, str]:
    """Return the environment of a round, in which every secret rotates at once."""
    return {"TALLYSTICK_RATE_LIMITS": "off"} | {
        f"TALLYSTICK_{kind}": WALK[stage].format(old=secret(kind, "old"), new=secret(kind, "new"))
        for kind in ("JWT_SECRET", "SESSION_SECRET", "WEBHOOK_SECRETS", "WEBHOOK_BEARER")
    }


def bearer_of(age: str, **more: object) -> dict[str, str]:
    """Return the headers of a token that the issuer signed with its old or its new secret."""
    return {"authorization": f"Bearer {token(HS256, claims(**more), by_secret(secret('JWT_SECRET', age)))}"}


class Held:
    """Items of a client that an instance signed, sealed or stored, and the answers of the other instances to it."""

    def __init__(self, server: Process, label: str) -> None:
        with httpx2.Client(base_url=server.address, trust_env=False) as http:
            signed_in = http.post("/api/auth/sign-in", json={"email": EMAIL, "password": PASSWORD})
            assert signed_in.status_code == 200, signed_in.text
            cookie = signed_in.headers["set-cookie"].partition(";")[0]
            self.sessions = [{"cookie": cookie}, {"authorization": f"Bearer {signed_in.json()['token']}"}]
            page = http.get("/api/leaderboard?limit=1", headers=self.sessions[1]).json()
            self.cursor = page["next_cursor"]
            assert self.cursor is not None
            self.key = f"key-{label}"
            self.answer = self._remint(http)

    def _remint(self, http: httpx2.Client) -> bytes:
        answer = http.post("/api/referral/remint", headers={**self.sessions[1], "idempotency-key": self.key})
        assert answer.status_code == 200, answer.text
        return answer.content

    def statuses(self, server: Process) -> dict[str, list[int]]:
        """Return the answers of an instance to the holder of these."""
        with httpx2.Client(base_url=server.address, trust_env=False) as http:
            got = {
                "sessions": [http.get("/api/me", headers=each).status_code for each in self.sessions],
                "cursor": [
                    http.get(f"/api/leaderboard?limit=1&cursor={self.cursor}", headers=bearer).status_code
                    for bearer in (self.sessions[1],)
                ],
            }
            if got["sessions"] == [200, 200]:
                assert self._remint(http) == self.answer
            return got


GOOD = {"sessions": [200, 200], "cursor": [200]}


def deliver(server: Process, age: str, message_id: str) -> list[int]:
    """Deliver by signature and by bearer, with the old or the new secret of each."""
    raw = json.dumps({"type": "user.updated", "data": {"id": f"of-{message_id}"}}).encode()
    signed = signature_headers(raw, message_id=message_id, secret=secret("WEBHOOK_SECRETS", age))
    unsigned = {"authorization": f"Bearer {secret('WEBHOOK_BEARER', age)}"}
    with httpx2.Client(base_url=server.address, trust_env=False) as http:
        return [
            http.post(
                "/api/webhooks/auth", content=raw, headers={**headers, "content-type": "application/json"}
            ).status_code
            for headers in (signed, unsigned)
        ]


def asked(server: Process, age: str) -> int:
    with httpx2.Client(base_url=server.address, trust_env=False) as http:
        return http.get("/api/referral", headers=bearer_of(age)).status_code


def call(server: Process, path: str, body: Any, **more: object) -> httpx2.Response:
    with httpx2.Client(base_url=server.address, trust_env=False) as http:
        answer = http.post(path, json=body, headers=bearer_of("old", **more))
    assert answer.is_success, answer.text
    return answer


def two_leaders_and_ada(server: Process) -> None:
    """Let ada sign up, and two users lead the board, so that its first page has a cursor."""
    invite = call(server, "/api/invites", {"max_uses": 5}, sub="owner", permissions=["invites:create"]).json()
    who = {"userId": "ada", "email": EMAIL, "password": PASSWORD, "username": "ada", "displayName": "Ada"}
    call(server, "/api/auth/complete-phone-signup", {**who, "inviteCode": invite["code"], "phone": "+4512345678"})
    for leader in ("bob", "carol"):
        code = call(server, "/api/referral/remint", {}, sub=leader).json()["referral_code"]
        call(server, "/api/users/upsert", {"referred_by": code}, sub=f"friend-of-{leader}")


@pytest.fixture
def instances(installation: Installation, dsn: str) -> list[Process]:
    """Return two instances with the secrets of before."""
    return [installation.serve(**{**on(dsn), **listing("before")}) for _ in range(2)]


def rounds(
    installation: Installation, dsn: str, instances: list[Process], *stages: str
) -> Iterator[tuple[str, list[Process]]]:
    """Restart one instance after the other with the secrets of each round."""
    for stage in stages:
        for number in range(len(instances)):
            instances[number].end()
            instances[number] = installation.serve(**{**on(dsn), **listing(stage)})
            yield stage, instances


def test_secrets_rotate_without_a_refused_request(
    installation: Installation, dsn: str, instances: list[Process]
) -> None:
    two_leaders_and_ada(instances[0])
    held = [Held(server, f"before-{number}") for number, server in enumerate(instances)]

    for step, (stage, servers) in enumerate(rounds(installation, dsn, instances, "add", "switch"), start=1):
        held += [Held(server, f"{stage}-{step}-{number}") for number, server in enumerate(servers)]
        assert [each.statuses(server) for each in held for server in servers] == [GOOD] * 2 * len(held)
        # Issuer and provider may sign with the new secret once every instance has it.
        ages = ("old", "new") if stage == "switch" or step == len(servers) else ("old",)
        for age in ages:
            assert [asked(server, age) for server in servers] == [200, 200]
            delivered = [deliver(server, age, f"{step}-{age}-{number}") for number, server in enumerate(servers)]
            assert delivered == [[200, 200]] * 2

    before, after = held[:2], [Held(server, f"last-{number}") for number, server in enumerate(instances)]
    for _stage, servers in rounds(installation, dsn, instances, "drop"):
        assert [each.statuses(server) for each in after for server in servers] == [GOOD] * 4
    for server in instances:
        assert [each.statuses(server)["sessions"] for each in before] == [[401, 401]] * 2
        assert (asked(server, "old"), asked(server, "new")) == (401, 200)
        assert deliver(server, "old", "late") == [401, 401]
        assert deliver(server, "new", f"last-{server.pid}") == [200, 200]


def test_a_session_that_a_webhook_secret_signs_starts_no_server(installation: Installation, dsn: str) -> None:
    """Nothing is derived from a secret that a provider holds: without one of its own the start is refused."""
    given = {name: value for name, value in on(dsn).items() if name != "TALLYSTICK_JWT_SECRET"}

    for more in ({}, {"TALLYSTICK_IDENTITY": "external"}, {"TALLYSTICK_WEBHOOK_BEARER": "a bearer of the provider"}):
        refused = installation.run(
            "serve", "--port", "0", TALLYSTICK_JWKS_URL="http://127.0.0.1:9/keys", **{**given, **more}
        )

        assert refused.returncode == 2
        assert refused.stderr.startswith("tallystick: TALLYSTICK_SESSION_SECRET is needed")
