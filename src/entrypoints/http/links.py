"""Share links, and where a click on one lands."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from domain.codes import Code

CLICK_COOKIE = "tallystick_ref"
CLICK_COOKIE_SECONDS = 90 * 24 * 3600


class Addresses(msgspec.Struct, frozen=True):
    """Where this service and the app are reached from outside."""

    public_base_url: str
    app_url: str

    def share_link(self, code: Code | None) -> str:
        """Return the link that a user shares; empty while there is no code."""
        return f"{self.public_base_url.rstrip('/')}/r/{code}" if code is not None else ""

    def landing(self, code: Code | None) -> str:
        """Return where a click lands: the app, told which code was clicked where there is one."""
        parts = urlsplit(self.app_url)
        query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "ref"]
        if code is not None:
            query.append(("ref", code))
        return urlunsplit(parts._replace(query=urlencode(query)))

    @property
    def is_secure(self) -> bool:
        """Tell whether browsers reach this service over TLS."""
        return self.public_base_url.startswith("https://")
