"""Documents of published keys: which members are allowed, and which keys are used."""

import json
from contextlib import suppress

import pytest
from joserfc.jwk import ECKey, Key, OctKey, RSAKey

from tallystick.adapters.identity.jwks import JwksCache
from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics, SeededRandomness
from tallystick.domain.tokens import IdentityKeysUnavailable

MOST_KEYS = 100


def an_ec_key(kid: str = "another") -> ECKey:
    """Return a key pair on P-256."""
    return ECKey.generate_key("P-256", {"kid": kid})


def publishing(*entries: object) -> JwksCache:
    """Return a cache of a document with these keys and other members."""
    documents = [entry.as_dict(private=False) if isinstance(entry, ECKey | RSAKey) else entry for entry in entries]

    async def fetch() -> bytes:
        return json.dumps({"keys": documents}).encode()

    return JwksCache(fetch, ManualClock(), RecordedMetrics(), SeededRandomness())


def same(found: Key | None, key: Key) -> bool:
    return found is not None and found.thumbprint() == key.thumbprint()


async def test_only_the_first_hundred_keys_count() -> None:
    keys = [an_ec_key(f"k{number}") for number in range(MOST_KEYS + 1)]
    cache = publishing(*keys)

    assert same(await cache.key(f"k{MOST_KEYS - 1}", "ES256"), keys[MOST_KEYS - 1])
    assert await cache.key(f"k{MOST_KEYS}", "ES256") is None


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "k1",
        [],
        {},
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "k1"},
        {"kty": "EC", "crv": "P-256", "x": 1, "y": 2, "kid": "k1"},
        {"kty": "RSA", "n": "", "e": "AQAB", "kid": "k1"},
        {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "k1"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "k1"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "k1"},
        {"kty": ["EC"], "kid": "k1"},
    ],
    ids=lambda entry: repr(entry)[:30],
)
async def test_a_member_that_is_no_key_does_not_spoil_the_others(entry: object) -> None:
    cache = publishing(entry, good := an_ec_key("good"))

    assert same(await cache.key("good", "ES256"), good)
    for algorithm in ("ES256", "RS256"):
        # Where not even the id can be read, the provider may publish it later.
        with suppress(IdentityKeysUnavailable):
            assert await cache.key("k1", algorithm) is None


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256"])
async def test_a_symmetric_key_from_the_net_is_refused(algorithm: str) -> None:
    secret = OctKey.generate_key(256, {"kid": "k1"}).as_dict(private=True)
    cache = publishing(secret, {**secret, "alg": algorithm}, an_ec_key())

    assert await cache.key("k1", algorithm) is None
    assert await cache.key(None, "HS256") is None


@pytest.mark.parametrize(("use", "signs"), [("sig", True), ("enc", False), ("", False), ("signing", False)])
async def test_a_key_for_something_else_is_refused(use: str, signs: bool) -> None:
    key = an_ec_key("k1")
    cache = publishing({**key.as_dict(private=False), "use": use}, an_ec_key())

    assert same(await cache.key("k1", "ES256"), key) is signs


async def test_a_key_serves_its_own_algorithm_alone() -> None:
    rsa = RSAKey.generate_key(2048).as_dict(private=False)
    kinds = ("RS256", "PS256", "RS512", "ES256")
    cache = publishing(
        {**rsa, "kid": "any"},
        *({**rsa, "kid": kind, "alg": kind} for kind in kinds),
        an_ec_key("ec"),
    )

    found = {kid: await cache.key(kid, "RS256") is not None for kid in ("any", *kinds, "ec")}

    assert found == {"any": True, "RS256": True, "PS256": False, "RS512": False, "ES256": False, "ec": False}
    assert await cache.key("any", "ES256") is None


@pytest.mark.parametrize("curve", ["P-384", "P-521", "secp256k1"])
async def test_keys_on_other_curves_are_nobodys(curve: str) -> None:
    cache = publishing(ECKey.generate_key(curve, {"kid": "k1"}), an_ec_key())

    assert await cache.key("k1", "ES256") is None


@pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning")
async def test_an_rsa_key_that_is_too_short_is_refused() -> None:
    cache = publishing(RSAKey.generate_key(1024, {"kid": "k1"}), an_ec_key())

    assert await cache.key("k1", "RS256") is None


async def test_a_document_without_a_key_for_us_is_none() -> None:
    cache = publishing(OctKey.generate_key(256, {"kid": "k1"}).as_dict(private=True))

    with pytest.raises(IdentityKeysUnavailable):
        await cache.key("k1", "ES256")
    (fault,) = await cache.faults()
    assert fault.reason.endswith(": it publishes no key for RS256 (RSA of 2048 bits or more) or ES256 (P-256)")


async def test_without_an_id_only_a_key_without_rivals_serves() -> None:
    without_rivals = publishing(only := an_ec_key(), RSAKey.generate_key(2048))
    with_rivals = publishing(an_ec_key("k1"), an_ec_key("k2"))

    assert same(await without_rivals.key(None, "ES256"), only)
    assert await with_rivals.key(None, "ES256") is None


async def test_two_keys_of_one_id_are_nobodys() -> None:
    cache = publishing(an_ec_key("k1"), an_ec_key("k1"), an_ec_key())

    assert await cache.key("k1", "ES256") is None


async def test_the_private_part_of_a_published_key_is_left_behind() -> None:
    cache = publishing(an_ec_key("k1").as_dict(private=True))

    found = await cache.key("k1", "ES256")

    assert found is not None
    assert not found.is_private
