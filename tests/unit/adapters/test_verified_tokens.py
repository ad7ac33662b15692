"""A signature that held is not looked at again while its key is there; everything else is, every time."""

from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import Key, OctKey

from tallystick.adapters.identity import tokens
from tallystick.adapters.identity.claims import ClaimsCheck
from tallystick.adapters.identity.tokens import JwtVerifier
from tallystick.adapters.memory.ports import ManualClock
from tallystick.domain.refusals import Unauthenticated

SECRET = OctKey.import_key("a secret of some length, for tests")


class Provider:
    """Publishes a key until another one is published or none."""

    def __init__(self) -> None:
        self.published: Key | None = SECRET

    async def key(self, kid: str | None, algorithm: str) -> Key | None:
        return self.published


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def verifier(clock: ManualClock, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> JwtVerifier:
    """Return a verifier to whom every algorithm is one of published keys."""
    monkeypatch.setattr(tokens, "SECRET_ALGORITHMS", frozenset())
    return JwtVerifier(ClaimsCheck(clock), secrets=(), published=provider, algorithms=["HS256"])


def signed(clock: ManualClock, subject: str = "ada", seconds: int = 600) -> str:
    claims = {"sub": subject, "exp": int(clock.now().timestamp()) + seconds}
    return jwt.encode({"alg": "HS256"}, claims, SECRET)


async def test_the_signature_is_looked_at_once(
    clock: ManualClock, verifier: JwtVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed(clock)
    await verifier.verify(token)
    monkeypatch.setattr("joserfc.jwt.decode", None)

    assert [(await verifier.verify(token)).user_id for _ in range(3)] == ["ada"] * 3


async def test_a_token_ends_when_it_says_so(clock: ManualClock, verifier: JwtVerifier) -> None:
    token = signed(clock, seconds=5)
    await verifier.verify(token)
    clock.move(timedelta(seconds=36))  # and the leeway

    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


@pytest.mark.parametrize("published", [None, OctKey.import_key("another secret of some length, for tests")])
async def test_a_key_that_is_withdrawn_counts_no_longer(
    clock: ManualClock, verifier: JwtVerifier, provider: Provider, published: Key | None
) -> None:
    token = signed(clock)
    await verifier.verify(token)
    provider.published = published

    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)
    assert verifier._verified == {}


async def test_a_key_that_is_published_anew_is_verified_with_anew(
    clock: ManualClock, verifier: JwtVerifier, provider: Provider
) -> None:
    token = signed(clock)
    await verifier.verify(token)
    provider.published = OctKey.import_key("a secret of some length, for tests")

    assert (await verifier.verify(token)).user_id == "ada"


async def test_one_that_did_not_hold_is_not_remembered(clock: ManualClock, verifier: JwtVerifier) -> None:
    token = signed(clock)
    forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")

    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await verifier.verify(forged)
    assert verifier._verified == {}


async def test_no_more_are_remembered_than_there_is_room_for(
    clock: ManualClock, verifier: JwtVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_MOST_VERIFIED", 3)
    issued = [signed(clock, f"user{number}") for number in range(5)]
    for token in issued:
        await verifier.verify(token)

    assert list(verifier._verified) == issued[2:]
    assert (await verifier.verify(issued[0])).user_id == "user0"


async def test_nor_more_bytes_than_there_is_room_for(
    clock: ManualClock, verifier: JwtVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = [signed(clock, f"user{number}") for number in range(5)]
    monkeypatch.setattr(tokens, "_MOST_VERIFIED_BYTES", sum(map(len, issued[2:])))
    for token in [*issued, *issued[2:]]:
        await verifier.verify(token)

    assert list(verifier._verified) == issued[2:]
    assert (await verifier.verify(issued[0])).user_id == "user0"


@pytest.mark.parametrize("ends", [10**400, -(10**400)])
async def test_a_token_that_ends_beyond_all_numbers_is_none(verifier: JwtVerifier, ends: int) -> None:
    token = jwt.encode({"alg": "HS256"}, {"sub": "ada", "exp": ends}, SECRET)

    with pytest.raises(Unauthenticated):
        await verifier.verify(token)
