"""Examples: for each operation one request and its reply, as a test sent and received them.

`.venv/bin/python -m tests.pages.openapi` writes `examples.json` anew.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request and its reply."""

    status: int
    path: Mapping[str, str] = {}
    """The parameters of the path."""
    query: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    """The headers of the request, but for those of the caller's identity."""
    body: Any = msgspec.UNSET
    reply: Any = msgspec.UNSET
    """The JSON of the reply, or its text; unset for a reply without a body."""
    reply_headers: Mapping[str, str] = {}

    def parameter(self, place: str, name: str) -> Any:
        """Return the value of a parameter; UNSET where the request leaves it out."""
        values: Mapping[str, Mapping[str, Any]] = {"path": self.path, "query": self.query, "header": self.headers}
        return values[place].get(name, msgspec.UNSET)


@cache
def examples() -> Mapping[str, Example]:
    """Return the examples by the names of their operations."""
    stored = (files("tallystick.entrypoints.http.document") / "examples.json").read_bytes()
    return msgspec.json.decode(stored, type=dict[str, Example])
