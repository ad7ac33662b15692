"""The document as a whole: what it is about, its tags, its operations and its components."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar

from tallystick.entrypoints.http.authentication import SESSION_COOKIE, STREAM_COOKIE
from tallystick.entrypoints.http.document.documented_routes import routes_of
from tallystick.entrypoints.http.document.headers import REPLY_HEADERS_TABLE, REQUEST_HEADERS, header_parameter
from tallystick.entrypoints.http.document.operations import Operation, Operations
from tallystick.entrypoints.http.document.problem_schemas import ProblemReplies
from tallystick.entrypoints.http.document.schemas import Schemas

_DESCRIPTION = """\
Everything that an app hands out and must count exactly once: referral codes, invites, credits, points and the messages
of rooms.

Send `Authorization: Bearer` with a token of your identity provider. The acting user is the token's `sub`, and nothing
in a request can name another one.

A failure is a problem document (RFC 9457). `code` is its lasting name, and `retryable` says whether the same request
may succeed later. Send an `Idempotency-Key` with every change: the same key again gets the first answer again, so that
a request whose answer was lost can be sent again.
"""

TAGS: Mapping[str, str] = {
    "Administration": "Flags, exports, deletions and promises, for administrators.",
    "Channels": "Rooms for messages: their members, their messages and read markers.",
    "Credits": "A wallet for each user: its balance, and the entries that explain it.",
    "Invites": "Codes with a number of seats, each of which one user takes.",
    "Loyalty": "Points and tiers of players, and the entries that explain them.",
    "Operations": "Health, readiness and metrics, for machines.",
    "Overlays": "A JSON value for each session, which ends by itself.",
    "Rating slips": "Sessions at a table, which earn points when they close.",
    "Referrals": "Share links, and the users who share them.",
    "Resolver": "Look-ups of codes, and clicks on share links, without a token.",
    "Rewards": "Offers, which users buy with credits.",
    "Sign-up": "Sign-up by invite, and sessions for apps whose identity provider holds no passwords.",
    "Stage rooms": "Rosters of rooms, verified against the rules of the room.",
    "Streams": "Events of channels and overlays, as server-sent events.",
    "Users": "Profiles of users.",
    "Webhooks": "Events of the identity provider.",
}
"""The subject of the operations of each tag."""


def rendered(app: Litestar, *, version: str, servers: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the document of an application: the same routes give the same document."""
    schemas = Schemas()
    problems = ProblemReplies(schemas)
    operations = Operations(schemas, problems)
    paths: dict[str, dict[str, Operation]] = {}
    for route in sorted(routes_of(app), key=lambda each: (each.path, each.method)):
        paths.setdefault(route.path, {})[route.method.lower()] = operations.of(route)
    used = {tag for methods in paths.values() for operation in methods.values() for tag in operation["tags"]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tallystick",
            "version": version,
            "summary": "Everything that an app hands out and must count exactly once.",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
            "contact": {"name": "The maintainers, by an issue of the repository"},
        },
        "servers": list(servers),
        "security": [{"bearer": []}, {"session": []}],
        "tags": [{"name": name, "description": TAGS[name]} for name in sorted(used)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": dict(sorted(problems.components.items())),
            "parameters": {name: header_parameter(name) for name in REQUEST_HEADERS},
            "headers": dict(REPLY_HEADERS_TABLE),
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON that people can read and compare."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the identity provider. `permissions` in it are the scopes of operations.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "The session that sign-in starts. Changes need an Origin of the app.",
    },
    "stream": {
        "type": "apiKey",
        "in": "cookie",
        "name": STREAM_COOKIE,
        "description": "Reads streams and does nothing else, for browsers, whose streams send no headers.",
    },
}
