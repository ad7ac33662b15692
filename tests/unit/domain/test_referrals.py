"""The rule of attribution by itself, also where what it is asked cannot be stored any more."""

from datetime import UTC, datetime

import msgspec

from domain.codes import Code
from domain.referrals import Arrival, Edge, attribute
from domain.users import User, UserId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA, BOB = UserId("ada"), UserId("bob")
ARRIVAL = Arrival(BOB, Code("ADA12345"), "arrival", NOW)


def test_somebody_elses_code_is_an_edge() -> None:
    assert attribute(ARRIVAL, owner=User(ADA, NOW), edges={}) == (
        "recorded",
        Edge(BOB, ADA, Code("ADA12345"), "arrival", NOW),
    )


def test_nobody_is_invited_by_a_deleted_user() -> None:
    assert attribute(ARRIVAL, owner=User(ADA, NOW).deleted(NOW), edges={}) == ("none", None)


def test_nobody_invites_themselves_or_their_inviter() -> None:
    inviters_edge = Edge(ADA, BOB, None, "earlier", NOW)

    assert attribute(ARRIVAL, owner=User(BOB, NOW), edges={}) == ("none", None)
    assert attribute(ARRIVAL, owner=User(ADA, NOW), edges={ADA: inviters_edge}) == ("none", None)


def test_the_first_inviter_stays_and_its_own_attempt_is_recognised() -> None:
    kept = Edge(BOB, UserId("cid"), None, "earlier", NOW)

    assert attribute(ARRIVAL, owner=User(ADA, NOW), edges={BOB: kept}) == ("kept", None)
    own = msgspec.structs.replace(kept, arrival_id="arrival")
    assert attribute(ARRIVAL, owner=User(ADA, NOW), edges={BOB: own}) == ("recorded", None)
