"""The rule of attribution by itself, also where what it is asked cannot be stored any more."""

from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import pytest

from tallystick.domain.codes import Code
from tallystick.domain.referrals import (
    MAX_RING,
    AttributionAttempt,
    AttributionReason,
    AttributionRequest,
    Edge,
    SentCode,
    attribute,
    chain_above,
    top_of_chain,
)
from tallystick.domain.users import User, UserId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA, BOB, CID = UserId("ada"), UserId("bob"), UserId("cid")
ADAS, BOBS, CIDS, NOBODYS = Code("ADA12345"), Code("BOB12345"), Code("CID12345"), Code("NONE1234")
OWNERS = {code: User(user_id, NOW) for code, user_id in ((ADAS, ADA), (BOBS, BOB), (CIDS, CID))}
ARRIVAL = AttributionRequest(BOB, (SentCode(ADAS, "digest of ada's"),), "arrival", NOW)
KEPT = Edge(BOB, CID, None, "earlier", NOW)


def arrival(*codes: Code | None) -> AttributionRequest:
    return AttributionRequest(BOB, tuple(SentCode(code, f"digest of {code}") for code in codes), "arrival", NOW)


def missed(code: Code | None, reason: AttributionReason) -> AttributionAttempt:
    return AttributionAttempt(BOB, f"digest of {code}", reason, NOW)


def test_somebody_elses_code_is_an_edge() -> None:
    decision = attribute(ARRIVAL, owners=OWNERS, kept=None, inviters={})

    assert decision == ("recorded", None, Edge(BOB, ADA, ADAS, "arrival", NOW), ())


@pytest.mark.parametrize(
    ("codes", "reason"),
    [((), "no_code"), ((NOBODYS,), "not_found"), ((None,), "not_found"), ((BOBS,), "self"), ((BOBS, ADAS), "self")],
)
def test_why_nobody_is_the_inviter_is_said_and_kept(codes: tuple[Code | None, ...], reason: AttributionReason) -> None:
    decision = attribute(arrival(*codes), owners=OWNERS, kept=None, inviters={})

    assert (decision.attribution, decision.reason, decision.edge) == ("none", reason, None)
    assert decision.attempts == tuple(missed(code, reason) for code in codes[:1])


def test_nobody_is_invited_by_a_deleted_user() -> None:
    owners = {ADAS: User(ADA, NOW).deleted(NOW)}

    decision = attribute(ARRIVAL, owners=owners, kept=None, inviters={})

    assert decision[:3] == ("none", "not_found", None)


def test_the_first_code_that_is_a_living_users_counts() -> None:
    owners = {**OWNERS, CIDS: User(CID, NOW).deleted(NOW)}

    decision = attribute(arrival(NOBODYS, None, CIDS, ADAS, BOBS), owners=owners, kept=None, inviters={})

    assert decision.edge == Edge(BOB, ADA, ADAS, "arrival", NOW)
    assert decision.attempts == tuple(missed(code, "not_found") for code in (NOBODYS, None, CIDS))


def test_nobody_is_invited_by_those_below_them() -> None:
    for inviters in ({ADA: BOB}, {ADA: CID, CID: BOB}):
        decision = attribute(ARRIVAL, owners=OWNERS, kept=None, inviters=inviters)
        assert decision[:3] == ("none", "cycle", None)
    assert attribute(ARRIVAL, owners=OWNERS, kept=None, inviters={ADA: CID}).attribution == "recorded"


@pytest.mark.parametrize(("users", "attribution"), [(2, "none"), (MAX_RING, "none"), (MAX_RING + 1, "recorded")])
def test_a_ring_is_refused_up_to_the_stated_length(users: int, attribution: str) -> None:
    chain = [ADA, *(UserId(f"user-{number}") for number in range(users - 2)), BOB]
    inviters = dict(pairwise(chain))

    assert attribute(ARRIVAL, owners=OWNERS, kept=None, inviters=inviters).attribution == attribution


def test_a_ring_that_was_imported_has_no_top_and_an_end() -> None:
    ring = {ADA: CID, CID: ADA}

    assert len(list(chain_above(ADA, ring))) == MAX_RING
    assert top_of_chain(ADA, ring) is None
    assert top_of_chain(ADA, {ADA: CID, CID: BOB}) == BOB
    assert attribute(ARRIVAL, owners=OWNERS, kept=None, inviters=ring).attribution == "recorded"


def test_the_first_inviter_stays_and_its_own_attempt_is_recognised() -> None:
    assert attribute(ARRIVAL, owners=OWNERS, kept=KEPT, inviters={})[:3] == ("kept", "kept", None)
    own = msgspec.structs.replace(KEPT, arrival_id="arrival")
    assert attribute(ARRIVAL, owners=OWNERS, kept=own, inviters={}) == ("recorded", None, None, ())


def test_a_user_with_an_inviter_leaves_an_attempt_only_with_other_codes() -> None:
    attempts = [
        attribute(arrival(*codes), owners=OWNERS, kept=KEPT, inviters={}).attempts
        for codes in ((CIDS,), (), (ADAS,), (NOBODYS, CIDS), (BOBS,))
    ]

    assert attempts == [(), (), (missed(ADAS, "kept"),), (missed(NOBODYS, "not_found"),), (missed(BOBS, "kept"),)]
