"""How the identity provider's word is taken: once, in any order, and never backwards."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import pytest

from tallystick.application.identity_events import ReceiveIdentityEvents
from tallystick.application.legacy_metadata import AdoptLegacyUsers
from tallystick.domain.codes import Code
from tallystick.domain.users import EmailTaken, Profile, UserDeleted, UserId
from tests.worlds.world import World


class Failure(Exception): ...


class FailingAdoption(AdoptLegacyUsers):
    """Fails inside the transaction of the events."""

    async def __call__(self, *_: object, **__: object) -> Mapping[Code, UserId]:
        raise Failure


class TestReceiveIdentityEvents:
    async def test_a_created_user_has_a_profile_and_a_code(self, world: World) -> None:
        assert await world.deliver("created", "ada", profile=Profile("ada@example.org", "ada")) == "processed"

        code = await world.code_of("ada")
        assert await world.resolve(code) == "canonical"
        assert await world.profile("ada") == Profile("ada@example.org", "ada")

    async def test_the_same_delivery_again_is_a_duplicate(self, world: World) -> None:
        await world.deliver("created", "ada", delivery="msg_a", profile=Profile(username="ada"))

        assert await world.deliver("created", "ada", delivery="msg_a", profile=Profile(username="other")) == "duplicate"
        assert (await world.profile("ada")).username == "ada"
        assert world.metrics.total("webhook_replays") == 1

    async def test_the_same_delivery_twice_in_one_batch_is_taken_once(self, world: World) -> None:
        receipts = await world.receive_identity_events(
            [world.delivery("created", "ada", delivery="msg_a"), world.delivery("created", "ada", delivery="msg_a")]
        )

        assert receipts == ["processed", "duplicate"]

    async def test_another_delivery_of_the_same_news_keeps_the_code(self, world: World) -> None:
        await world.deliver("created", "ada")
        code = await world.code_of("ada")

        assert await world.deliver("created", "ada") == "processed"
        assert await world.code_of("ada") == code
        assert world.metrics.total("double_mint_attempts") == 1

    async def test_a_code_that_was_minted_on_read_stays_the_code(self, world: World) -> None:
        code = (await world.link("ada")).code

        await world.deliver("created", "ada")

        assert await world.code_of("ada") == code
        assert world.metrics.total("double_mint_attempts") == 1

    async def test_an_update_before_the_creation_is_taken_and_the_older_creation_does_not_undo_it(
        self, world: World
    ) -> None:
        born = world.clock.now()
        world.pass_time(seconds=10)
        await world.deliver("updated", "ada", profile=Profile(username="new"))
        code = await world.code_of("ada")

        await world.deliver("created", "ada", profile=Profile(username="old", display_name="Old"), occurred_at=born)

        assert await world.profile("ada") == Profile(username="new")
        assert await world.code_of("ada") == code
        assert world.metrics.total("webhook_out_of_order") == 2

    async def test_news_in_order_are_not_counted_as_out_of_order(self, world: World) -> None:
        await world.deliver("created", "ada")
        world.pass_time(seconds=1)
        await world.deliver("updated", "ada", profile=Profile(username="ada"))
        world.pass_time(seconds=1)
        await world.deliver("deleted", "ada")

        assert world.metrics.total("webhook_out_of_order") == 0

    async def test_an_update_replaces_what_it_names(self, world: World) -> None:
        await world.deliver("created", "ada", profile=Profile("a@example.org", "ada", "Ada"))
        world.pass_time(seconds=1)

        await world.deliver("updated", "ada", profile=Profile(email="b@example.org"))

        assert await world.profile("ada") == Profile("b@example.org", "ada", "Ada")

    async def test_a_confirmed_phone_marks_the_otp_for_good(self, world: World) -> None:
        await world.deliver("created", "ada")
        assert not (await world.link("ada")).otp_verified

        await world.deliver("updated", "ada", phone_confirmed=True)
        await world.deliver("updated", "ada", phone_confirmed=False)

        assert (await world.link("ada")).otp_verified

    async def test_deletion_empties_the_profile_and_keeps_the_history(self, world: World) -> None:
        await world.deliver("created", "ada", profile=Profile("ada@example.org", "ada", "Ada", "+4512345678"))
        code = await world.code_of("ada")
        await world.arrive("bob", code)

        await world.deliver("deleted", "ada")

        summary = await world.summary("ada")
        assert summary is not None
        assert summary.user.deleted_at == world.clock.now()
        assert summary.user.profile == Profile()
        assert await world.resolve(code) == "unknown"
        assert await world.inviter("bob") == "ada"
        assert await world.broken_promises() == []

    async def test_a_deletion_before_the_creation_is_final(self, world: World) -> None:
        await world.deliver("deleted", "ada")
        await world.deliver("created", "ada", profile=Profile(username="ada"))
        await world.deliver("updated", "ada", profile=Profile(username="ada"), phone_confirmed=True)

        summary = await world.summary("ada")
        assert summary is not None
        assert summary.user.profile == Profile()
        assert summary.code is None
        assert not summary.otp_verified
        with pytest.raises(UserDeleted):
            await world.link("ada")
        assert world.metrics.total("webhook_out_of_order") == 3

    async def test_a_deletion_is_final_within_one_batch_too(self, world: World) -> None:
        await world.receive_identity_events(
            [world.delivery("created", "ada"), world.delivery("deleted", "ada"), world.delivery("updated", "ada")]
        )

        summary = await world.summary("ada")
        assert summary is not None
        assert (summary.user.deleted_at is not None, summary.code) == (True, None)

    async def test_a_deleted_users_claims_are_free(self, world: World) -> None:
        await world.deliver("created", "ada", profile=Profile("same@example.org", "same"))
        await world.deliver("deleted", "ada")

        await world.deliver("created", "bob", profile=Profile("same@example.org", "same"))

        assert await world.profile("bob") == Profile("same@example.org", "same")

    async def test_the_providers_newest_word_takes_a_claim_over(self, world: World) -> None:
        await world.deliver("created", "ada", profile=Profile("same@example.org", "same", "Ada"))
        world.pass_time(seconds=1)

        await world.deliver("created", "bob", profile=Profile("SAME@example.org", "same", "Bob"))

        assert await world.profile("ada") == Profile(display_name="Ada")
        assert await world.profile("bob") == Profile("SAME@example.org", "same", "Bob")

    async def test_the_providers_older_word_does_not(self, world: World) -> None:
        earlier = world.clock.now()
        world.pass_time(seconds=1)
        await world.deliver("created", "ada", profile=Profile("same@example.org", "same"))

        await world.deliver("created", "bob", profile=Profile("same@example.org", "same", "Bob"), occurred_at=earlier)

        assert await world.profile("ada") == Profile("same@example.org", "same")
        assert await world.profile("bob") == Profile(display_name="Bob")

    async def test_the_provider_outranks_what_a_user_claimed_alone(self, world: World) -> None:
        await world.arrive("squatter", profile=Profile(email="ada@example.org"))

        await world.deliver(
            "created",
            "ada",
            profile=Profile(email="ada@example.org"),
            occurred_at=world.clock.now() - timedelta(days=400),
        )

        assert await world.profile("squatter") == Profile()
        with pytest.raises(EmailTaken):
            await world.arrive("squatter", profile=Profile(email="ada@example.org"))

    async def test_a_claim_without_proof_takes_nothing_from_anybody(self, world: World) -> None:
        await world.arrive("ada", profile=Profile("same@example.org", "same"))
        world.pass_time(seconds=1)

        await world.deliver("created", "mal", profile=Profile("Same@example.org", "same", "Mal"), proves=())

        assert await world.profile("ada") == Profile("same@example.org", "same")
        assert await world.profile("mal") == Profile(display_name="Mal")

    async def test_an_older_proof_takes_what_was_claimed_after_a_newer_event_of_the_provider(
        self, world: World
    ) -> None:
        proved = world.clock.now()
        world.pass_time(seconds=10)
        await world.deliver("created", "mal")
        await world.arrive("mal", profile=Profile("ada@example.org", "ada"))

        await world.deliver("created", "ada", profile=Profile("ada@example.org", "ada"), occurred_at=proved)

        assert await world.profile("mal") == Profile()
        assert await world.profile("ada") == Profile("ada@example.org", "ada")

    async def test_a_proof_goes_when_the_user_changes_the_claim(self, world: World) -> None:
        earlier = world.clock.now()
        world.pass_time(seconds=10)
        await world.deliver("created", "ada", profile=Profile("ada@example.org", "ada"))
        await world.arrive("ada", profile=Profile("eve@example.org", "eve"))

        await world.deliver("created", "eve", profile=Profile("eve@example.org", "eve"), occurred_at=earlier)

        assert await world.profile("eve") == Profile("eve@example.org", "eve")

    async def test_a_proof_stays_when_the_same_claim_is_sent_again(self, world: World) -> None:
        earlier = world.clock.now()
        world.pass_time(seconds=10)
        await world.deliver("created", "ada", profile=Profile("ada@example.org", "ada"))
        await world.arrive("ada", profile=Profile("ADA@example.org", "ada"))
        world.pass_time(seconds=1)
        await world.deliver("updated", "ada", profile=Profile("ada@example.org", "ada"), proves=())

        await world.deliver("created", "mal", profile=Profile("ada@example.org", "ada"), occurred_at=earlier)

        assert await world.profile("ada") == Profile("ada@example.org", "ada")

    async def test_a_value_that_an_event_clears_is_empty_and_free(self, world: World) -> None:
        await world.deliver("created", "ada", profile=Profile("ada@example.org", "ada", "Ada", "+4512345678"))
        world.pass_time(seconds=1)

        await world.deliver("updated", "ada", clears=("email", "username", "display_name", "phone"))

        assert await world.profile("ada") == Profile()
        await world.arrive("bob", profile=Profile("ada@example.org", "ada"))
        assert await world.profile("bob") == Profile("ada@example.org", "ada")

    async def test_a_value_goes_before_the_clearing_of_its_field(self, world: World) -> None:
        await world.deliver("created", "ada", profile=Profile("ada@example.org", "ada"), clears=("email", "username"))

        assert await world.profile("ada") == Profile("ada@example.org", "ada")

    async def test_a_cleared_claim_that_somebody_else_keeps_is_empty(self, world: World) -> None:
        await world.deliver("created", "ada", profile=Profile(email="ada@example.org"))
        await world.deliver("created", "mal", profile=Profile(email="mal@example.org"))

        await world.deliver("updated", "mal", profile=Profile(email="ada@example.org"), proves=(), clears=("email",))

        assert (await world.profile("ada")).email == "ada@example.org"
        assert (await world.profile("mal")).email is None

    async def test_an_effect_that_fails_leaves_no_mark_of_the_delivery(self, world: World) -> None:
        failing = FailingAdoption(world.flags, world.metrics)
        broken = ReceiveIdentityEvents(
            world.transactions,
            world.points,
            world.clock,
            world.metrics,
            failing,
            world.mirroring,
            world.erase_traces,
            world.missing_codes,
        )
        with pytest.raises(Failure):
            await broken([world.delivery("created", "ada", delivery="msg_a")])

        assert await world.deliver("created", "ada", delivery="msg_a") == "processed"

    async def test_a_stale_event_takes_nothing_from_anybody(self, world: World) -> None:
        earlier = world.clock.now()
        world.pass_time(seconds=10)
        await world.deliver("created", "bob", profile=Profile(username="bob"))
        await world.arrive("ada", profile=Profile(username="same"))

        await world.deliver("updated", "bob", profile=Profile(username="same"), occurred_at=earlier)

        assert (await world.profile("ada")).username == "same"
        assert (await world.profile("bob")).username == "bob"

    async def test_claims_can_be_swapped_in_one_batch(self, world: World) -> None:
        await world.deliver("created", "ada", profile=Profile(username="one"))
        await world.deliver("created", "bob", profile=Profile(username="two"))
        world.pass_time(seconds=1)

        await world.receive_identity_events(
            [
                world.delivery("updated", "ada", profile=Profile(username="two")),
                world.delivery("updated", "bob", profile=Profile(username="one")),
            ]
        )

        assert [(await world.profile(user)).username for user in ("ada", "bob")] == ["two", "one"]

    async def test_lag_and_time_to_code_begin_with_the_arrival_and_not_with_the_senders_stamp(
        self, world: World
    ) -> None:
        delivery = world.delivery("created", "ada")
        stamp = delivery.event.received_at - timedelta(milliseconds=998)
        event = msgspec.structs.replace(delivery.event, sent_at=stamp, occurred_at=stamp)
        world.pass_time(milliseconds=40)

        await world.receive_identity_events([msgspec.structs.replace(delivery, event=event)])

        assert world.metrics.values["webhook_lag_seconds", ""] == [0.04]
        assert world.metrics.values["time_to_code_seconds", ""] == [0.04]
        assert world.metrics.values["webhook_delivery_seconds", ""] == [0.998]

    async def test_old_deliveries_are_forgotten_and_young_ones_are_not(self, world: World) -> None:
        await world.deliver("created", "ada", delivery="old")
        world.pass_time(days=2)
        await world.deliver("created", "bob", delivery="young")

        async with world.transactions.begin() as stores:
            forgotten = await stores.deliveries.forget(before=world.clock.now() - timedelta(days=1), limit=10)

        assert forgotten == 1
        assert await world.deliver("created", "bob", delivery="young") == "duplicate"

    async def test_no_more_deliveries_are_forgotten_at_once_than_asked_for(self, world: World) -> None:
        for number in range(3):
            await world.deliver("created", f"user{number}")
        world.pass_time(days=2)

        async with world.transactions.begin() as stores:
            before = world.clock.now()
            forgotten = [await stores.deliveries.forget(before=before, limit=2) for _ in range(3)]

        assert forgotten == [2, 1, 0]

    async def test_a_user_who_takes_a_name_and_changes_address_in_one_batch_gets_both(self, world: World) -> None:
        await world.deliver("created", "ada", profile=Profile(username="queen"))
        await world.deliver("created", "bob", profile=Profile(email="bob@example.org"))
        world.pass_time(seconds=1)

        await world.receive_identity_events(
            [
                world.delivery("updated", "bob", profile=Profile(username="queen")),
                world.delivery("updated", "bob", profile=Profile(email="bob@example.net")),
                world.delivery("created", "cid"),
            ]
        )

        profile = await world.profile("bob")
        assert (profile.username, profile.email) == ("queen", "bob@example.net")
        assert (await world.profile("ada")).username is None
        assert await world.summary("cid") is not None
