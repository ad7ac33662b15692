"""The page that says what one user may hold and what one request may cost, rendered from the tables.

`.venv/bin/python -m tests.pages.limits` writes `docs/limits.md` anew.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tallystick.domain.bounds import BOUNDS, MAX_REPLY_BYTES
from tallystick.domain.sessions import MAX_SESSIONS
from tests.pages.files import DOCS, write

PAGE = DOCS / "limits.md"


class Cost(NamedTuple):
    """The most that one request of a route may cost."""

    reads: str
    writes: str
    answer: str


_SESSIONS = f"the sessions of the user, at most {MAX_SESSIONS}"
_NOTHING = Cost("nothing", "nothing", "1 KiB")
_PAGE = "200 KiB"
_BATCH = "1 MiB"

COSTS: Mapping[tuple[str, str], Cost] = MappingProxyType(
    {
        ("GET", "/"): _NOTHING,
        ("GET", "/healthz"): _NOTHING,
        ("GET", "/readyz"): Cost("the catalogue, once a second for everybody", "nothing", "4 KiB"),
        ("GET", "/metrics"): Cost("nothing", "nothing", "the measurements"),
        ("GET", "/api/referral/resolve"): Cost("2 rows, 6 while a team moves in", "nothing", "1 KiB"),
        ("GET", "/r/{code}"): Cost("nothing", "1 row behind the answer while a team moves in", "8 KiB"),
        ("POST", "/api/webhooks/auth"): Cost(
            "the user and those who hold the same claims",
            "the user, 1 code, 1,000 rows of each table at a deletion",
            "1 KiB",
        ),
        ("GET", "/api/my-referral-link"): Cost("6 rows", "1 user and 1 code at the first call", "1 KiB"),
        ("GET", "/api/referral"): Cost("6 rows", "nothing", "1 KiB"),
        ("POST", "/api/referral/remint"): Cost("the aliases, up to the bound", "2 codes", "1 KiB"),
        ("GET", "/api/leaderboard"): Cost("201 rows", "nothing", _PAGE),
        ("GET", "/api/globe"): Cost("1,000 rows once a minute for everybody", "nothing", "120 KiB, encoded once"),
        ("POST", "/api/users/upsert"): Cost(
            "the user, the inviter and up to 32 users above", "2 users, 1 edge, 1 entry, 1 attempt", "1 KiB"
        ),
        ("GET", "/api/me"): Cost("6 rows", "nothing", "2 KiB"),
        ("GET", "/api/profiles/by-email"): Cost("6 rows", "nothing", "2 KiB"),
        ("GET", "/api/admin/invariants"): Cost(
            "all tables, one count at a time on a connection of its own", "nothing", "4 KiB"
        ),
        ("GET", "/api/admin/export/{kind}"): Cost(
            "all rows of a kind, 1,000 at a time beside the pool; 8 exports at once", "nothing", "all rows, streamed"
        ),
        ("DELETE", "/api/admin/users/{user_id}"): Cost(
            "the user; for an id without a row, the tables that may name it", "1,000 rows of each table", "1 KiB"
        ),
        ("GET", "/api/admin/flags"): Cost("the flags", "nothing", "4 KiB"),
        ("PUT", "/api/admin/flags/{name}"): Cost("the flags", "1 row", "1 KiB"),
        ("GET", "/api/credits"): Cost("1 row", "nothing", "1 KiB"),
        ("GET", "/api/credits/entries"): Cost("201 rows", "nothing", _PAGE),
        ("POST", "/api/credits/grants"): Cost("3 rows", "1 entry and its account", "2 KiB"),
        ("GET", "/api/rewards"): Cost("201 rewards and their owners", "nothing", "2 MiB, by the longest descriptions"),
        ("POST", "/api/rewards"): Cost("the rewards of the caller, up to the bound", "1 row", "16 KiB"),
        ("GET", "/api/rewards/collected"): Cost("what the caller collected", "nothing", _PAGE),
        ("PATCH", "/api/rewards/{reward_id}"): Cost("2 rows", "1 row", "16 KiB"),
        ("POST", "/api/rewards/{reward_id}/purchase"): Cost("5 rows", "1 purchase, 1 entry, 1 account", "1 KiB"),
        ("POST", "/api/rewards/purchases"): Cost("5 rows for each of 1,000 orders", "3 rows for each order", _BATCH),
        ("POST", "/api/channels"): Cost(
            "the channels of the caller, up to the bound", "1 channel, 1 member, 1 event", "1 KiB"
        ),
        ("GET", "/api/channels"): Cost(
            "201 channels, and 100 messages of each, 200 where messages were deleted", "nothing", _PAGE
        ),
        ("GET", "/api/channels/{channel_id}/members"): Cost("202 rows", "nothing", _PAGE),
        ("PUT", "/api/channels/{channel_id}/members/{user_id}"): Cost(
            "the members of the channel, up to the bound", "1 member, 1 event", "1 KiB"
        ),
        ("DELETE", "/api/channels/{channel_id}/members/{user_id}"): Cost(
            "2 members and the owners of the channel", "1 member, 1 event", "1 KiB"
        ),
        ("GET", "/api/channels/{channel_id}/stream"): Cost(
            "4 rows, and 400 for each 200 events that all readers of the place share", "nothing", "all events, streamed"
        ),
        ("GET", "/api/streams"): Cost(
            "4 rows for each of 20 topics, and 400 for each 200 events that all readers of the place share",
            "nothing",
            "all events, streamed",
        ),
        ("POST", "/api/streams/session"): Cost("nothing", "nothing", "2 KiB"),
        ("PUT", "/api/channels/{channel_id}/read"): Cost("2 rows", "1 member", "1 KiB"),
        ("GET", "/api/messages/list"): Cost("203 rows", "nothing", "3 MiB, by the longest texts"),
        ("POST", "/api/messages/send"): Cost("4 rows", "1 message, 1 event, 1 member", "16 KiB"),
        ("DELETE", "/api/messages/{message_id}"): Cost("3 rows", "1 message, 1 event", "1 KiB"),
        ("POST", "/api/rank/stage-room-match"): Cost(
            "the rooms of the caller, up to the bound, 100 slots and every migration", "1 roster, 100 slots", "32 KiB"
        ),
        ("POST", "/api/rank/stage-room-match/verify"): Cost("nothing", "nothing", "8 KiB"),
        ("PUT", "/api/overlays/{session_id}"): Cost(
            "the shown overlays and the sessions of the caller, up to the bounds, and 2 rows",
            "1 overlay of 16 KiB, 2 events",
            "17 KiB",
        ),
        ("GET", "/api/overlays/{session_id}"): Cost("1 row", "nothing", "17 KiB"),
        ("DELETE", "/api/overlays/{session_id}"): Cost("2 rows", "1 overlay, 1 event", "1 KiB"),
        ("GET", "/api/overlays/stream"): Cost(
            "3 rows, and 400 for each 200 events that all readers of the place share", "nothing", "all events, streamed"
        ),
        ("GET", "/api/loyalty/{player_id}"): Cost("2 rows", "nothing", "4 KiB"),
        ("GET", "/api/loyalty/{player_id}/entries"): Cost(
            "201 rows; with `correlation_id`, the points entries of the player", "nothing", _PAGE
        ),
        ("GET", "/api/point-entries"): Cost(
            "201 rows; with two filters, the entries of the first one", "nothing", _PAGE
        ),
        ("POST", "/api/loyalty/manual-rewards"): Cost("3 rows", "1 entry and its account", "2 KiB"),
        ("POST", "/api/loyalty/accruals"): Cost("3 rows for each of 1,000 events", "2 rows for each event", _BATCH),
        ("GET", "/api/pending-accruals"): Cost("201 rows", "nothing", _PAGE),
        ("POST", "/api/pending-accruals/recover"): Cost("4 rows", "3 rows", "2 KiB"),
        ("POST", "/api/rating-slips"): Cost("the unfinished slips of the player, up to the bound", "1 row", "2 KiB"),
        ("GET", "/api/rating-slips"): Cost("201 rows", "nothing", _PAGE),
        ("GET", "/api/rating-slips/{slip_id}"): Cost("1 row", "nothing", "2 KiB"),
        ("POST", "/api/rating-slips/{slip_id}/complete"): Cost("4 rows", "1 slip, 1 entry, 1 account", "4 KiB"),
        ("POST", "/api/rating-slips/{slip_id}/recover"): Cost("4 rows", "4 rows", "2 KiB"),
        ("POST", "/api/invites"): Cost("the invites of the caller, up to the bound", "1 row", "2 KiB"),
        ("POST", "/api/invites/validate"): Cost("1 row", "nothing", "1 KiB"),
        ("POST", "/api/invites/redeem"): Cost("3 rows", "1 use and its invite", "1 KiB"),
        ("GET", "/api/invites/{invite_id}"): Cost("1 row", "nothing", "2 KiB"),
        ("GET", "/api/invites/{invite_id}/uses"): Cost("202 rows", "nothing", _PAGE),
        ("POST", "/api/invites/{invite_id}/revoke"): Cost("2 rows", "1 row", "2 KiB"),
        ("POST", "/api/auth/complete-phone-signup"): Cost("7 rows", "1 user, 1 credential, 1 use, 1 invite", "1 KiB"),
        ("POST", "/api/auth/sign-in"): Cost(f"2 rows and {_SESSIONS}", "2 sessions", "2 KiB"),
        ("POST", "/api/auth/sign-out"): Cost(_SESSIONS, "these sessions", "1 KiB"),
        ("POST", "/api/auth/password"): Cost(_SESSIONS, "1 credential, these sessions", "2 KiB"),
    }
)
"""The highest cost of one request of each route; a new route needs its line here."""

OPENING = """\
# Limits: what one user may hold, and what one request may cost

No caller can slow down the other callers. The service counts requests ([rate limits](settings.md#rate-limits)), and
checks the size of headers and bodies before it reads them. It also limits the rows and bytes that one user may hold and
that one request may cost.

## What one user may hold

`TALLYSTICK_BOUNDS` changes these: `rewards=5000; aliases=20`. At the bound a request for one more is refused with 409
`BOUND_REACHED`, which names `bound` and `limit`; nothing is stored. A user who holds more, because the bound was higher
before or because a backfill imported it, keeps all of it and is given no more.
"""

AFTER_BOUNDS = f"""\
The count is exact with several instances: it is taken under a lock of the user or of the channel, or in a counter of
the caller.

**Members of channels** are counted for the channel, and not for the user who is added: owners add users without asking
them, and would fill a bound of the user. A former member keeps a place, and can be added again also at the bound.

**Aliases** are never dropped, since a code that once resolved keeps resolving: a remint at the bound is refused, and
the present code stays. Codes that a backfill imports are not refused.

**Stored replies.** A request with an `Idempotency-Key` whose reply could not be stored is refused before anything is
done, since a second try could not be answered from it. The same request without a key is taken where the route needs
none; requests whose replies are stored are answered from them as before. Replies are forgotten eight days after they
were stored. The default of `replies` is above what the default write limit allows in eight days: raise both together.
A caller who has stored `reply_bytes` stores no more; the last batch of replies before it may pass it. One reply has at
most {MAX_REPLY_BYTES:,} bytes.

A caller's failed referral codes are bounded too: see [referrals](referrals.md). So are sessions: one more than
{MAX_SESSIONS} ends the oldest. Points that wait for being credited are bounded by what earns them: an unfinished slip,
or a referred user.

## What one request may cost

Rows are found by an index. Pages have at most 200 items. A statement may take 5 s, one that waits for a lock 1.5 s, and
one of the count of promises or of an export 60 s.

The table leaves out the row of the caller and the row of the idempotency key: a request with a key reads two rows more
and writes two rows more.

A body may come in 8,192 chunks, and 128 requests of a connection may be ahead of their answers: more is refused, and
the connection is closed.
"""

END = """\
Three costs grow with what one user did, and end at the time-out of a statement:

- `GET /api/rewards/collected` sorts what the caller collected.
- `GET /api/loyalty/{player_id}/entries` with `correlation_id` may read all points entries of the player.
- `DELETE /api/admin/users/{user_id}` of an id without a row looks through the seats of invites.

Work over all rows of one user is done in steps of 1,000 rows: see [privacy](privacy.md). `make attacks` runs callers
who try to cost the others something against a started server.
"""


def render() -> str:
    """Return the page."""
    return "\n".join(_parts()).rstrip("\n") + "\n"


def _parts() -> Iterator[str]:
    yield OPENING
    yield "".join(
        (
            "| name | default | what is counted | at the bound |\n| --- | --- | --- | --- |\n",
            *(f"| `{name}` | {b.default:,} | {b.counts} | {b.instead} |\n" for name, b in BOUNDS.items()),
            f"| sessions (fixed) | {MAX_SESSIONS} | sessions of a user | one more sign-in ends the oldest session |\n",
        )
    )
    yield AFTER_BOUNDS
    yield "".join(
        (
            "| route | rows read | rows written | bytes answered |\n| --- | --- | --- | --- |\n",
            *(f"| `{method} {path}` | {c.reads} | {c.writes} | {c.answer} |\n" for (method, path), c in COSTS.items()),
        )
    )
    yield END


if __name__ == "__main__":
    write(PAGE, render())
