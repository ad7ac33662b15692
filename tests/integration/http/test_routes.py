"""The routes on PostgreSQL."""

from tests.unit.behaviours.http_referrals import (
    ArrivalRoutesBehaviour,
    ClickRoutesBehaviour,
    IdempotentRoutesBehaviour,
    ReferralLinkRoutesBehaviour,
    SameTruthRoutesBehaviour,
)
from tests.unit.behaviours.http_resolver import ResolverRouteBehaviour
from tests.unit.behaviours.http_webhooks import ProvidersBehaviour, WebhookRouteBehaviour


class TestReferralLinkRoutes(ReferralLinkRoutesBehaviour): ...


class TestIdempotentRoutes(IdempotentRoutesBehaviour): ...


class TestArrivalRoutes(ArrivalRoutesBehaviour): ...


class TestSameTruthRoutes(SameTruthRoutesBehaviour): ...


class TestClickRoutes(ClickRoutesBehaviour): ...


class TestResolverRoute(ResolverRouteBehaviour): ...


class TestWebhookRoute(WebhookRouteBehaviour): ...


class TestProviders(ProvidersBehaviour): ...
