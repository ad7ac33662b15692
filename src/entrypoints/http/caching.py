"""What caches may keep: the pages of the documentation for a while, and nothing else."""

from collections.abc import Mapping

from litestar.types import Message, Send

_OK, _NOT_MODIFIED = 200, 304
NO_STORE = (b"cache-control", b"no-store")
_FOR_A_WHILE = (b"cache-control", b"public, max-age=300")
_OF_THE_BODY = frozenset({b"content-length", b"content-type", b"content-disposition"})


def stored_for_a_while(send: Send, asked: Mapping[bytes, bytes]) -> Send:
    """Return a `send` whose successes are kept for five minutes, and confirmed by 304 to a cache that has them."""
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
            message["headers"] = [*headers, _FOR_A_WHILE if is_success else NO_STORE]
        elif message["type"] == "http.response.body" and is_known:
            message["body"] = b""
        await send(message)

    return send_cached


def _has(asked: Mapping[bytes, bytes], headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a cache has what is answered (RFC 9110, 13.2.2): its ETag goes before its date."""
    known = asked.get(b"if-none-match")
    if known is not None:
        etags = {tag.strip().removeprefix(b"W/") for tag in known.split(b",")}
        return b"etag" in headers and (b"*" in etags or headers[b"etag"].removeprefix(b"W/") in etags)
    since = asked.get(b"if-modified-since")
    return since is not None and since == headers.get(b"last-modified")
