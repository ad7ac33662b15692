"""Caching: caches may store the pages of the documentation for five minutes, and nothing else."""

from collections.abc import Mapping

from litestar.types import Message, Send

_OK, _NOT_MODIFIED = 200, 304
NO_STORE = (b"cache-control", b"no-store")
_FIVE_MINUTES = (b"cache-control", b"public, max-age=300")
_OF_THE_BODY = frozenset({b"content-length", b"content-type", b"content-disposition"})


def cached_for_five_minutes(send: Send, asked: Mapping[bytes, bytes]) -> Send:
    """Return a `send` whose 200 replies may be cached for five minutes; a cache that has the reply gets a 304."""
    is_known = False

    async def send_cached(message: Message) -> None:
        nonlocal is_known
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            is_success = message["status"] == _OK
            is_known = is_success and _has(asked, dict(headers))
            if is_known:
                message["status"] = _NOT_MODIFIED
                headers = [header for header in headers if header[0].lower() not in _OF_THE_BODY]
            message["headers"] = [*headers, _FIVE_MINUTES if is_success else NO_STORE]
        elif message["type"] == "http.response.body" and is_known:
            message["body"] = b""
        await send(message)

    return send_cached


def _has(asked: Mapping[bytes, bytes], headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a cache has this reply already (RFC 9110, 13.2.2). The ETag takes precedence over the date."""
    known = asked.get(b"if-none-match")
    if known is not None:
        etags = {tag.strip().removeprefix(b"W/") for tag in known.split(b",")}
        return b"etag" in headers and (b"*" in etags or headers[b"etag"].removeprefix(b"W/") in etags)
    since = asked.get(b"if-modified-since")
    return since is not None and since == headers.get(b"last-modified")
