"""Problems in the document: a schema for each code, with its facts, and the replies of each status."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, get_origin, get_type_hints

from tallystick.application.idempotency import IdempotencyInProgress
from tallystick.domain.refusals import Failure
from tallystick.entrypoints.http.document.descriptions import member_description, paragraphs
from tallystick.entrypoints.http.document.headers import header_references
from tallystick.entrypoints.http.document.schemas import Schema, Schemas, reference
from tallystick.entrypoints.http.problems import PROBLEM_JSON, STATUS, Problem
from tallystick.entrypoints.http.refusals import Fault, InvalidRequest, UnsupportedEncoding

_MOST_NAMES = 2
"""How many codes the name of a shared reply has at most."""
_UNAUTHENTICATED, _UNSUPPORTED, _TOO_MANY, _UNAVAILABLE = 401, 415, 429, 503


def facts_of(failure: type[Failure]) -> dict[str, Any]:
    """Return the types of the facts that a failure tells its caller: its public annotations."""
    return {
        name: kind
        for name, kind in get_type_hints(failure).items()
        if not name.startswith("_") and get_origin(kind) is not ClassVar
    }


class ProblemReplies:
    """The replies of failures; replies that many operations have are components."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._by_code: dict[str, list[type[Failure]]] = {}
        for failure in STATUS:
            self._by_code.setdefault(failure.code, []).append(failure)
        schemas.of(Problem)
        schemas.components["Problem"]["properties"]["code"]["enum"] = sorted(self._by_code)
        self.components: dict[str, Schema] = {}

    def of(self, failures: Iterable[type[Failure]]) -> dict[str, Schema]:
        """Return the replies of failures by status."""
        by_status: dict[int, set[type[Failure]]] = {}
        for failure in failures:
            by_status.setdefault(STATUS[failure], set()).add(failure)
        return {str(status): self._reply(status, found) for status, found in sorted(by_status.items())}

    def _reply(self, status: int, failures: Collection[type[Failure]]) -> Schema:
        codes = sorted({failure.code for failure in failures})
        reply = {
            "description": ", ".join(codes),
            "headers": header_references(_headers(status, failures)),
            "content": {PROBLEM_JSON: {"schema": self._one_of(codes)}},
        }
        if len(codes) > _MOST_NAMES:
            return reply
        name = "Or".join(_name(code).removesuffix("Problem") for code in codes)
        self.components[name] = reply
        return {"$ref": f"#/components/responses/{name}"}

    def _one_of(self, codes: Collection[str]) -> Schema:
        """Return the schema of a problem with one of some codes, which tells them apart."""
        for code in codes:
            if _name(code) not in self._schemas.components:
                self._schemas.components[_name(code)] = self._schema(code, self._by_code[code])
        references = {code: reference(_name(code)) for code in codes}
        if len(references) == 1:
            return next(iter(references.values()))
        mapping = {code: each["$ref"] for code, each in references.items()}
        return {"oneOf": list(references.values()), "discriminator": {"propertyName": "code", "mapping": mapping}}

    def _schema(self, code: str, failures: Collection[type[Failure]]) -> Schema:
        facts = [facts_of(failure) for failure in failures]
        members: dict[str, Schema] = {"code": {"type": "string", "enum": [code], "description": "The lasting name."}}
        for failure in failures:
            for name, kind in facts_of(failure).items():
                said = member_description(failure, name)
                members[name] = {**self._schemas.of(kind), "description": said}
        required = sorted(set.intersection(*map(set, facts)))
        if InvalidRequest in failures:
            said = "Every fault and its place; absent where a value cannot be stored."
            members["errors"] = {"type": "array", "description": said, "items": self._schemas.of(Fault)}
        own = {"type": "object", "properties": members, "required": ["code", *required]}
        return {"description": _meaning(failures), "allOf": [reference("Problem"), own]}


def _meaning(failures: Collection[type[Failure]]) -> str:
    """Return what a code means: the docstring of the failure that brings it."""
    return next(paragraphs(failure.__doc__) for failure in failures if "code" in failure.__dict__)


def _headers(status: int, failures: Collection[type[Failure]]) -> set[str]:
    found = {"X-Correlation-Id", "Cache-Control"}
    if status in {_TOO_MANY, _UNAVAILABLE} or IdempotencyInProgress in failures:
        found.add("Retry-After")
    return found | _BY_STATUS.get(status, set())


def _name(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("_")) + "Problem"


_BY_STATUS: Mapping[int, set[str]] = {
    _UNAUTHENTICATED: {"WWW-Authenticate"},
    _UNSUPPORTED: {"Accept-Encoding"} if STATUS[UnsupportedEncoding] == _UNSUPPORTED else set(),
    _TOO_MANY: {"RateLimit", "RateLimit-Policy"},
}
"""The headers that replies of a status have besides those of every problem."""
