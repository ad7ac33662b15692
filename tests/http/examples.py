"""The examples of the document: one story, in which every operation is asked once and succeeds."""

from typing import Any

from tallystick.adapters.memory.ports import ManualClock
from tallystick.entrypoints.http.document.examples import Example
from tests.http.services import running, settings
from tests.http.story import BEGIN, Story, replayable

ADA, BOB, STAFF = "ada", "bob", "staff"
SESSION_BODY = {"email": "eve@example.org", "password": "a good password"}


async def recorded(document: dict[str, Any]) -> dict[str, Example]:
    """Return the example of every operation, as a service in memory answers it."""
    clock = ManualClock(BEGIN)
    async with running(settings(referral_points_need="phone"), "memory", replayable(clock)) as (anyone, _):
        story = Story(anyone, clock, document)
        await _codes(story)
        await _credits(story)
        await _invites(story)
        await _sessions(story)
        await _loyalty(story)
        await _rooms(story)
        await _operations(story)
    return story.examples


async def _codes(story: Story) -> None:
    await story.send("upsert_user", ADA, body={"display_name": "Ada"})
    link = await story.show("get_my_referral_link", ADA)
    code = link["referral_code"]
    await story.show("peek_referral_link", ADA)
    await story.show("resolve_code", query={"code": code})
    await story.show("follow_link", path={"code": code}, query={"utm_source": "mail"})
    body = {"email": "bob@example.org", "username": "bob", "display_name": "Bob", "referred_by": code}
    await story.show("upsert_user", BOB, body=body)
    await story.show("remint_code", ADA, body={})
    await story.show("get_me", BOB)
    await story.show("list_leaders", ADA, query={"limit": 10})
    await story.show("get_globe", ADA)
    await story.show("find_profile_by_email", STAFF, query={"email": "bob@example.org"})
    await story.deliver("receive_webhook", _created("mallory"))


def _created(user: str) -> dict[str, Any]:
    data = {"id": user, "email": f"{user}@example.org", "email_verified": True, "username": user}
    return {"type": "user.created", "data": {**data, "created_at": "2026-01-01T09:00:00Z"}}


async def _credits(story: Story) -> None:
    grant = {"user_id": ADA, "amount": 100, "reason": "welcome", "event_key": "welcome-ada"}
    await story.show("grant_credits", STAFF, body=grant)
    await story.show("get_balance", ADA)
    reward = {"name": "A hat", "cost": 40, "description": "It keeps the sun off."}
    reward_id = (await story.show("offer_reward", STAFF, body=reward))["reward_id"]
    await story.show("change_reward", STAFF, path={"reward_id": reward_id}, body={"cost": 30})
    await story.show("list_rewards", ADA, query={"limit": 10})
    await story.show("purchase_reward", ADA, path={"reward_id": reward_id}, body={})
    orders = [{"user_id": ADA, "reward_id": reward_id}, {"user_id": BOB, "reward_id": reward_id}]
    other = (await story.send("offer_reward", STAFF, body={"name": "A cap", "cost": 20}))["reward_id"]
    await story.show("purchase_rewards", STAFF, body={"orders": [{"user_id": ADA, "reward_id": other}, *orders]})
    await story.show("list_collected_rewards", ADA, query={"limit": 10})
    await story.show("list_credit_entries", ADA, query={"limit": 10})


async def _invites(story: Story) -> None:
    body = {"max_uses": 5, "expires_at": "2026-02-01T00:00:00Z", "code": "SPRING-26"}
    invite_id = (await story.show("make_invite", STAFF, body=body))["invite_id"]
    await story.show("validate_invite", body={"code": "spring-26"})
    await story.show("redeem_invite", ADA, body={"code": "spring-26"})
    sign_up = {
        "userId": "eve",
        **SESSION_BODY,
        "username": "eve",
        "displayName": "Eve",
        "inviteCode": "SPRING26",
        "phone": "+45 12 34 56 78",
    }
    await story.show("complete_phone_signup", "eve", body=sign_up)
    await story.show("get_invite", STAFF, path={"invite_id": invite_id})
    await story.show("list_invite_uses", STAFF, path={"invite_id": invite_id}, query={"limit": 10})
    await story.show("revoke_invite", STAFF, path={"invite_id": invite_id}, body={})


async def _sessions(story: Story) -> None:
    bearer = {"authorization": f"Bearer {(await story.show('sign_in_user', body=SESSION_BODY))['token']}"}
    change = {"current": SESSION_BODY["password"], "new": "a better password"}
    await story.show("change_own_password", body=change, headers=bearer)
    await story.show("sign_out_user", body={"everywhere": True}, headers=bearer)


async def _loyalty(story: Story) -> None:
    award = {"player_id": ADA, "points": 250, "reason": "a good game"}
    await story.show("award_points", STAFF, body=award)
    events = [
        {"player_id": ADA, "points": 50, "event_type": "promotion", "event_key": "spring"},
        {"player_id": "nobody", "points": 50, "event_type": "promotion", "event_key": "spring"},
    ]
    await story.show("accrue_points", STAFF, body={"events": events})
    slip = {"player_id": ADA, "game": "blackjack", "average_bet": 2500, "opened_at": "2026-01-01T10:00:00Z"}
    slip_id = (await story.show("open_rating_slip", STAFF, body=slip))["slip_id"]
    await story.show("get_rating_slip", STAFF, path={"slip_id": slip_id})
    await story.show("complete_rating_slip", STAFF, path={"slip_id": slip_id}, body={})
    await story.show("list_rating_slips", STAFF, query={"state": "closed", "limit": 10})
    await story.show("recover_rating_slip", STAFF, path={"slip_id": slip_id}, body={})
    await story.show("list_pending_accruals", STAFF, query={"limit": 10})
    event = {"player_id": ADA, "event_type": "rating_slip", "event_key": slip_id}
    await story.show("recover_pending_accrual", STAFF, body=event)
    await story.show("get_loyalty", ADA, path={"player_id": ADA})
    await story.show("list_loyalty_entries", ADA, path={"player_id": ADA}, query={"limit": 10})
    await story.show("list_point_entries", STAFF, query={"staff_id": STAFF, "limit": 10})


async def _rooms(story: Story) -> None:
    channel_id = (await story.show("make_channel", ADA, body={"name": "Tea at four"}))["channel_id"]
    in_channel = {"channel_id": channel_id}
    member = {**in_channel, "user_id": BOB}
    await story.show("place_member", ADA, path=member, body={"role": "member"})
    message = {**in_channel, "body": "Shall we?", "client_message_id": "m-1"}
    message_id = (await story.show("send_message", BOB, body=message))["message_id"]
    await story.show("list_channels", ADA, query={"limit": 10})
    await story.show("list_messages", ADA, query={**in_channel, "limit": 10})
    await story.show("mark_read", ADA, path=in_channel, body={"seq": 3})
    last_id = (await story.show("stream_channel", ADA, path=in_channel, query={"after": "2"}))[-1]["id"]
    await story.show("stream_topics", ADA, query={"topic": [channel_id, "overlays"], "after": f"{last_id},0"})
    await story.show("start_stream_session", ADA, body={})
    await story.show("delete_message", BOB, path={"message_id": message_id})
    await story.show("list_members", ADA, path=in_channel, query={"limit": 10})
    await story.show("remove_member", ADA, path=member)
    session = {"session_id": "stage-1"}
    await story.show("put_overlay", ADA, path=session, body={"payload": {"text": "Round 2"}, "ttl_seconds": 600})
    await story.show("get_overlay", BOB, path=session)
    await story.show("stream_overlays", BOB, query={"after": "0"})
    await story.show("remove_overlay", ADA, path=session)
    slots = [{"role": "dealer", "slot": 1, "player_id": ADA}, {"role": "player", "slot": 1, "player_id": BOB}]
    rules = {"roles": {"dealer": {"slots": 1}, "player": {"slots": 4}}}
    await story.show("verify_roster", ADA, body={"slots": slots, "rules": rules})
    await story.show(
        "sync_roster", ADA, body={"room_id": "table-7", "roster_version": 0, "slots": slots, "rules": rules}
    )


async def _operations(story: Story) -> None:
    await story.show("describe_service")
    await story.show("check_health")
    await story.show("check_readiness", query={"for": "reads"})
    await story.show("get_metrics", lines="tallystick_double_mint")
    await story.show("count_violations", STAFF, most=2)
    await story.show("list_flags", STAFF, most=2)
    await story.show("switch_flag", STAFF, path={"name": "legacy_fallback_enabled"}, body={"enabled": True})
    await story.show("export_rows", STAFF, path={"kind": "edges"}, query={"format": "jsonl"})
    await story.show("delete_user", STAFF, path={"user_id": "mallory"})
