"""The headers of requests and replies, each described once."""

from collections.abc import Mapping
from typing import Any

from tallystick.entrypoints.http.document.schemas import Schema

_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer", "format": "int64", "minimum": 0}

REPLY_HEADERS_TABLE: Mapping[str, Schema] = {
    "Accept-Encoding": {
        "description": "The encodings of bodies that are taken.",
        "schema": {"type": "string", "const": "identity"},
    },
    "Cache-Control": {"description": "Whether caches may store the reply.", "schema": _TEXT},
    "Content-Disposition": {"description": "The name of the file.", "schema": _TEXT},
    "Idempotency-Hit": {
        "description": "Present where the request, or its event, had been answered before: this is the first answer.",
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "The address of the app, with the code as `ref`.",
        "schema": {"type": "string", "format": "uri"},
    },
    "RateLimit": {
        "description": "The requests left in the window, and the seconds until it ends. Absent without limits.",
        "schema": _TEXT,
    },
    "RateLimit-Policy": {
        "description": "The limits of the group of the operation. Absent without limits.",
        "schema": _TEXT,
    },
    "Retry-After": {"description": "The seconds after which the same request may succeed.", "schema": _INTEGER},
    "Set-Cookie": {"description": "The cookie that the browser keeps.", "schema": _TEXT},
    "WWW-Authenticate": {
        "description": "How to authenticate; with `error` where a token was refused.",
        "schema": _TEXT,
    },
    "X-Accel-Buffering": {
        "description": "Proxies pass each event on at once.",
        "schema": {"type": "string", "const": "no"},
    },
    "X-Correlation-Id": {
        "description": "The id of the request, for logs and entries: the one that was sent, or a new one.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    },
}
"""The components of headers. Headers of the body, of CORS and of every static file are left out."""

REQUEST_HEADERS: Mapping[str, Schema] = {
    "Idempotency-Key": {
        "description": "Makes the request one that is answered once: the same key again gets the first answer again.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    "Last-Event-ID": {
        "description": "The id of the last event that the client has. It goes before `after`.",
        "schema": _TEXT,
    },
    "webhook-id": {
        "description": "The id of the delivery: it is applied once. Also under `svix-id`.",
        "schema": _TEXT,
    },
    "webhook-timestamp": {
        "description": "The time of the signature in seconds since 1970. Also under `svix-timestamp`.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "webhook-signature": {
        "description": (
            "Signatures by Standard Webhooks, separated by spaces. Also under `svix-signature`. A provider that signs "
            "nothing sends `Authorization: Bearer` with the secret of TALLYSTICK_WEBHOOK_BEARER instead."
        ),
        "schema": {"type": "string", "examples": ["v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="]},
    },
}
"""The headers that requests may have."""


def header_parameter(name: str) -> Schema:
    """Return a header of requests as a component of parameters."""
    return {"name": name, "in": "header", "required": False, **REQUEST_HEADERS[name]}


def header_references(names: Any) -> Schema:
    """Return the headers of a reply, as references to the components."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}
