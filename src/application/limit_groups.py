"""Limit groups: routes that share a rate limit. The settings, the limiter and the documentation read this table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

LimitGroup = Literal["account", "award", "resolver", "sign_up", "webhook", "send", "stream", "read", "write"]


class LimitRule(NamedTuple):
    """How the requests of a group are limited."""

    default: str
    """The default, which `TALLYSTICK_RATE_LIMITS` can replace."""
    counts: str
    """The routes of the group, for the page of settings; that page also lists the routes that name the group."""
    fails_closed: bool = False
    """Whether requests are refused with 503 while the shared counters are unavailable.

    Without a shared count, codes could be enumerated, passwords guessed, and accounts created by the thousand.
    """


LIMIT_GROUPS: Mapping[LimitGroup, LimitRule] = MappingProxyType(
    {
        "account": LimitRule(
            "10/minute, 100/hour",
            "sign-in by e-mail address and change of a password by user; `sign_up` counts the same requests too",
            fails_closed=True,
        ),
        "award": LimitRule("60/minute", "awards by staff"),
        "resolver": LimitRule("120/minute", "look-ups of codes", fails_closed=True),
        "sign_up": LimitRule("30/minute", "sign-up and sign-in", fails_closed=True),
        "webhook": LimitRule("6000/minute", "deliveries of the identity provider"),
        "send": LimitRule("300/minute", "messages that a user sends"),
        "stream": LimitRule("120/minute", "streams that a user opens"),
        "read": LimitRule("600/minute", "every other `GET` under `/api`"),
        "write": LimitRule("120/minute", "every other `POST`, `PUT`, `PATCH` and `DELETE` under `/api`"),
    }
)
"""Every limit group, in the order of the page of settings."""


def default_group(method: str) -> LimitGroup:
    """Return the group of a route that names none."""
    return "read" if method in {"GET", "HEAD"} else "write"
