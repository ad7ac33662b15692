"""Share links, the address that a click is redirected to, and the cookie that stores clicked codes."""

from collections.abc import Sequence
from urllib.parse import parse_qsl, quote_plus, urlsplit, urlunsplit

import msgspec

from tallystick.domain.codes import Code, normal_form

CLICK_COOKIE = "tallystick_ref"
CLICK_COOKIE_SECONDS = 90 * 24 * 3600
MAX_CLICKS = 5
"""How many codes the click cookie holds: those of the first clicks."""

MAX_PASSED_PARAMETERS = 32
MAX_PASSED_BYTES = 2048
"""How many bytes of a click's query are passed on to the app."""
_BETWEEN_CLICKS = "."
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class Addresses(msgspec.Struct, frozen=True):
    """The public URLs of this service and of the app."""

    public_base_url: str
    app_url: str

    def share_link(self, code: Code | None) -> str:
        """Return the link that a user shares; empty while there is no code."""
        return f"{self.public_base_url.rstrip('/')}/r/{code}" if code is not None else ""

    def landing(self, code: Code | None, query: str = "") -> str:
        """Return the URL that a click is redirected to: the app's, with the click's parameters and the code as `ref`.

        Parameters of the app's own address stay. A click cannot replace them, and cannot name a `ref`.
        """
        parts = urlsplit(self.app_url)
        own = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not _is_ref(name)]
        pairs = [_pair(name, value) for name, value in own] + _passed(query, {name for name, _ in own})
        if code is not None:
            pairs.append(_pair("ref", code))
        return urlunsplit(parts._replace(query="&".join(pairs)))

    @property
    def is_secure(self) -> bool:
        """Return whether browsers reach this service over TLS."""
        return self.public_base_url.startswith("https://")


def clicked_codes(cookie: str) -> tuple[Code, ...]:
    """Return the codes of a click cookie in the order of the clicks; anything else in it is ignored."""
    codes = (normal_form(part) for part in cookie.split(_BETWEEN_CLICKS)[:MAX_CLICKS])
    return tuple(dict.fromkeys(code for code in codes if code is not None))


def click_cookie(codes: Sequence[Code]) -> str:
    """Return the value of the click cookie with these codes."""
    return _BETWEEN_CLICKS.join(codes)


def _passed(query: str, taken: set[str]) -> list[str]:
    """Return the parameters of a click that are passed on, without those that are not text, too many or too long."""
    pairs: list[str] = []
    left = MAX_PASSED_BYTES
    for part in query.split("&")[:MAX_PASSED_PARAMETERS]:
        for name, value in parse_qsl(part, keep_blank_values=True, separator="&"):
            pair = _pair(name, value)
            is_text = _UNREADABLE not in name + value and (name + value).isprintable()
            if is_text and not _is_ref(name) and name not in taken and len(pair) < left:
                pairs.append(pair)
                left -= len(pair) + 1
    return pairs


def _is_ref(name: str) -> bool:
    """Return whether an app could read a parameter as `ref`: in any case, or as `ref[]`."""
    return name.strip().casefold().partition("[")[0].strip() == "ref"


def _pair(name: str, value: str) -> str:
    return f"{quote_plus(name)}={quote_plus(value)}"
