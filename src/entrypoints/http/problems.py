"""Problem documents (RFC 9457): what every refusal looks like on the wire."""

from collections.abc import Mapping

import msgspec
from litestar.types import Send

from tallystick.application.idempotency import IdempotencyInProgress, IdempotencyMismatch
from tallystick.application.ports import LimiterUnavailable
from tallystick.application.sessions import SignInRefused
from tallystick.domain.bounds import BoundReached
from tallystick.domain.codes import CodesExhausted
from tallystick.domain.flags import FlagLocked, FlagNotFound, FlagPinned
from tallystick.domain.identity import IdentityExternal, IdentityMismatch, WeakPassword
from tallystick.domain.invites import (
    AlreadyUsed,
    CodeTaken,
    InviteExhausted,
    InviteExpired,
    InviteNotFound,
    InviteRevoked,
)
from tallystick.domain.ledger import AccountFrozen, BalanceLimitExceeded, InsufficientFunds
from tallystick.domain.loyalty import PointsDisabled, RewardLimitExceeded, SelfAward
from tallystick.domain.pending_accruals import AccrualNotFound, AccrualPending
from tallystick.domain.rating_slips import (
    GameNotFound,
    ImpossibleTimes,
    PartialCompletion,
    SlipLimitExceeded,
    SlipNotFound,
    SlipNotOpen,
)
from tallystick.domain.referral_points import PhoneNotVerified, ReferralCapReached
from tallystick.domain.refusals import (
    InvalidText,
    OutcomeUnknown,
    Overloaded,
    PermissionMissing,
    Refusal,
    Unauthenticated,
)
from tallystick.domain.rewards import AlreadyCollected, NotYourReward, RewardNotFound, SelfPurchase
from tallystick.domain.sessions import SessionRequired, WrongPassword
from tallystick.domain.tokens import IdentityKeysUnavailable, TokenRefused
from tallystick.domain.users import EmailTaken, UserDeleted, UsernameTaken, UserNotFound
from tallystick.entrypoints.http.refusals import (
    BodyTooLarge,
    BodyTooSlow,
    CsrfRefused,
    HeadersTooLarge,
    HeadTooSlow,
    InternalError,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    MetricsRefused,
    MetricsTokenRefused,
    RateLimited,
    RouteNotFound,
    SignatureRefused,
    UnsupportedEncoding,
    UnsupportedMediaType,
    UriTooLong,
    WebhooksDisabled,
)
from tallystick.entrypoints.http.request_context import RequestContext, send_reply

PROBLEM_JSON = "application/problem+json"
REFUSALS = "refusals"
"""The option of handlers that names the refusals of their own, for the documentation."""

STATUS: Mapping[type[Refusal], int] = {
    AccountFrozen: 409,
    AccrualNotFound: 404,
    AccrualPending: 503,
    AlreadyCollected: 409,
    AlreadyUsed: 409,
    BalanceLimitExceeded: 422,
    BodyTooLarge: 413,
    BoundReached: 409,
    BodyTooSlow: 408,
    CodeTaken: 409,
    CodesExhausted: 503,
    CsrfRefused: 403,
    EmailTaken: 409,
    FlagLocked: 409,
    FlagNotFound: 404,
    FlagPinned: 409,
    GameNotFound: 404,
    HeadTooSlow: 408,
    HeadersTooLarge: 431,
    IdempotencyInProgress: 409,
    IdempotencyMismatch: 422,
    IdentityExternal: 403,
    IdentityKeysUnavailable: 503,
    IdentityMismatch: 403,
    ImpossibleTimes: 422,
    InsufficientFunds: 402,
    InternalError: 500,
    InvalidRequest: 400,
    InvalidText: 400,
    InviteExhausted: 409,
    InviteExpired: 410,
    InviteNotFound: 404,
    InviteRevoked: 410,
    LimiterUnavailable: 503,
    MalformedRequest: 400,
    MethodNotAllowed: 405,
    MetricsRefused: 403,
    MetricsTokenRefused: 401,
    NotYourReward: 403,
    OutcomeUnknown: 503,
    Overloaded: 503,
    PartialCompletion: 503,
    PermissionMissing: 403,
    PhoneNotVerified: 409,
    PointsDisabled: 409,
    RateLimited: 429,
    ReferralCapReached: 409,
    RewardLimitExceeded: 422,
    RewardNotFound: 404,
    RouteNotFound: 404,
    SelfAward: 403,
    SelfPurchase: 403,
    SessionRequired: 403,
    SignInRefused: 401,
    SignatureRefused: 401,
    SlipLimitExceeded: 422,
    SlipNotFound: 404,
    SlipNotOpen: 409,
    TokenRefused: 401,
    Unauthenticated: 401,
    UnsupportedEncoding: 415,
    UnsupportedMediaType: 415,
    UriTooLong: 414,
    UserDeleted: 410,
    UserNotFound: 404,
    UsernameTaken: 409,
    WeakPassword: 422,
    WebhooksDisabled: 503,
    WrongPassword: 403,
}

_RETRY_AFTER_SECONDS = "1"


class Problem(msgspec.Struct, frozen=True):
    """The members that every problem has; a refusal adds its facts beside them."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    error: str
    """The same as `detail`, for older clients."""
    correlation_id: str
    retryable: bool


def status_of(refusal: Refusal) -> int:
    """Return the HTTP status of a refusal."""
    return STATUS[type(refusal)]


def problem_body(refusal: Refusal, correlation_id: str) -> bytes:
    """Render a refusal as the wire carries it."""
    problem = Problem(
        type=f"urn:tallystick:problem:{refusal.code.lower().replace('_', '-')}",
        title=refusal.code.replace("_", " ").capitalize(),
        status=status_of(refusal),
        detail=refusal.detail,
        code=refusal.code,
        error=refusal.detail,
        correlation_id=correlation_id,
        retryable=refusal.retryable,
    )
    members: dict[str, object] = msgspec.structs.asdict(problem) | refusal.facts()
    if isinstance(refusal, InvalidRequest):
        members["errors"] = refusal.errors
    return msgspec.json.encode(members)


def problem_headers(refusal: Refusal) -> dict[str, str]:
    """Return the headers that a refusal brings along."""
    status = status_of(refusal)
    if isinstance(refusal, RateLimited | IdentityKeysUnavailable):
        return {"retry-after": str(refusal.retry_after_seconds)}
    if isinstance(refusal, UnsupportedEncoding):
        return {"accept-encoding": "identity"}
    if status == 401:  # noqa: PLR2004  a status is its own name
        return {"www-authenticate": 'Bearer error="invalid_token"' if _has_token(refusal) else "Bearer"}
    if status == 503 or isinstance(refusal, IdempotencyInProgress):  # noqa: PLR2004  a status is its own name
        return {"retry-after": _RETRY_AFTER_SECONDS}
    return {}


def _has_token(refusal: Refusal) -> bool:
    """Tell whether a token came that was refused: RFC 6750 names an error only then."""
    return isinstance(refusal, TokenRefused) or (
        isinstance(refusal, SignatureRefused | MetricsTokenRefused) and refusal.has_token
    )


async def send_problem(refusal: Refusal, context: RequestContext, send: Send) -> None:
    """Answer with a refusal, outside the framework."""
    context.refuse(refusal)
    headers = [(name.encode(), value.encode()) for name, value in problem_headers(refusal).items()]
    body = problem_body(refusal, context.correlation_id)
    await send_reply(send, status_of(refusal), PROBLEM_JSON.encode(), body, headers)
