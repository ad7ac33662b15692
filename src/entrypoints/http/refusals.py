"""Refusals that only the wire knows: what a request may look like, before it means anything."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec

from domain.refusals import Refusal
from domain.usernames import USERNAME_RULE, username_form
from domain.users import is_plain, is_user_id


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request, and where."""

    pointer: str
    """A JSON pointer into the body, or the name of a parameter or header behind `#`."""
    detail: str


def user_id_faults(pointer: str, text: str) -> Iterator[Fault]:
    """Yield what is wrong with a text that is to name a user."""
    if not is_user_id(text):
        yield Fault(pointer, "1 to 128 of A-Z a-z 0-9 _ . : | @ - are needed")


def text_faults(pointer: str, text: str | None, *, longest: int) -> Iterator[Fault]:
    """Yield what is wrong with a text that people read; nothing is wrong with one that is absent."""
    if text is not None and not is_plain(text, longest=longest):
        yield Fault(pointer, f"1 to {longest} characters without control characters are needed")


def username_faults(pointer: str, text: str | None) -> Iterator[Fault]:
    """Yield what is wrong with a username; nothing is wrong with one that is absent."""
    if text is not None and username_form(text) is None:
        yield Fault(pointer, USERNAME_RULE)


class InvalidRequest(Refusal):
    """The request does not have the shape that the documentation states."""

    code = "INVALID_REQUEST"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer or 'the body'}: {fault.detail}" for fault in faults))
        self._faults = tuple(faults)

    @classmethod
    def at(cls, pointer: str, detail: str) -> "InvalidRequest":
        """Return the refusal for one fault."""
        return cls([Fault(pointer, detail)])

    @property
    def errors(self) -> tuple[Fault, ...]:
        """Every fault that was found."""
        return self._faults


class UnsupportedMediaType(Refusal):
    code = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self) -> None:
        super().__init__("a body has to be sent as Content-Type: application/json")


class UnsupportedEncoding(Refusal):
    code = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self) -> None:
        super().__init__("a body has to be sent as it is, without a Content-Encoding")


class BodyTooLarge(Refusal):
    code = "BODY_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body may have at most {limit} bytes")
        self.limit_bytes = limit


class BodyTooSlow(Refusal):
    code = "BODY_TOO_SLOW"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the body did not arrive in time")


class UriTooLong(Refusal):
    code = "URI_TOO_LONG"

    def __init__(self, limit: int) -> None:
        super().__init__(f"path and query may have at most {limit} bytes")
        self.limit_bytes = limit


class MalformedRequest(Refusal):
    """What came over the connection is not HTTP."""

    code = "MALFORMED_REQUEST"

    def __init__(self, reason: str) -> None:
        super().__init__(f"this cannot be read as HTTP/1.1: {reason}")


class HeadTooSlow(Refusal):
    code = "HEAD_TOO_SLOW"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the request line and the headers did not arrive in time")


class HeadersTooLarge(Refusal):
    code = "HEADERS_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the headers may have at most {limit} bytes")
        self.limit_bytes = limit


class RouteNotFound(Refusal):
    code = "NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("there is nothing at this path")


class MethodNotAllowed(Refusal):
    code = "METHOD_NOT_ALLOWED"

    def __init__(self) -> None:
        super().__init__("this path does not take this method; the header Allow names those that it takes")


class RateLimited(Refusal):
    code = "RATE_LIMITED"
    retryable = True

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"too many requests; ask again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class MetricsRefused(Refusal):
    code = "METRICS_REFUSED"

    def __init__(self) -> None:
        super().__init__(
            "measurements are read on the machine of the service alone, unless TALLYSTICK_METRICS_TOKEN or "
            "TALLYSTICK_METRICS_ADDRESS is set"
        )


class CsrfRefused(Refusal):
    code = "CSRF_REFUSED"

    def __init__(self) -> None:
        super().__init__("with a session cookie this method needs an Origin of the app itself or of an allowed origin")


class SignatureRefused(Refusal):
    code = "INVALID_SIGNATURE"

    def __init__(self, *, has_token: bool = False) -> None:
        super().__init__("the delivery is not signed by a known secret, or not of now")
        self._has_token = has_token

    @property
    def has_token(self) -> bool:
        """Tell whether a bearer token came with the delivery."""
        return self._has_token


class WebhooksDisabled(Refusal):
    code = "WEBHOOK_DISABLED"
    retryable = True
    _failure_cause = "flag"

    def __init__(self) -> None:
        super().__init__("webhooks are switched off at the moment; deliver again later")


class InternalError(Refusal):
    """A bug, of which the caller learns nothing but the correlation id."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self) -> None:
        super().__init__("something went wrong on our side; the correlation id finds it in the logs")
