"""Failures of HTTP requests: their form, their size, their timing and their authorisation."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec

from tallystick.domain.refusals import Failure, Refusal, Unauthenticated, Unavailable

MAX_FAULTS = 100
"""How many faults one answer lists."""
_MOST_IN_DETAIL = 3


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault of a request: its place and what would be right. The wrong value is not repeated."""

    where: Literal["body", "query", "path", "header"] = msgspec.field(name="in")
    pointer: str | None = None
    """A JSON pointer into the body; empty for the body as a whole. Absent where the fault is not in the body."""
    name: str | None = None
    """The name of the parameter or header. Absent where the fault is in the body."""
    message: str = ""

    @classmethod
    def at(cls, pointer: str, message: str) -> "Fault":
        """Return a fault of the body."""
        return cls("body", pointer=pointer, message=message)

    def __str__(self) -> str:
        return f"{self.name or self.pointer or f'the {self.where}'}: {self.message}"


class InvalidRequest(Refusal):
    """The request does not have the shape that the documentation states."""

    code = "INVALID_REQUEST"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults[:MAX_FAULTS])
        others = len(faults) - _MOST_IN_DETAIL
        more = [f"and {others} more"] if others > 0 else []
        super().__init__("; ".join([*map(str, faults[:_MOST_IN_DETAIL]), *more]))

    @classmethod
    def at(cls, pointer: str, message: str) -> "InvalidRequest":
        """Return the refusal for one fault of the body."""
        return cls([Fault.at(pointer, message)])

    @classmethod
    def query(cls, name: str, message: str) -> "InvalidRequest":
        """Return the refusal for one fault of a query parameter."""
        return cls([Fault("query", name=name, message=message)])

    @classmethod
    def header(cls, name: str, message: str) -> "InvalidRequest":
        """Return the refusal for one fault of a header."""
        return cls([Fault("header", name=name, message=message)])

    @property
    def errors(self) -> tuple[Fault, ...]:
        """Every fault that was found, at most a hundred."""
        return self._faults


class UnsupportedMediaType(Refusal):
    """The body is not sent as JSON."""

    code = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self) -> None:
        super().__init__("a body has to be sent as Content-Type: application/json")


class UnsupportedEncoding(Refusal):
    """The body is compressed."""

    code = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self) -> None:
        super().__init__("a body has to be sent as it is, without a Content-Encoding")


class BodyTooLarge(Refusal):
    """The body has too many bytes."""

    code = "BODY_TOO_LARGE"
    limit_bytes: int

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body may have at most {limit} bytes")
        self.limit_bytes = limit


class BodyTooSlow(Unavailable):
    """The body did not arrive in time."""

    code = "BODY_TOO_SLOW"

    def __init__(self) -> None:
        super().__init__("the body did not arrive in time")


class UriTooLong(Refusal):
    """Path and query have too many bytes."""

    code = "URI_TOO_LONG"
    limit_bytes: int

    def __init__(self, limit: int) -> None:
        super().__init__(f"path and query may have at most {limit} bytes")
        self.limit_bytes = limit


class MalformedRequest(Refusal):
    """The bytes of the connection are not HTTP."""

    code = "MALFORMED_REQUEST"

    def __init__(self, reason: str) -> None:
        super().__init__(f"this cannot be read as HTTP/1.1: {reason}")


class HeadTooSlow(Unavailable):
    """The headers did not arrive in time."""

    code = "HEAD_TOO_SLOW"

    def __init__(self) -> None:
        super().__init__("the request line and the headers did not arrive in time")


class HeadersTooLarge(Refusal):
    """The headers have too many bytes."""

    code = "HEADERS_TOO_LARGE"
    limit_bytes: int

    def __init__(self, limit: int) -> None:
        super().__init__(f"the headers may have at most {limit} bytes")
        self.limit_bytes = limit


class RouteNotFound(Refusal):
    """There is nothing at this path."""

    code = "NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("there is nothing at this path")


class MethodNotAllowed(Refusal):
    """The path does not take this method."""

    code = "METHOD_NOT_ALLOWED"

    def __init__(self) -> None:
        super().__init__("this path does not take this method; the header Allow names those that it takes")


class RateLimited(Unavailable):
    """The caller sent too many requests."""

    code = "RATE_LIMITED"
    retry_after_seconds: int

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"too many requests; ask again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class MetricsRefused(Refusal):
    """The metrics are read on the machine of the service alone."""

    code = "METRICS_REFUSED"

    def __init__(self) -> None:
        super().__init__(
            "measurements are read on the machine of the service alone, unless TALLYSTICK_METRICS_TOKEN or "
            "TALLYSTICK_METRICS_ADDRESS is set"
        )


class MetricsTokenRefused(Unauthenticated):
    """The bearer token of the metrics is missing or wrong."""

    def __init__(self, *, has_token: bool) -> None:
        super().__init__("the bearer token of TALLYSTICK_METRICS_TOKEN is needed")
        self._has_token = has_token

    @property
    def has_token(self) -> bool:
        """Return whether a bearer token came with the request."""
        return self._has_token


class CsrfRefused(Refusal):
    """A request with a session cookie came from another site."""

    code = "CSRF_REFUSED"

    def __init__(self) -> None:
        super().__init__("with a session cookie this method needs an Origin of the app itself or of an allowed origin")


class SignatureRefused(Refusal):
    """No known secret signed the delivery, or it is not of now."""

    code = "INVALID_SIGNATURE"

    def __init__(self, reason: str = "", *, has_token: bool = False) -> None:
        super().__init__("the delivery is not signed by a known secret, or not of now")
        self._reason = reason
        self._has_token = has_token

    @property
    def reason(self) -> str:
        """The reason, for operators alone."""
        return self._reason

    @property
    def has_token(self) -> bool:
        """Return whether a bearer token came with the delivery."""
        return self._has_token


class WebhooksDisabled(Unavailable):
    """Webhooks are switched off at the moment."""

    code = "WEBHOOK_DISABLED"
    _failure_cause = "flag"

    def __init__(self) -> None:
        super().__init__("webhooks are switched off at the moment; deliver again later")


class InternalError(Failure):
    """A bug. The caller gets nothing but the correlation id."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self) -> None:
        super().__init__("something went wrong on our side; the correlation id finds it in the logs")
