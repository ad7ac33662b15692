"""A story of requests to a service in memory, whose clock and random numbers are the same in every run."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from urllib.parse import urlencode

import httpx2
import msgspec
from dishka import Provider, Scope
from jsonschema_rs import Draft202012Validator
from msgspec import UNSET

from tallystick.adapters.memory.ports import ManualClock, SeededRandomness
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application.ports import Clock, Randomness
from tallystick.application.transactions import Transactions
from tallystick.domain.identity import Permission
from tallystick.entrypoints.http.document.examples import Example
from tests.http.event_streams import Sent, streaming
from tests.http.openapi_document import found, operations
from tests.http.services import Caller, signature_headers

BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
FAR = 4_102_444_800
"""The end of all tokens of a story: its clock is not that of this machine."""
NOT_DOCUMENTED = {"content-type", "content-length", "x-content-type-options", "vary"}
"""Headers of the body, and of every file that is served."""


def replayable(clock: ManualClock) -> Provider:
    """Return the parts that are the same in every run."""
    parts = Provider(scope=Scope.APP)
    parts.provide(lambda: clock, provides=Clock)
    parts.provide(lambda: SeededRandomness(1), provides=Randomness)
    parts.provide(lambda: MemoryTransactions(now=clock.now), provides=Transactions)
    return parts


class Story:
    """Requests by the ids of their operations. A request is checked against the document, and so is its reply."""

    def __init__(self, anyone: Caller, clock: ManualClock, document: dict[str, Any]) -> None:
        self._anyone, self._clock, self._document = anyone, clock, document
        self._operations = {each["operationId"]: (method, path, each) for method, path, each in operations(document)}
        self.examples: dict[str, Example] = {}

    async def show(self, name: str, caller: str | None = None, **sent: Any) -> Any:
        """Send the request that is the example of an operation, and return its reply."""
        assert name not in self.examples, f"{name} has an example already"
        example, reply = await self._send(name, caller, **sent)
        self.examples[name] = example
        return reply

    async def send(self, name: str, caller: str | None = None, **sent: Any) -> Any:
        """Send a request that is no example, and return its reply."""
        return (await self._send(name, caller, **sent))[1]

    async def _send(
        self,
        name: str,
        caller: str | None,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        lines: str = "",
        most: int = 100,
    ) -> tuple[Example, Any]:
        """Send a request; of a text only some `lines` are kept, and of a list only the first items."""
        method, template, operation = self._operations[name]
        self._clock.move(timedelta(seconds=1))
        target = template.format(**(path or {})) + (f"?{urlencode(query, doseq=True)}" if query else "")
        identity = {"x-correlation-id": "an-example", **(headers or {})}
        named = self._caller(caller)
        if "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
            async with streaming(named, target, identity) as stream:
                reply: Any = [_event(each) for each in await stream.until("ready")]
                answer = httpx2.Response(stream.status, headers=stream.headers)
        else:
            answer = await named.call(method, target, body=body, headers=identity)
            is_json = answer.headers.get("content-type", "").startswith("application/json")
            reply = answer.json() if is_json else answer.text
        if lines:
            reply = "".join(line for line in reply.splitlines(keepends=True) if lines in line)
        self._check(operation, answer, body, reply)
        if isinstance(reply, dict) and "items" in reply:
            reply = {**reply, "items": reply["items"][:most]}
        example = Example(
            status=answer.status_code,
            path=path or {},
            query=query or {},
            body=UNSET if body is None else body,
            reply=UNSET if reply == "" else reply,
        )
        return example, reply

    def _caller(self, name: str | None) -> Caller:
        permissions = get_args(Permission) if name == "staff" else ()
        claims = {"exp": FAR, "phone_verified": name == "ada"}
        return self._anyone if name is None else self._anyone.named(name, *permissions, **claims)

    async def deliver(self, name: str, body: Any) -> Any:
        """Send a signed delivery of the identity provider, as the example of its operation."""
        raw = json.dumps(body).encode()
        headers = signature_headers(raw, message_id="msg_1", sent_at=self._clock.now().timestamp() + 1)
        return await self.show(name, body=body, headers=headers)

    def _check(self, operation: dict[str, Any], answer: httpx2.Response, body: Any, reply: Any) -> None:
        """Compare a request and its reply with the document."""
        name, status = operation["operationId"], str(answer.status_code)
        assert answer.status_code < 400, (name, answer.text)
        documented = operation["responses"][status]
        names = {header.lower() for header in documented["headers"]}
        assert set(answer.headers) - NOT_DOCUMENTED <= names, (name, dict(answer.headers))
        if body is not None:
            self._validate(operation["requestBody"]["content"]["application/json"]["schema"], body)
        content = documented.get("content", {})
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        assert not content or media_type in content, (name, media_type)
        if media_type in {"application/json", "text/event-stream"}:
            for each in reply if isinstance(reply, list) else [reply]:
                self._validate(content[media_type]["schema"], each)

    def _validate(self, schema: dict[str, Any], value: Any) -> None:
        """Compare a value with a schema; a reply must not have a member that its schema lacks."""
        whole = {**schema, "components": self._document["components"]}
        Draft202012Validator(whole, validate_formats=True).validate(value)
        self._find_surplus(schema, value)

    def _find_surplus(self, schema: dict[str, Any], value: Any) -> None:
        schema = found(self._document, schema)
        if isinstance(value, list) and "items" in schema:
            for each in value:
                self._find_surplus(schema["items"], each)
        elif isinstance(value, dict) and "properties" in schema:
            assert set(value) <= set(schema["properties"]), set(value) - set(schema["properties"])
            for name, member in value.items():
                self._find_surplus(schema["properties"][name], member)


def _event(event: Sent) -> dict[str, Any]:
    """Return an event of a stream as the document describes it."""
    position = {} if event.position is None else {"id": event.position}
    return {"event": event.name, **position, "data": event.data}


def encoded(examples: Mapping[str, Example]) -> bytes:
    """Return examples as the package holds them."""
    return msgspec.json.format(msgspec.json.encode(dict(sorted(examples.items()))), indent=1) + b"\n"
