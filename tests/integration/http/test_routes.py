"""The routes on PostgreSQL."""

from tests.unit.behaviours.http_audit import AuditRoutesBehaviour
from tests.unit.behaviours.http_bad_values import BadValuesBehaviour
from tests.unit.behaviours.http_claims import (
    ClaimsBehaviour,
    EmptiedProfilesBehaviour,
    LifeAtEachProviderBehaviour,
    ProvedAddressBehaviour,
)
from tests.unit.behaviours.http_credits import CreditRoutesBehaviour, GrantRouteBehaviour
from tests.unit.behaviours.http_deletion import DeletionRouteBehaviour
from tests.unit.behaviours.http_exports import ExportRoutesBehaviour
from tests.unit.behaviours.http_flag_states import FlagStatesBehaviour
from tests.unit.behaviours.http_flags import FlagRoutesBehaviour
from tests.unit.behaviours.http_invites import InviteRoutesBehaviour, RedeemRouteBehaviour, ValidateRouteBehaviour
from tests.unit.behaviours.http_loyalty import AccrualRouteBehaviour, AwardRouteBehaviour, LoyaltyRouteBehaviour
from tests.unit.behaviours.http_order_batches import PurchaseBatchRouteBehaviour
from tests.unit.behaviours.http_parameters import ParametersBehaviour
from tests.unit.behaviours.http_rating_slips import PendingRoutesBehaviour, SlipRoutesBehaviour
from tests.unit.behaviours.http_referrals import (
    ArrivalRoutesBehaviour,
    ClickRoutesBehaviour,
    IdempotentRoutesBehaviour,
    ReferralLinkRoutesBehaviour,
    SameTruthRoutesBehaviour,
)
from tests.unit.behaviours.http_resolver import ResolverRouteBehaviour
from tests.unit.behaviours.http_rewards import PurchaseRouteBehaviour, RewardRoutesBehaviour
from tests.unit.behaviours.http_sessions import AccountLimitBehaviour, PasswordRouteBehaviour, SignOutRouteBehaviour
from tests.unit.behaviours.http_sign_in import SignInRouteBehaviour
from tests.unit.behaviours.http_sign_up import ExternalIdentityBehaviour, SignUpRouteBehaviour
from tests.unit.behaviours.http_usernames import UsernamesBehaviour
from tests.unit.behaviours.http_webhooks import ProvidersBehaviour, WebhookRouteBehaviour


class TestReferralLinkRoutes(ReferralLinkRoutesBehaviour): ...


class TestIdempotentRoutes(IdempotentRoutesBehaviour): ...


class TestArrivalRoutes(ArrivalRoutesBehaviour): ...


class TestSameTruthRoutes(SameTruthRoutesBehaviour): ...


class TestClickRoutes(ClickRoutesBehaviour): ...


class TestResolverRoute(ResolverRouteBehaviour): ...


class TestWebhookRoute(WebhookRouteBehaviour): ...


class TestProviders(ProvidersBehaviour): ...


class TestUsernames(UsernamesBehaviour): ...


class TestClaims(ClaimsBehaviour): ...


class TestProvedAddress(ProvedAddressBehaviour): ...


class TestEmptiedProfiles(EmptiedProfilesBehaviour): ...


class TestLifeAtEachProvider(LifeAtEachProviderBehaviour): ...


class TestCreditRoutes(CreditRoutesBehaviour): ...


class TestGrantRoute(GrantRouteBehaviour): ...


class TestPurchaseRoute(PurchaseRouteBehaviour): ...


class TestRewardRoutes(RewardRoutesBehaviour): ...


class TestPurchaseBatchRoute(PurchaseBatchRouteBehaviour): ...


class TestInviteRoutes(InviteRoutesBehaviour): ...


class TestRedeemRoute(RedeemRouteBehaviour): ...


class TestValidateRoute(ValidateRouteBehaviour): ...


class TestExternalIdentity(ExternalIdentityBehaviour): ...


class TestSignUpRoute(SignUpRouteBehaviour): ...


class TestSignOutRoute(SignOutRouteBehaviour): ...


class TestPasswordRoute(PasswordRouteBehaviour): ...


class TestAccountLimit(AccountLimitBehaviour): ...


class TestSignInRoute(SignInRouteBehaviour): ...


class TestBadValues(BadValuesBehaviour): ...


class TestLoyaltyRoute(LoyaltyRouteBehaviour): ...


class TestAwardRoute(AwardRouteBehaviour): ...


class TestAccrualRoute(AccrualRouteBehaviour): ...


class TestSlipRoutes(SlipRoutesBehaviour): ...


class TestPendingRoutes(PendingRoutesBehaviour): ...


class TestAuditRoutes(AuditRoutesBehaviour): ...


class TestDeletionRoute(DeletionRouteBehaviour): ...


class TestExportRoutes(ExportRoutesBehaviour): ...


class TestFlagRoutes(FlagRoutesBehaviour): ...


class TestFlagStates(FlagStatesBehaviour): ...


class TestParameters(ParametersBehaviour): ...
