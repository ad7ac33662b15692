"""Every behaviour on PostgreSQL: pytest collects the imported classes here too, with the fixtures of this folder."""

from tests.unit.behaviours.test_accruals import TestAccruePoints
from tests.unit.behaviours.test_audit import TestAudit
from tests.unit.behaviours.test_awards import TestAwardPoints
from tests.unit.behaviours.test_bounds import TestReplyBounds, TestUserBounds
from tests.unit.behaviours.test_channels import TestMakeChannels, TestMembers
from tests.unit.behaviours.test_clicks import TestClickedCodes
from tests.unit.behaviours.test_codes import TestMintCodes, TestRemintCodes, TestResolveCodes
from tests.unit.behaviours.test_credits import TestEntries, TestGrantCredits
from tests.unit.behaviours.test_deletion import TestDeleteUsers
from tests.unit.behaviours.test_erasures import TestEraseTraces
from tests.unit.behaviours.test_exports import TestExports
from tests.unit.behaviours.test_fingerprints import TestFingerprints
from tests.unit.behaviours.test_flag_flips import TestFlippedFlags
from tests.unit.behaviours.test_flags import TestFollowedFlags, TestSwitchFlags
from tests.unit.behaviours.test_http_audit import TestAuditRoutes
from tests.unit.behaviours.test_http_bad_values import TestLargestAmounts
from tests.unit.behaviours.test_http_channels import TestChannelRoutes, TestMessageRoutes
from tests.unit.behaviours.test_http_claims import (
    TestClaims,
    TestEmptiedProfiles,
    TestLifeAtEachProvider,
    TestProvedAddress,
)
from tests.unit.behaviours.test_http_credits import TestCreditRoutes, TestGrantRoute
from tests.unit.behaviours.test_http_deletion import TestDeletionRoute
from tests.unit.behaviours.test_http_exports import TestExportRoutes
from tests.unit.behaviours.test_http_flags import TestFlagRoutes
from tests.unit.behaviours.test_http_functions import TestFunctionCalls
from tests.unit.behaviours.test_http_invites import TestInviteRoutes, TestRedeemRoute, TestValidateRoute
from tests.unit.behaviours.test_http_loyalty import TestAccrualRoute, TestAwardRoute, TestLoyaltyRoute
from tests.unit.behaviours.test_http_membership import TestMembersOnly
from tests.unit.behaviours.test_http_order_batches import TestPurchaseBatchRoute
from tests.unit.behaviours.test_http_overlays import TestOverlayRoutes, TestOverlayStream
from tests.unit.behaviours.test_http_pages import TestPages
from tests.unit.behaviours.test_http_rating_slips import TestPendingRoutes, TestSlipRoutes
from tests.unit.behaviours.test_http_referrals import (
    TestClickRoutes,
    TestIdempotentRoutes,
    TestReferralLinkRoutes,
    TestSameTruthRoutes,
    TestUpsertRoutes,
)
from tests.unit.behaviours.test_http_resolver import TestResolverRoute
from tests.unit.behaviours.test_http_rewards import TestPurchaseRoute, TestRewardRoutes
from tests.unit.behaviours.test_http_sessions import TestPasswordRoute, TestSignOutRoute
from tests.unit.behaviours.test_http_sign_in import TestSignInRoute
from tests.unit.behaviours.test_http_sign_up import TestSignUpRoute
from tests.unit.behaviours.test_http_stage_rooms import TestStageRoomRoute
from tests.unit.behaviours.test_http_store_calls import TestStoreCalls
from tests.unit.behaviours.test_http_stream_ends import TestEndedSessions, TestFailingDatabase
from tests.unit.behaviours.test_http_streams import TestStreamRoutes, TestStreamSession
from tests.unit.behaviours.test_http_usernames import TestUsernames
from tests.unit.behaviours.test_http_webhooks import TestProviders, TestWebhookRoute
from tests.unit.behaviours.test_idempotency import TestAnswerOnce
from tests.unit.behaviours.test_identity_events import TestReceiveIdentityEvents
from tests.unit.behaviours.test_invariant_passes import TestInvariantPasses
from tests.unit.behaviours.test_invites import TestMakeInvites, TestRevokeInvites, TestSeatPages
from tests.unit.behaviours.test_legacy_metadata import (
    TestAdoptCodes,
    TestAdoptLegacyUsers,
    TestBroughtCodes,
    TestLegacyFallback,
    TestLegacyField,
    TestMirrorMetadata,
)
from tests.unit.behaviours.test_messages import (
    TestDeletedMembers,
    TestDeleteMessages,
    TestReadMessages,
    TestSendMessages,
)
from tests.unit.behaviours.test_missing_codes import TestMissingCodes
from tests.unit.behaviours.test_orders import TestOrders
from tests.unit.behaviours.test_overlays import (
    TestDeletedOwners,
    TestExpireOverlays,
    TestPutOverlays,
    TestRemoveOverlays,
)
from tests.unit.behaviours.test_pending_accruals import TestPendingSlips, TestRecoverAccruals, TestSweepAccruals
from tests.unit.behaviours.test_purchases import TestPurchaseRewards, TestRepeatedPurchases
from tests.unit.behaviours.test_rating_slips import TestCompleteSlips, TestOpenSlips
from tests.unit.behaviours.test_reconciliation import TestReconcileMetadata
from tests.unit.behaviours.test_redemptions import TestRedeemInvites, TestRepeatedRedemptions
from tests.unit.behaviours.test_referral_links import TestPeekReferralLink, TestReadReferralLink
from tests.unit.behaviours.test_referral_points import TestReferralPoints
from tests.unit.behaviours.test_referrals import (
    TestAttributeReferrals,
    TestAttributionAttempts,
    TestLeaderboard,
    TestProfiles,
)
from tests.unit.behaviours.test_retention import TestTrimLogs, TestTrimmedStreams
from tests.unit.behaviours.test_rewards import TestOfferRewards, TestPurchaseBatches, TestRewardPages
from tests.unit.behaviours.test_schedules import TestSchedules
from tests.unit.behaviours.test_sessions import TestChangePasswords, TestSessions
from tests.unit.behaviours.test_sign_up import TestCompleteSignUps, TestSignIn, TestSignUpBatches
from tests.unit.behaviours.test_stage_rooms import TestDeletedPlayers, TestSyncRosters
from tests.unit.behaviours.test_stream_deliveries import TestDeliveries
from tests.unit.behaviours.test_stream_ends import TestEnds, TestMembership
from tests.unit.behaviours.test_stream_placements import TestPlacements
from tests.unit.behaviours.test_streams import TestReading
from tests.unit.behaviours.test_transactions import TestTransactions, TestUnstorableValues
