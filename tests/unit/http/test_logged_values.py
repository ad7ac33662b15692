"""Values that callers send are in no line of the log and in no measurement: every route, every kind of value."""

import io
from collections.abc import Mapping
from typing import Any

from tallystick.adapters.telemetry.logs import configure
from tests.http.openapi_document import ENDLESS
from tests.http.requests import IDS, Operation, almighty, operations
from tests.http.services import Caller, Serve

MARK, NUMBER = "canarymark7", "99887766"
"""Words that stand in every value that is sent: texts are the one, telephones the other."""
FEWEST_TAKEN = 60
TEXTS = {"email": f"{MARK}@tagged.example", "phone": f"+45{NUMBER}", "game": "slots", "event_type": "promotion"}
"""Fields that take only texts of some form; the names of games and of kinds of events are the operator's."""


def marked(operation: Operation, name: str, schema: Mapping[str, Any]) -> Any:
    """Return a value that a field may hold, with a mark in it."""
    plain = operation.resolved(dict(schema))
    kinds = plain.get("type", "object")
    kind = kinds if isinstance(kinds, str) else next(each for each in kinds if each != "null")
    match kind:
        case "object":
            return {each: marked(operation, each, inner) for each, inner in plain.get("properties", {}).items()}
        case "array":
            return [marked(operation, name, plain["items"])]
        case "string":
            return "2026-01-01T00:00:00Z" if plain.get("format") == "date-time" else TEXTS.get(name, MARK)
        case "integer":
            return 1
        case _:
            return False


def target(operation: Operation) -> str:
    """Return the path with marks for its parameters, and for those of the query."""
    given = {name: MARK for name in operation.parameters("path") if name not in IDS}
    query = [
        f"{name}={TEXTS.get(name, MARK)}" for name in operation.parameters("query") if name not in {"limit", "cursor"}
    ]
    return "?".join([operation.target(**given), *(["&".join(query)] if query else [])])


async def sent(caller: Caller, operation: Operation, key: str) -> int:
    """Send a request with marks everywhere, and return its status."""
    schema = operation.body()
    body = marked(operation, "", schema) if schema is not None else None
    headers = {"idempotency-key": key} if "Idempotency-Key" in operation.parameters("header") else {}
    method = "HEAD" if operation.path == ENDLESS else operation.method
    return (await caller.call(method, target(operation), body=body, headers=headers)).status_code


async def test_no_route_logs_or_measures_what_it_is_sent(serve: Serve) -> None:
    anyone = await serve(log_level="debug", log_writes="on")
    lines = io.StringIO()
    configure("debug", lines)
    caller = almighty(anyone, MARK)
    await caller.post("/api/users/upsert", {})

    # Deletions come last: the caller is among those who are deleted.
    everything = sorted(await operations(anyone), key=lambda operation: operation.method == "DELETE")
    statuses = [await sent(caller, each, f"{MARK}-{key}") for each in everything for key in ("a", "a", "b")]
    measured = (await anyone.get("/metrics")).text

    assert sum(status < 300 for status in statuses) >= FEWEST_TAKEN, statuses
    assert lines.getvalue().count('"event": "request"') >= len(statuses)
    for place in (lines.getvalue(), measured):
        folded = place.lower()
        for mark in (MARK, NUMBER):
            assert mark not in folded, folded[max(0, folded.find(mark) - 200) :][:300]
