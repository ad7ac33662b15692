"""The identity provider's webhook: signed, bounded, applied once."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

import msgspec
from litestar import Router, post

from tallystick.adapters.telemetry.logs import logger
from tallystick.adapters.webhooks.payloads import Envelope, UnknownShape, read_event
from tallystick.adapters.webhooks.signatures import SignatureInvalid, WebhookSecrets
from tallystick.application.group_commit import Single
from tallystick.application.identity_events import DeliveredEvent, Receipt
from tallystick.application.minting import DrawCandidates
from tallystick.application.missing_codes import MissingCodes
from tallystick.application.ports import Clock, Metrics
from tallystick.domain.flags import Flag, Flags
from tallystick.domain.refusals import OutcomeUnknown
from tallystick.entrypoints.http.authentication import PUBLIC, bearer_token
from tallystick.entrypoints.http.caller_guard import LIMIT, CallerGuard
from tallystick.entrypoints.http.document.documented_routes import DOCUMENTED_BODY
from tallystick.entrypoints.http.document.provider_events import PROVIDER_EVENTS
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.refusals import InvalidRequest, SignatureRefused, WebhooksDisabled
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import ApiRequest
from tallystick.entrypoints.http.strict_json import parse


class WebhookReceipt(msgspec.Struct, frozen=True):
    """The outcome of a delivery."""

    status: Literal["processed", "duplicate", "ignored"]
    """The outcome of the delivery."""


class WebhookKeys(msgspec.Struct, frozen=True):
    """The secrets that authenticate a delivery; None and empty if that way is switched off."""

    secrets: WebhookSecrets | None
    bearers: tuple[str, ...] = ()
    """Several during a rotation; each of them is accepted."""


def webhooks_router(
    receive_event: Single[DeliveredEvent, Receipt],
    keys: WebhookKeys,
    flags: Flags,
    caller_guard: CallerGuard,
    clock: Clock,
    metrics: Metrics,
    draw_candidates: DrawCandidates,
    missing: MissingCodes,
) -> Router:
    """Return the webhook's route."""

    def recognise(headers: dict[bytes, bytes], body: bytes) -> Envelope:
        """Return the envelope of a delivery of the provider; SignatureRefused for any other."""
        now = clock.now()
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        try:
            if keys.secrets is not None and ("webhook-signature" in texts or "svix-signature" in texts):
                signed = keys.secrets.verify(texts, body, now)
                return Envelope(signed.message_id, signed.sent_at, now)
        except SignatureInvalid as error:
            raise SignatureRefused(str(error)) from None
        _check_bearer(headers, keys.bearers)
        # An unsigned delivery has no id: one with the same content is the same delivery.
        return Envelope(f"sha256:{hashlib.sha256(body).hexdigest()}", None, now)

    @post(
        "/auth",
        status_code=200,
        opt={
            PUBLIC: True,
            LIMIT: "webhook",
            FAILURES: (SignatureRefused, WebhooksDisabled, OutcomeUnknown),
            DOCUMENTED_BODY: PROVIDER_EVENTS,
        },
    )
    async def receive_webhook(request: ApiRequest) -> WebhookReceipt:
        """Apply a delivery, signed by Standard Webhooks: a user was created, updated or deleted."""
        if not flags.enabled(Flag.WEBHOOK_ENABLED) or (keys.secrets is None and not keys.bearers):
            raise WebhooksDisabled
        body = await request.body()
        try:
            envelope = recognise(context_of(request.scope).headers, body)
            event = read_event(parse(body), envelope)
        except SignatureRefused as refusal:
            metrics.count("webhook_refusals", label="signature")
            correlation_id = context_of(request.scope).correlation_id
            logger().info("delivery refused", reason=refusal.reason, correlation_id=correlation_id)
            raise
        except UnknownShape as error:
            metrics.count("webhook_refusals", label="shape")
            raise InvalidRequest.at("", str(error)) from None
        if event == "ignored":
            return WebhookReceipt("ignored")
        if event.kind != "deleted":
            missing.asked(event.user_id)
        return WebhookReceipt(await receive_event(DeliveredEvent(event, draw_candidates())))

    return Router("/api/webhooks", route_handlers=[receive_webhook], guards=[caller_guard.guard], tags=["Webhooks"])


def _check_bearer(headers: dict[bytes, bytes], bearers: Sequence[str]) -> None:
    """Raise SignatureRefused unless the bearer token is one of the configured ones."""
    token = bearer_token(headers)
    if token is None:
        raise SignatureRefused("it has neither the headers of a signature nor a bearer token")
    given = token.encode("latin-1")
    # All of them are compared, so that the time does not show which of them was sent.
    if not sum(hmac.compare_digest(given, bearer.encode()) for bearer in bearers):
        raise SignatureRefused("its bearer token is none of TALLYSTICK_WEBHOOK_BEARER", has_token=True)
