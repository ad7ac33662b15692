"""Every behaviour on PostgreSQL."""

from tests.unit.behaviours.codes import MintCodesBehaviour, RemintCodesBehaviour, ResolveCodesBehaviour
from tests.unit.behaviours.idempotency import AnswerOnceBehaviour
from tests.unit.behaviours.identity_events import ReceiveIdentityEventsBehaviour
from tests.unit.behaviours.referral_links import PeekReferralLinkBehaviour, ReadReferralLinkBehaviour
from tests.unit.behaviours.referrals import AttributeReferralsBehaviour, LeaderboardBehaviour, ProfilesBehaviour
from tests.unit.behaviours.transactions import TransactionsBehaviour


class TestMintCodes(MintCodesBehaviour): ...


class TestRemintCodes(RemintCodesBehaviour): ...


class TestResolveCodes(ResolveCodesBehaviour): ...


class TestReadReferralLink(ReadReferralLinkBehaviour): ...


class TestPeekReferralLink(PeekReferralLinkBehaviour): ...


class TestAttributeReferrals(AttributeReferralsBehaviour): ...


class TestProfiles(ProfilesBehaviour): ...


class TestLeaderboard(LeaderboardBehaviour): ...


class TestReceiveIdentityEvents(ReceiveIdentityEventsBehaviour): ...


class TestAnswerOnce(AnswerOnceBehaviour): ...


class TestTransactions(TransactionsBehaviour): ...
