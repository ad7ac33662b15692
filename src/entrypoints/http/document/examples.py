"""Examples: for each operation one request and its reply, as a test sent and received them.

`.venv/bin/python -m tests.pages.openapi` writes `examples.json` anew.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import UNSET


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request and its reply."""

    status: int
    path: Mapping[str, str] = {}
    """The parameters of the path."""
    query: Mapping[str, Any] = {}
    """The parameters of the query."""
    body: Any = UNSET
    """The JSON of the request; unset if it has no body."""
    reply: Any = UNSET
    """The JSON of the reply, or its text; unset for a reply without a body."""


@cache
def examples() -> Mapping[str, Example]:
    """Return the examples by the names of their operations."""
    stored = (files("tallystick.entrypoints.http.document") / "examples.json").read_bytes()
    return msgspec.json.decode(stored, type=dict[str, Example])
