"""Every promise, broken in memory behind the stores' back, is counted as broken, and as that one alone."""

from collections.abc import Callable, Mapping

import pytest
from msgspec.structs import replace

from tallystick.adapters.memory.tables import Tables
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.adapters.telemetry.store_calls import MeasuredTransactions
from tallystick.application.invariants import PROMISES
from tallystick.application.transactions import Transactions
from tallystick.domain.identity import Verification
from tallystick.domain.ledger import AccountKey
from tallystick.domain.rating_slips import Slip
from tallystick.domain.referrals import Edge
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId
from tests.http.services import running, settings
from tests.worlds.legacy_metadata import LONG_AGO
from tests.worlds.overlays import Screens
from tests.worlds.rooms import Rooms
from tests.worlds.stages import Stages
from tests.worlds.world import World

ADA, BOB = UserId("ada"), UserId("bob")
CREDITS, POINTS = AccountKey(ADA, "credits"), AccountKey(ADA, "points")


async def furnish(world: World) -> Tables:
    """Let there be something of each kind, and return the tables."""
    code = await world.mint("ada")
    await world.arrive("bob", code, phone_verified=True)
    await world.grant("ada", 100)
    await world.purchase("ada", await world.a_reward(cost=40))
    await world.redeem("ada", (await world.an_invite()).code)
    await world.complete(await world.a_slip("ada"))
    await world.a_waiting_slip("ada")
    rooms = Rooms(world)
    await rooms.send(await rooms.a_channel(owner="ada"), "ada")
    stages = Stages(world)
    await stages.sync(stages.command("room", "captain 1 ada"))
    screens = Screens(world)
    await screens.put()
    await screens.put()
    assert await world.broken_promises() == []
    return tables_of(world)


def tables_of(world: World) -> Tables:
    transactions = world.transactions
    assert isinstance(transactions, MemoryTransactions)
    return transactions._tables


def _no_canonical_code(tables: Tables) -> None:
    for text, entry in tables.codes.items():
        tables.codes[text] = replace(entry, is_canonical=False)


def _retired_code(tables: Tables) -> None:
    for text, entry in tables.codes.items():
        tables.codes[text] = replace(entry, retired_at=entry.created_at)


def _verified_nobody(tables: Tables) -> None:
    nobody = UserId("nobody")
    tables.verifications[nobody] = Verification(nobody, "token", LONG_AGO)


def _ring(tables: Tables) -> None:
    edge = tables.edges[BOB]
    tables.edges[ADA] = Edge(ADA, BOB, edge.code, edge.arrival_id, edge.created_at)
    tables.users[BOB] = replace(tables.users[BOB], referrals=1)


def _seat_too_many(tables: Tables) -> None:
    for code, invite in tables.invites.items():
        tables.invites[code] = replace(invite, current_uses=invite.current_uses + 1)


def _balance_too_high(tables: Tables) -> None:
    tables.accounts[CREDITS] = replace(tables.accounts[CREDITS], balance=tables.accounts[CREDITS].balance + 1)


def _lifetime_too_high(tables: Tables) -> None:
    tables.accounts[POINTS] = replace(tables.accounts[POINTS], lifetime=tables.accounts[POINTS].lifetime + 1)


def _event_twice(tables: Tables) -> None:
    account, first = tables.accounts[CREDITS], tables.entries[ADA, "credits", 1]
    after = account.balance + first.amount
    again = replace(first, seq=account.version + 1, balance_before=account.balance, balance_after=after)
    tables.entries[ADA, "credits", again.seq] = again
    tables.accounts[CREDITS] = replace(account, balance=after, version=again.seq)


def _slips(tables: Tables, state: str) -> list[Slip]:
    return [slip for slip in tables.slips.values() if slip.state == state]


def _lost_waiting(tables: Tables) -> None:
    (slip,) = _slips(tables, "accrual_pending")
    del tables.pending[slip.event]


def _waits_and_is_credited(tables: Tables) -> None:
    (pending,) = tables.pending.values()
    event = next(event for event in tables.events if event.type == "referral_signup")
    tables.pending[event] = replace(pending, event_type=event.type, event_key=event.key)


def _collected_unpaid(tables: Tables) -> None:
    tables.collected.clear()


def _referral_too_many(tables: Tables) -> None:
    tables.users[ADA] = replace(tables.users[ADA], referrals=2)


def _lost_event(tables: Tables) -> None:
    (channel_id,) = tables.channels
    del tables.topic_events[TopicId(channel_id), 1]
    tables.messages.clear()
    for key, event in list(tables.topic_events.items()):
        if event.kind == "message":
            tables.topic_events[key] = replace(event, kind="member_added")


def _message_without_event(tables: Tables) -> None:
    for key, event in list(tables.topic_events.items()):
        if event.kind == "message":
            tables.topic_events[key] = replace(event, kind="member_added", ref="another")


def _strangers_message(tables: Tables) -> None:
    for key, event in list(tables.topic_events.items()):
        if event.kind == "member_added":
            tables.topic_events[key] = replace(event, ref="another")


def _player_in_two_slots(tables: Tables) -> None:
    for room_id, roster in tables.rosters.items():
        (slot,) = roster.slots
        tables.rosters[room_id] = replace(roster, slots=(slot, replace(slot, slot=slot.slot + 1)))


def _overlay_without_end(tables: Tables) -> None:
    for session_id, overlay in tables.overlays.items():
        tables.overlays[session_id] = replace(overlay, payload=None, expires_at=None)


BREAKING: Mapping[str, Callable[[Tables], None]] = {
    "one_code_each": _no_canonical_code,
    "living_codes_resolve": _retired_code,
    "verified_users_exist": _verified_nobody,
    "one_inviter_no_cycle": _ring,
    "seats_are_uses": _seat_too_many,
    "balances_are_entries": _balance_too_high,
    "lifetime_is_earned": _lifetime_too_high,
    "events_count_once": _event_twice,
    "slips_accrue_once": _lost_waiting,
    "waiting_is_not_credited": _waits_and_is_credited,
    "collected_once_and_paid": _collected_unpaid,
    "rosters_keep_their_rules": _player_in_two_slots,
    "overlays_end_once": _overlay_without_end,
    "events_have_no_gaps": _lost_event,
    "messages_are_events": _message_without_event,
    "senders_were_members": _strangers_message,
    "referrals_are_edges": _referral_too_many,
}


@pytest.mark.parametrize("name", PROMISES)
async def test_a_broken_promise_is_counted_and_no_other(name: str, world: World) -> None:
    BREAKING[name](await furnish(world))

    broken = await world.broken_promises()
    assert [(each.name, each.state) for each in broken] == [(name, "broken")]
    rows = await world.reads(lambda stores: stores.invariants.broken_rows(name, limit=20))
    assert len(rows) == broken[0].violations
    assert rows == sorted(rows)


def _trim(tables: Tables, *, to: int) -> None:
    (channel_id,) = tables.channels
    topic = TopicId(channel_id)
    for seq in range(1, to + 1):
        del tables.topic_events[topic, seq]
    tables.trimmed[topic] = (to, "00000000")


def _start_too_low(tables: Tables) -> None:
    (topic,) = tables.trimmed
    tables.trimmed[topic] = (1, "00000000")


def _start_too_high(tables: Tables) -> None:
    (topic,) = tables.trimmed
    tables.trimmed[topic] = (3, "00000000")


@pytest.mark.parametrize("spoil", [_start_too_low, _start_too_high])
async def test_a_trimmed_log_is_counted_from_its_start(spoil: Callable[[Tables], None], world: World) -> None:
    rooms = Rooms(world)
    channel = await rooms.a_channel("ada")
    for _ in range(3):
        await rooms.send(channel, "ada")
    tables = tables_of(world)
    _trim(tables, to=2)
    assert await world.broken_promises() == []

    spoil(tables)

    assert "events_have_no_gaps" in {each.name for each in await world.broken_promises()}


async def test_promises_about_nothing_are_empty(world: World) -> None:
    counted = await world.reads(lambda stores: stores.invariants.count())
    assert {each.state for each in counted} == {"empty"}

    await furnish(world)
    counted = await world.reads(lambda stores: stores.invariants.count())
    assert {each.state for each in counted} == {"holds"}


async def test_administrators_read_which_promise_is_broken() -> None:
    async with running(settings(), "memory") as (anyone, container):
        staff = anyone.named("staff", "admin:read")
        whole = (await staff.get("/api/admin/invariants")).json()
        measured = await container.get(Transactions)
        assert isinstance(measured, MeasuredTransactions)
        transactions = measured._inner
        assert isinstance(transactions, MemoryTransactions)
        _verified_nobody(transactions._tables)

        broken = (await staff.get("/api/admin/invariants")).json()

    assert (whole["kept"], [item["violations"] for item in whole["items"]]) == (True, [0] * len(PROMISES))
    assert broken["kept"] is False
    assert [item["name"] for item in broken["items"] if item["violations"]] == ["verified_users_exist"]
