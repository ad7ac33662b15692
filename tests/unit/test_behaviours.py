"""Every behaviour on memory."""

import pytest

from tallystick.adapters.memory.transactions import MemoryTransactions
from tests.unit.behaviours.accruals import AccruePointsBehaviour
from tests.unit.behaviours.audit import AuditBehaviour
from tests.unit.behaviours.awards import AwardPointsBehaviour
from tests.unit.behaviours.bounds import ReplyBoundsBehaviour, UserBoundsBehaviour
from tests.unit.behaviours.clicks import ClickedCodesBehaviour
from tests.unit.behaviours.codes import MintCodesBehaviour, RemintCodesBehaviour, ResolveCodesBehaviour
from tests.unit.behaviours.credits import EntriesBehaviour, GrantCreditsBehaviour
from tests.unit.behaviours.deletion import DeleteUsersBehaviour
from tests.unit.behaviours.erasures import EraseTracesBehaviour
from tests.unit.behaviours.exports import ExportsBehaviour
from tests.unit.behaviours.fingerprints import FingerprintsBehaviour
from tests.unit.behaviours.flag_flips import FlippedFlagsBehaviour
from tests.unit.behaviours.flags import FollowedFlagsBehaviour, SwitchFlagsBehaviour
from tests.unit.behaviours.idempotency import AnswerOnceBehaviour
from tests.unit.behaviours.identity_events import ReceiveIdentityEventsBehaviour
from tests.unit.behaviours.invites import MakeInvitesBehaviour, RevokeInvitesBehaviour, SeatPagesBehaviour
from tests.unit.behaviours.legacy_metadata import (
    AdoptCodesBehaviour,
    BringAlongBehaviour,
    BroughtCodesBehaviour,
    LegacyFallbackBehaviour,
    LegacyFieldBehaviour,
    MirrorMetadataBehaviour,
)
from tests.unit.behaviours.pending_accruals import (
    PendingSlipsBehaviour,
    RecoverAccrualsBehaviour,
    SweepAccrualsBehaviour,
)
from tests.unit.behaviours.purchases import PurchaseRewardsBehaviour, RepeatedPurchasesBehaviour
from tests.unit.behaviours.rating_slips import CompleteSlipsBehaviour, OpenSlipsBehaviour
from tests.unit.behaviours.reconciliation import ReconcileMetadataBehaviour
from tests.unit.behaviours.redemptions import RedeemInvitesBehaviour, RepeatedRedemptionsBehaviour
from tests.unit.behaviours.referral_links import PeekReferralLinkBehaviour, ReadReferralLinkBehaviour
from tests.unit.behaviours.referral_points import ReferralPointsBehaviour
from tests.unit.behaviours.referrals import (
    AttributeReferralsBehaviour,
    AttributionAttemptsBehaviour,
    LeaderboardBehaviour,
    ProfilesBehaviour,
)
from tests.unit.behaviours.rewards import OfferRewardsBehaviour, PurchaseBasketsBehaviour, RewardPagesBehaviour
from tests.unit.behaviours.schedules import SchedulesBehaviour
from tests.unit.behaviours.sessions import ChangePasswordsBehaviour, SessionsBehaviour
from tests.unit.behaviours.sign_up import CompleteSignUpsBehaviour, SignInBehaviour, SignUpBatchesBehaviour
from tests.unit.behaviours.transactions import TransactionsBehaviour
from tests.worlds import World


@pytest.fixture
def world() -> World:
    return World(MemoryTransactions())


class TestMintCodes(MintCodesBehaviour): ...


class TestRemintCodes(RemintCodesBehaviour): ...


class TestResolveCodes(ResolveCodesBehaviour): ...


class TestReadReferralLink(ReadReferralLinkBehaviour): ...


class TestPeekReferralLink(PeekReferralLinkBehaviour): ...


class TestAttributeReferrals(AttributeReferralsBehaviour): ...


class TestAttributionAttempts(AttributionAttemptsBehaviour): ...


class TestProfiles(ProfilesBehaviour): ...


class TestLeaderboard(LeaderboardBehaviour): ...


class TestReceiveIdentityEvents(ReceiveIdentityEventsBehaviour): ...


class TestDeleteUsers(DeleteUsersBehaviour): ...


class TestAnswerOnce(AnswerOnceBehaviour): ...


class TestTransactions(TransactionsBehaviour): ...


class TestEntries(EntriesBehaviour): ...


class TestGrantCredits(GrantCreditsBehaviour): ...


class TestPurchaseRewards(PurchaseRewardsBehaviour): ...


class TestRepeatedPurchases(RepeatedPurchasesBehaviour): ...


class TestOfferRewards(OfferRewardsBehaviour): ...


class TestPurchaseBaskets(PurchaseBasketsBehaviour): ...


class TestRewardPages(RewardPagesBehaviour): ...


class TestMakeInvites(MakeInvitesBehaviour): ...


class TestRevokeInvites(RevokeInvitesBehaviour): ...


class TestSeatPages(SeatPagesBehaviour): ...


class TestRedeemInvites(RedeemInvitesBehaviour): ...


class TestRepeatedRedemptions(RepeatedRedemptionsBehaviour): ...


class TestCompleteSignUps(CompleteSignUpsBehaviour): ...


class TestSessions(SessionsBehaviour): ...


class TestChangePasswords(ChangePasswordsBehaviour): ...


class TestSignIn(SignInBehaviour): ...


class TestSignUpBatches(SignUpBatchesBehaviour): ...


class TestAwardPoints(AwardPointsBehaviour): ...


class TestAccruePoints(AccruePointsBehaviour): ...


class TestOpenSlips(OpenSlipsBehaviour): ...


class TestCompleteSlips(CompleteSlipsBehaviour): ...


class TestPendingSlips(PendingSlipsBehaviour): ...


class TestRecoverAccruals(RecoverAccrualsBehaviour): ...


class TestSweepAccruals(SweepAccrualsBehaviour): ...


class TestReferralPoints(ReferralPointsBehaviour): ...


class TestAudit(AuditBehaviour): ...


class TestEraseTraces(EraseTracesBehaviour): ...


class TestUserBounds(UserBoundsBehaviour): ...


class TestReplyBounds(ReplyBoundsBehaviour): ...


class TestExports(ExportsBehaviour): ...


class TestSwitchFlags(SwitchFlagsBehaviour): ...


class TestFingerprints(FingerprintsBehaviour): ...


class TestFollowedFlags(FollowedFlagsBehaviour): ...


class TestFlippedFlags(FlippedFlagsBehaviour): ...


class TestClickedCodes(ClickedCodesBehaviour): ...


class TestAdoptCodes(AdoptCodesBehaviour): ...


class TestBringAlong(BringAlongBehaviour): ...


class TestBroughtCodes(BroughtCodesBehaviour): ...


class TestLegacyFallback(LegacyFallbackBehaviour): ...


class TestLegacyField(LegacyFieldBehaviour): ...


class TestMirrorMetadata(MirrorMetadataBehaviour): ...


class TestReconcileMetadata(ReconcileMetadataBehaviour): ...


class TestSchedules(SchedulesBehaviour): ...
