"""Problem documents (RFC 9457): what every failure looks like on the wire."""

from collections.abc import Mapping

import msgspec
from litestar.types import Send

from tallystick.application.idempotency import IdempotencyInProgress, IdempotencyMismatch
from tallystick.application.ports import LimiterUnavailable
from tallystick.application.schema_contract import ContractMissing
from tallystick.application.sessions import SignInRefused
from tallystick.domain.bounds import BoundReached
from tallystick.domain.channels import ChannelNotFound, LastOwner, MemberNotFound, NotAMember, NotAnOwner
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
from tallystick.domain.messages import MessageLength, MessageNotFound, NotYourMessage
from tallystick.domain.overlays import NotYourOverlay, OverlayNotFound
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
    Failure,
    InvalidText,
    OutcomeUnknown,
    Overloaded,
    PermissionMissing,
    Unauthenticated,
)
from tallystick.domain.rewards import AlreadyCollected, NotYourReward, RewardNotFound, SelfPurchase
from tallystick.domain.sessions import SessionRequired, WrongPassword
from tallystick.domain.stage_rooms import (
    NotYourRoom,
    PlayerDeleted,
    PlayerTwice,
    RosterStale,
    SlotsExceeded,
    SlotTaken,
    UnknownRole,
)
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
FAILURES = "failures"
"""The option of handlers that lists their own failures, for the OpenAPI document."""

STATUS: Mapping[type[Failure], int] = {
    AccountFrozen: 409,
    AccrualNotFound: 404,
    AccrualPending: 503,
    AlreadyCollected: 409,
    AlreadyUsed: 409,
    BalanceLimitExceeded: 422,
    BodyTooLarge: 413,
    BoundReached: 409,
    BodyTooSlow: 408,
    ChannelNotFound: 404,
    CodeTaken: 409,
    CodesExhausted: 503,
    ContractMissing: 503,
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
    LastOwner: 409,
    LimiterUnavailable: 503,
    MalformedRequest: 400,
    MemberNotFound: 404,
    MessageLength: 422,
    MessageNotFound: 404,
    MethodNotAllowed: 405,
    MetricsRefused: 403,
    MetricsTokenRefused: 401,
    NotAMember: 403,
    NotAnOwner: 403,
    NotYourMessage: 403,
    NotYourOverlay: 403,
    NotYourReward: 403,
    NotYourRoom: 403,
    OutcomeUnknown: 503,
    OverlayNotFound: 404,
    Overloaded: 503,
    PartialCompletion: 503,
    PermissionMissing: 403,
    PhoneNotVerified: 409,
    PlayerDeleted: 422,
    PlayerTwice: 422,
    PointsDisabled: 409,
    RateLimited: 429,
    ReferralCapReached: 409,
    RewardLimitExceeded: 422,
    RewardNotFound: 404,
    RosterStale: 409,
    RouteNotFound: 404,
    SelfAward: 403,
    SelfPurchase: 403,
    SessionRequired: 403,
    SignInRefused: 401,
    SignatureRefused: 401,
    SlipLimitExceeded: 422,
    SlipNotFound: 404,
    SlipNotOpen: 409,
    SlotTaken: 422,
    SlotsExceeded: 422,
    TokenRefused: 401,
    Unauthenticated: 401,
    UnknownRole: 422,
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
    """The members of every problem document; a failure adds its facts as further members."""

    type: str
    title: str
    status: int
    """The status of the reply."""
    detail: str
    code: str
    """The lasting name of the failure."""
    error: str
    """The same as `detail`, for older clients."""
    correlation_id: str
    retryable: bool


def status_of(failure: Failure) -> int:
    """Return the HTTP status of a failure."""
    return STATUS[type(failure)]


def problem_body(failure: Failure, correlation_id: str) -> bytes:
    """Render a failure as the wire carries it."""
    problem = Problem(
        type=f"urn:tallystick:problem:{failure.code.lower().replace('_', '-')}",
        title=failure.code.replace("_", " ").capitalize(),
        status=status_of(failure),
        detail=failure.detail,
        code=failure.code,
        error=failure.detail,
        correlation_id=correlation_id,
        retryable=failure.retryable,
    )
    members: dict[str, object] = msgspec.structs.asdict(problem) | failure.facts()
    if isinstance(failure, InvalidRequest):
        members["errors"] = failure.errors
    return msgspec.json.encode(members)


def problem_headers(failure: Failure) -> dict[str, str]:
    """Return the headers of the reply to a failure."""
    status = status_of(failure)
    if isinstance(failure, RateLimited | IdentityKeysUnavailable):
        return {"retry-after": str(failure.retry_after_seconds)}
    if isinstance(failure, UnsupportedEncoding):
        return {"accept-encoding": "identity"}
    if status == 401:  # noqa: PLR2004  the number is the name of a status
        return {"www-authenticate": 'Bearer error="invalid_token"' if _has_token(failure) else "Bearer"}
    if status == 503 or isinstance(failure, IdempotencyInProgress):  # noqa: PLR2004  the number is the name of a status
        return {"retry-after": _RETRY_AFTER_SECONDS}
    return {}


def _has_token(failure: Failure) -> bool:
    """Return whether the request had a token that was refused: only then RFC 6750 asks for an `error`."""
    return isinstance(failure, TokenRefused) or (
        isinstance(failure, SignatureRefused | MetricsTokenRefused) and failure.has_token
    )


async def send_problem(failure: Failure, context: RequestContext, send: Send) -> None:
    """Answer with a failure, outside the framework."""
    context.record_failure(failure)
    headers = [(name.encode(), value.encode()) for name, value in problem_headers(failure).items()]
    body = problem_body(failure, context.correlation_id)
    await send_reply(send, status_of(failure), PROBLEM_JSON.encode(), body, headers)
