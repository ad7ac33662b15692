"""Logs: one JSON object a line. Values that users sent appear as keyed hashes only."""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Literal, TextIO

import structlog

LogLevel = Literal["debug", "info", "warning", "error"]

_LEVELS: dict[LogLevel, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_MAX_FRAMES = 12
_CUTTING = "Cancel %s running task(s), timeout graceful shutdown exceeded"
"""The message of uvicorn."""


class Pseudonyms:
    """Pseudonyms of users: operators see which lines concern the same user, and not who the user is."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, user_id: str) -> str:
        """Return the pseudonym of a user."""
        return hmac.digest(self._key, user_id.encode(), hashlib.sha256).hex()[:16]


def configure(level: LogLevel, stream: TextIO | None = None) -> None:
    """Send every log line, of the service and of libraries, through one renderer."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_messages,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda: _Lines(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Forward()]
    root.setLevel(max(_LEVELS[level], logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # uvicorn's access log holds query strings; without handlers its lines are not composed.
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False


def logger() -> "structlog.typing.FilteringBoundLogger":
    """Return the logger of the service."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return bound


def without_messages(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Replace an exception by its type and its frames: its message may hold what a user sent."""
    error = event.pop("error", None)
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def describe(error: BaseException) -> list[dict[str, object]]:
    """Return the chain of an exception: types, SQLSTATEs, constraint names and frames, never messages or values."""
    chain: list[dict[str, object]] = []
    current: BaseException | None = error
    while current is not None and len(chain) < _MAX_FRAMES:
        frames = traceback.extract_tb(current.__traceback__)[-_MAX_FRAMES:]
        entry: dict[str, object] = {
            "type": f"{type(current).__module__}.{type(current).__qualname__}",
            "frames": [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
        }
        for fact in ("sqlstate", "constraint_name", "table_name"):
            value = getattr(current, fact, None)
            if isinstance(value, str):
                entry[fact] = value
        chain.append(entry)
        current = _before(current)
    return chain


def _before(error: BaseException) -> BaseException | None:
    """Return the cause or the context of an exception; of a group, its first exception."""
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _short(file_name: str) -> str:
    return "/".join(file_name.split("/")[-3:])


class _Lines:
    """Writes lines, and drops them where the stream is closed: a request must not fail because of its log."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = self._stream if self._stream is not None else sys.stdout
        with contextlib.suppress(OSError, ValueError):
            stream.write(f"{line}\n")
            stream.flush()

    debug = info = warning = error = msg


class _Forward(logging.Handler):
    """Forwards what libraries log: logger, place and level; the text only where it cannot hold user input."""

    def emit(self, record: logging.LogRecord) -> None:
        facts: dict[str, object] = {"logger": record.name, "at": f"{record.module}:{record.lineno}"}
        if record.exc_info is not None and record.exc_info[1] is not None:
            facts["error"] = record.exc_info[1]
        # The first line of a format string is the library's own; arguments and further lines may be user input.
        words = str(record.msg).partition("\n")[0]
        level = min(record.levelno, logging.WARNING) if _is_cut_off(words, facts.get("error")) else record.levelno
        logger().log(level, words, **facts)


def _is_cut_off(words: str, error: object) -> bool:
    """Return whether uvicorn reports requests that it cut off at its end, which it logs as errors."""
    return isinstance(error, asyncio.CancelledError) or words == _CUTTING
