"""Wiring: which parts the service is made of; every choice is one line, and every use case one row."""

from dishka import AsyncContainer, Provider, Scope, make_async_container

from tallystick.adapters.telemetry.metrics import KnownLabels
from tallystick.application.channels import MakeChannels, ReadMessages
from tallystick.application.codes import MintCodes, RemintCodes
from tallystick.application.credits import GrantCredits
from tallystick.application.deletion import DeleteUsers
from tallystick.application.erasures import EraseTraces, FinishErasures
from tallystick.application.flags import SwitchFlags
from tallystick.application.group_commit import Bounds
from tallystick.application.idempotency import Keyed
from tallystick.application.identity_events import ReceiveIdentityEvents
from tallystick.application.invites import MakeInvites, RedeemInvites
from tallystick.application.legacy_metadata import AdoptCodes, AdoptLegacyUsers, MirrorMetadata
from tallystick.application.loyalty import AccruePoints, AwardPoints
from tallystick.application.members import ChangeMembers
from tallystick.application.messages import DeleteMessages, SendMessages
from tallystick.application.missing_codes import MissingCodes
from tallystick.application.overlays import ExpireOverlays, PutOverlays, RemoveOverlays
from tallystick.application.pending_accruals import RecoverAccruals, SweepAccruals
from tallystick.application.points import Accrued, Points
from tallystick.application.rating_slips import (
    CompleteSlips,
    OpenSlips,
    RecoverSlips,
)
from tallystick.application.reads import CheckCallers, Reads, ReadUserSummaries
from tallystick.application.reconciliation import ReconcileMetadata
from tallystick.application.referral_links import PeekReferralLink, ReadReferralLink, ResolveCodes
from tallystick.application.referrals import AttributeReferrals
from tallystick.application.rewards import (
    ChangeReward,
    OfferReward,
    OfferRewards,
    PurchaseOrderBatches,
    PurchaseRewards,
)
from tallystick.application.sessions import (
    ChangePasswords,
    EndSessions,
    StartSessions,
)
from tallystick.application.sign_up import CompleteSignUps
from tallystick.application.stage_rooms import SyncRosters
from tallystick.application.stream_placements import PlaceStreams
from tallystick.domain.exports import EntryView
from tallystick.domain.loyalty import Accrual
from tallystick.domain.rewards import RewardId
from tallystick.entrypoints.group_commits import BatchUseCase, provider_of
from tallystick.entrypoints.http.links import Addresses
from tallystick.entrypoints.http.problems import STATUS
from tallystick.entrypoints.http.routes.channels import wire_channel, wire_member
from tallystick.entrypoints.http.routes.invites import wire_invite
from tallystick.entrypoints.http.routes.loyalty import wire_credited
from tallystick.entrypoints.http.routes.messages import wire_message
from tallystick.entrypoints.http.routes.rating_slips import wire_completed, wire_slip
from tallystick.entrypoints.http.routes.referrals import wire_reminted
from tallystick.entrypoints.http.routes.rewards import wire_batch_result
from tallystick.entrypoints.http.routes.stage_rooms import wire_roster
from tallystick.entrypoints.providers.http import Http
from tallystick.entrypoints.providers.identity import Identity
from tallystick.entrypoints.providers.memory import MemoryStore
from tallystick.entrypoints.providers.process import Process
from tallystick.entrypoints.settings import Settings, Store

DEFAULT_ADDRESS = "http://127.0.0.1:8000"
_READS = Bounds(lanes=1)
"""Callers who ask at the same time share one statement, and the next one is sent when it is answered."""
_HOT = Bounds(lanes=1)
"""Batches of one lane are the largest and cost least: the next batch gathers while this one commits."""
_LARGE = Bounds(lanes=2, batch_size=4, queue_length=64)
"""For requests that hold up to a thousand orders each: a few of them are a large batch."""

USE_CASES: tuple[type, ...] = (
    AdoptCodes,
    AdoptLegacyUsers,
    EraseTraces,
    ExpireOverlays,
    FinishErasures,
    MirrorMetadata,
    MissingCodes,
    PeekReferralLink,
    Points,
    ReadReferralLink,
    Reads,
    ReconcileMetadata,
    SweepAccruals,
)
"""The use cases that run by themselves, and what several use cases share."""


def batch_use_cases(addresses: Addresses) -> tuple[BatchUseCase, ...]:
    """Return the use cases that run in batches: class, label in the metrics, key, and what differs from the rule."""
    return (
        # callers and users
        BatchUseCase(CheckCallers, "check_callers", key=lambda _: 0, bounds=_READS),
        BatchUseCase(ReadUserSummaries, "read_user_summaries", key=lambda _: 0, bounds=_READS),
        BatchUseCase(ReceiveIdentityEvents, "receive_identity_events", key=lambda delivery: delivery.event.user_id),
        BatchUseCase(DeleteUsers, "delete_users", key=lambda command: command.user_id),
        BatchUseCase(CompleteSignUps, "complete_sign_ups", key=lambda keyed: keyed.command.redemption.code),
        BatchUseCase(StartSessions, "start_sessions", key=lambda command: command.session.user_id),
        BatchUseCase(EndSessions, "end_sessions", key=lambda keyed: keyed.command.session.user_id),
        BatchUseCase(ChangePasswords, "change_passwords", key=lambda keyed: keyed.command.session.user_id),
        # codes and referrals
        BatchUseCase(ResolveCodes, "resolve_codes", key=lambda _: 0, bounds=_READS),
        BatchUseCase(MintCodes, "mint_codes", key=lambda command: command.user_id),
        BatchUseCase(
            RemintCodes,
            "remint_codes",
            key=lambda keyed: keyed.command.user_id,
            reply=lambda reminted: wire_reminted(reminted, addresses),
        ),
        BatchUseCase(AttributeReferrals, "attribute_referrals", key=lambda keyed: keyed.command.request.user_id),
        # invites, credits and rewards
        BatchUseCase(MakeInvites, "make_invites", key=lambda keyed: keyed.command.invite_id, reply=wire_invite),
        BatchUseCase(RedeemInvites, "redeem_invites", key=lambda keyed: keyed.command.code, bounds=_HOT),
        # By event key: two grants for one event meet in one lane, whichever users they are for.
        BatchUseCase(
            GrantCredits,
            "grant_credits",
            key=lambda keyed: keyed.command.event_key,
            reply=lambda granted: EntryView.of(granted.entry),
        ),
        BatchUseCase(OfferRewards, "offer_rewards", key=_reward_of),
        BatchUseCase(PurchaseRewards, "purchase_rewards", key=lambda keyed: keyed.command.user_id, bounds=_HOT),
        BatchUseCase(
            PurchaseOrderBatches,
            "purchase_order_batches",
            key=lambda keyed: keyed.command.orders[0].order_id,
            bounds=_LARGE,
            reply=wire_batch_result,
        ),
        # loyalty
        BatchUseCase(
            AwardPoints, "award_points", key=lambda keyed: keyed.command.player_id, bounds=_HOT, reply=_receipt
        ),
        BatchUseCase(
            AccruePoints,
            "accrue_points",
            key=lambda keyed: keyed.command.earnings[0].player_id,
            bounds=_LARGE,
            reply=wire_credited,
        ),
        BatchUseCase(OpenSlips, "open_slips", key=lambda keyed: keyed.command.slip_id, reply=wire_slip),
        BatchUseCase(
            CompleteSlips,
            "complete_slips",
            key=lambda keyed: keyed.command.slip_id,
            bounds=_HOT,
            reply=wire_completed,
        ),
        BatchUseCase(RecoverSlips, "recover_slips", key=lambda keyed: keyed.command.slip_id, reply=_receipt),
        BatchUseCase(
            RecoverAccruals, "recover_accruals", key=lambda keyed: keyed.command.event.user_id, reply=_receipt
        ),
        # channels
        BatchUseCase(
            MakeChannels,
            "make_channels",
            key=lambda keyed: keyed.command.channel.owner_id,
            reply=wire_channel,
        ),
        BatchUseCase(ChangeMembers, "change_members", key=lambda keyed: keyed.command.channel_id, reply=wire_member),
        BatchUseCase(
            SendMessages,
            "send_messages",
            key=lambda keyed: keyed.command.channel_id,
            bounds=_HOT,
            reply=wire_message,
        ),
        BatchUseCase(DeleteMessages, "delete_messages", key=lambda command: command.channel_id),
        BatchUseCase(ReadMessages, "read_messages", key=lambda command: command.key.channel_id),
        BatchUseCase(PlaceStreams, "place_streams", key=lambda _: 0, bounds=_READS),
        # overlays, which share one log
        BatchUseCase(PutOverlays, "put_overlays", key=lambda _: 0, bounds=_HOT),
        BatchUseCase(RemoveOverlays, "remove_overlays", key=lambda _: 0, bounds=_HOT),
        # stage rooms
        BatchUseCase(SyncRosters, "sync_rosters", key=lambda keyed: keyed.command.room_id, reply=wire_roster),
        # flags
        BatchUseCase(SwitchFlags, "switch_flags", key=lambda keyed: keyed.command.flag),
    )


def build(settings: Settings, store: Store, *replacements: Provider) -> AsyncContainer:
    """Return the graph for one process; tests replace parts of it."""
    base = settings.public_base_url or DEFAULT_ADDRESS
    addresses = Addresses(base, settings.app_url or base)
    rows = batch_use_cases(addresses)
    known = KnownLabels(tuple(row.name for row in rows), tuple(sorted({failure.code for failure in STATUS})))
    use_cases = Provider(scope=Scope.APP)
    use_cases.provide_all(*USE_CASES)
    return make_async_container(
        _store(store),
        Process(),
        Identity(),
        provider_of(rows),
        use_cases,
        Http(),
        *replacements,
        context={Settings: settings, Addresses: addresses, KnownLabels: known},
    )


def _store(store: Store) -> Provider:
    if store == "memory":
        return MemoryStore()
    from tallystick.entrypoints.providers.postgres import PostgresStore  # noqa: PLC0415  memory needs no driver

    return PostgresStore()


def _reward_of(keyed: Keyed[OfferReward | ChangeReward]) -> RewardId:
    command = keyed.command
    return command.reward.reward_id if isinstance(command, OfferReward) else command.reward_id


def _receipt(accrued: Accrued) -> Accrual:
    return accrued.accrual
