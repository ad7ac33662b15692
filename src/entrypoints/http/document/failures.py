"""The failures that an operation can answer with: its own, and those of its method, its caller and its limits."""

from collections.abc import Iterator

from tallystick.application.idempotency import IdempotencyInProgress, IdempotencyMismatch
from tallystick.application.limit_groups import LIMIT_GROUPS
from tallystick.application.ports import LimiterUnavailable
from tallystick.domain.bounds import BoundReached
from tallystick.domain.refusals import Failure, OutcomeUnknown, Overloaded, PermissionMissing, Unauthenticated
from tallystick.domain.tokens import IdentityKeysUnavailable
from tallystick.domain.users import UserDeleted
from tallystick.entrypoints.http.authentication import PUBLIC, STREAM
from tallystick.entrypoints.http.caller_guard import PERMISSION
from tallystick.entrypoints.http.document.documented_routes import DocumentedRoute
from tallystick.entrypoints.http.parameters import KEYLESS
from tallystick.entrypoints.http.refusals import (
    BodyTooLarge,
    BodyTooSlow,
    CsrfRefused,
    HeadersTooLarge,
    HeadTooSlow,
    InternalError,
    InvalidRequest,
    MalformedRequest,
    RateLimited,
    UnsupportedEncoding,
    UnsupportedMediaType,
    UriTooLong,
)

_ALWAYS: tuple[type[Failure], ...] = (
    *(InvalidRequest, MalformedRequest, HeadTooSlow, UriTooLong, HeadersTooLarge, Overloaded, InternalError),
)
_WITH_CALLER: tuple[type[Failure], ...] = (Unauthenticated, IdentityKeysUnavailable, UserDeleted)
_WITH_BODY: tuple[type[Failure], ...] = (BodyTooLarge, BodyTooSlow, UnsupportedMediaType, UnsupportedEncoding)
_WITH_KEY: tuple[type[Failure], ...] = (IdempotencyMismatch, IdempotencyInProgress, BoundReached)
_WITH_EFFECT: tuple[type[Failure], ...] = (OutcomeUnknown, CsrfRefused)
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_REPEATABLE = frozenset({"DELETE"})
"""Idempotent methods without a body: they need no key."""


def takes_key(route: DocumentedRoute) -> bool:
    """Return whether a route stores its answers under an Idempotency-Key."""
    is_unsafe = route.method in _UNSAFE - _REPEATABLE
    return is_unsafe and not {PUBLIC, KEYLESS} & route.options.keys()


def failures_of(route: DocumentedRoute) -> Iterator[type[Failure]]:
    """Yield every failure that a route can answer with; some more than once."""
    yield from _ALWAYS
    yield from route.failures
    if route.limit_group is not None:
        if STREAM not in route.options:  # a stream that ends at once, which a browser opens again
            yield RateLimited
        if LIMIT_GROUPS[route.limit_group].fails_closed:
            yield LimiterUnavailable
    if PERMISSION in route.options:
        yield PermissionMissing
    if PUBLIC not in route.options:
        yield from _WITH_CALLER
    if route.method in _UNSAFE:
        yield from () if route.method in _REPEATABLE else _WITH_BODY
        yield from () if PUBLIC in route.options else _WITH_EFFECT
    if takes_key(route):
        yield from _WITH_KEY
