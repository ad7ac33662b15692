"""The other side of the line: tokens that just hold, and what they say of their bearer."""

from collections.abc import AsyncIterator

import pytest

from tallystick.adapters.memory.ports import ManualClock
from tests.http.replacements import published, stopped
from tests.http.services import JWT_SECRET, Caller, running, settings
from tests.http.tokens import EXPIRED, HS256, TURNED_AWAY, answer_to, by_secret, claims, good_token, provider, token


@pytest.fixture(scope="module")
async def anyone() -> AsyncIterator[Caller]:
    """Return a caller of a service that takes a shared secret and published keys."""
    given = settings(jwt_secret=JWT_SECRET, jwks_url="https://id.example.org/keys")
    async with running(given, "memory", published(provider().document)) as (caller, _):
        yield caller


async def status_of(anyone: Caller, authorization: str) -> int:
    return (await answer_to(anyone, authorization))[0]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "])
async def test_the_scheme_is_read_without_regard_to_case_or_space(anyone: Caller, scheme: str) -> None:
    assert await status_of(anyone, f"{scheme} {good_token()}") == 200


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_a_token_without_a_key_id_is_verified_with_the_only_key_that_fits(anyone: Caller, algorithm: str) -> None:
    assert await status_of(anyone, f"Bearer {provider().token(algorithm, {'kid': ...})}") == 200


@pytest.mark.parametrize(
    "header",
    [{"cat": "cl_B7d4PD111AAA"}, {"typ": "at+jwt"}, {"kid": "named, though there is one secret"}, {"x": {"y": [1]}}],
    ids=repr,
)
async def test_headers_that_providers_add_are_passed_over(anyone: Caller, header: dict[str, object]) -> None:
    assert await status_of(anyone, f"Bearer {token({**HS256, **header}, claims(), by_secret())}") == 200


@pytest.mark.parametrize("subject", ["x" * 128, "auth0|5f7c8ec7c33c6c004bbafe82", "a-z_A-Z.0:9@b", "7"])
async def test_every_user_id_within_the_bounds_is_one(anyone: Caller, subject: str) -> None:
    assert await status_of(anyone, f"Bearer {good_token(sub=subject)}") == 200


@pytest.mark.parametrize(("length", "status"), [(8_432, 200), (30_000, 200), (32_768, 431)])
@pytest.mark.parametrize("issue", ["secret", "RS256", "ES256", "long header"])
async def test_a_token_may_be_as_long_as_the_headers_may(anyone: Caller, issue: str, length: int, status: int) -> None:
    assert await status_of(anyone, f"Bearer {_of_length(length, issue)}") == status


def _of_length(length: int, issue: str) -> str:
    """Return a good token that is a little longer."""
    filler = "x" * (length * 3 // 4)
    if issue == "long header":
        return token({**HS256, "x5c": [filler]}, claims(), by_secret())
    return good_token(filler=filler) if issue == "secret" else provider().token(issue, filler=filler)


class TestTimes:
    """With time summary still, so that both sides of a line are one second apart."""

    @pytest.fixture
    async def still(self) -> AsyncIterator[tuple[Caller, int]]:
        """Return a caller and the second in which they call."""
        clock = ManualClock()
        async with running(settings(), "memory", stopped(clock)) as (caller, _):
            yield caller, int(clock.now().timestamp())

    async def test_a_token_holds_until_half_a_minute_after_it_expired(self, still: tuple[Caller, int]) -> None:
        anyone, now = still

        assert await status_of(anyone, f"Bearer {good_token(exp=now - 29)}") == 200
        assert await answer_to(anyone, f"Bearer {good_token(exp=now - 30)}") == EXPIRED

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    async def test_a_clock_may_be_half_a_minute_ahead_of_ours(self, still: tuple[Caller, int], claim: str) -> None:
        anyone, now = still

        assert await status_of(anyone, f"Bearer {good_token(exp=now + 60, **{claim: now + 30})}") == 200
        assert await answer_to(anyone, f"Bearer {good_token(exp=now + 60, **{claim: now + 31})}") == TURNED_AWAY

    async def test_times_may_have_fractions(self, still: tuple[Caller, int]) -> None:
        anyone, now = still

        assert await status_of(anyone, f"Bearer {good_token(exp=now + 0.5, iat=now - 0.5)}") == 200


class TestPermissions:
    @staticmethod
    async def administers(anyone: Caller, permissions: object) -> int:
        return (await anyone.named("ada", permissions=permissions).get("/api/admin/invariants")).status_code

    @pytest.mark.parametrize("permissions", [["admin:read"], ["profiles:read", "admin:read"], [7, None, "admin:read"]])
    async def test_they_are_the_strings_of_a_list(self, anyone: Caller, permissions: object) -> None:
        assert await self.administers(anyone, permissions) == 200

    @pytest.mark.parametrize(
        "permissions",
        ["admin:read", {"admin:read": True}, [["admin:read"]], [{"name": "admin:read"}], True, None, 7, [], ["admin"]],
        ids=repr,
    )
    async def test_anything_else_permits_nothing(self, anyone: Caller, permissions: object) -> None:
        assert await self.administers(anyone, permissions) == 403

    @pytest.mark.parametrize("others", [255, 256, 257, 2_500])
    async def test_none_is_lost_however_many_there_are(self, anyone: Caller, others: int) -> None:
        names = [f"p{number}" for number in range(others)]

        assert await self.administers(anyone, [*names, "admin:read"]) == 200

    @pytest.mark.parametrize("claim", ["scope", "scopes", "roles", "role"])
    async def test_no_other_claim_permits_anything(self, anyone: Caller, claim: str) -> None:
        caller = anyone.named("ada", **{claim: ["admin:read"]})

        assert (await caller.get("/api/admin/invariants")).status_code == 403


class TestVerifiedPhones:
    async def test_true_says_that_the_phone_was_verified(self, anyone: Caller) -> None:
        arrived = await anyone.named("verified", phone_verified=True).post("/api/users/upsert", {})

        assert arrived.json()["otp_verified"] is True

    @pytest.mark.parametrize("claim", ["true", "True", 1, [True], {"verified": True}, False, None, 0, "+4512345678"])
    async def test_nothing_else_says_so(self, anyone: Caller, claim: object) -> None:
        arrived = await anyone.named("unverified", phone_verified=claim).post("/api/users/upsert", {})

        assert (arrived.status_code, arrived.json()["otp_verified"]) == (200, False)
