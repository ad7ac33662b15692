"""Parameters of every route of the document: an unknown or impossible parameter is named, and never ignored."""

import pytest

from tests.http.requests import SECRET, Operation, almighty, operations
from tests.http.services import Caller

HOSTILE = {
    "NUL": "%00",
    "NUL inside": "a%00b",
    "a line break": "%0A",
    "a line break at the end": "ada%0A",
    "a space": "a%20b",
    "not ASCII": "%F0%9F%8E%81",
    "not UTF-8": "%FF",
    "endless": "x" * 7000,
    "129 characters": "x" * 129,
    "a quote": "%27",
}
NO_SEGMENT = {"a slash": "%2F", "empty": "", "dots": "..", "escaped dots": "%2E%2E"}
"""Values with which some paths lead to another route, or to none."""
KNOWN_BAD = {
    "limit": ["x", "", "1.5", "0x1", "%00", "%2B5"],
    "cursor": ["x", "AAAA", "%00", "%FF"],
    "state": ["x", "OPEN"],
}
KNOWN_BAD |= {"staff_id": ["%00", "a%20b", ""], "player_id": ["%00", ""], "event_type": ["%00", "A B"]}
KNOWN_BAD |= {"correlation_id": ["%00", "a%20b"], "format": ["x", "CSV"]}


class TestParameters:
    async def test_a_parameter_that_a_route_does_not_know_is_named(self, anyone: Caller) -> None:
        for operation in await operations(anyone):
            if not operation.is_guarded:
                continue
            unknown = {"user_id", "no_parameter", "Limit"} - {*operation.parameters("query")}
            names = await _blamed(anyone, operation, "&".join(f"{name}={SECRET}" for name in unknown))
            assert names >= unknown, (operation.method, operation.path, names)

    async def test_a_parameter_that_comes_twice_is_named(self, anyone: Caller) -> None:
        for operation in await operations(anyone):
            for name in operation.parameters("query") if operation.is_guarded else []:
                names = await _blamed(anyone, operation, f"{name}=1&{name}=1")
                assert name in names, (operation.path, names)

    async def test_a_value_that_cannot_be_is_named(self, anyone: Caller) -> None:
        tried = set()
        for operation in await operations(anyone):
            for name in operation.parameters("query") if operation.is_guarded else []:
                for value in KNOWN_BAD.get(name, []):
                    tried.add(name)
                    names = await _blamed(anyone, operation, f"{name}={value}")
                    # Bytes that are no UTF-8 have no parameter that they could be blamed on.
                    assert names >= ({""} if value == "%FF" else {name}), (operation.path, name, value, names)
        assert tried == set(KNOWN_BAD)

    async def test_no_parameter_of_a_probe_or_a_click_is_a_fault(self, anyone: Caller) -> None:
        lenient = [operation for operation in await operations(anyone) if not operation.is_guarded]
        assert len(lenient) > 5
        for operation in lenient:
            target = operation.target(code="ABCD1234")
            plain = await anyone.call(operation.method, target)
            answer = await anyone.call(operation.method, f"{target}?utm_source=x&a=1&a=2")
            assert answer.status_code == plain.status_code, operation.path
            assert answer.status_code < 400, operation.path

    async def test_an_id_that_none_can_be_is_refused_at_the_door(self, anyone: Caller) -> None:
        tried = 0
        for operation in await operations(anyone):
            for name in operation.parameters("path") if operation.is_guarded else []:
                for kind, value in HOSTILE.items():
                    tried += 1
                    target = operation.target(**{name: value})
                    refused = await almighty(anyone).call(operation.method, target, body=operation.empty())
                    assert refused.status_code == 400, (operation.method, target[:80], kind, refused.text)
                    blamed = [fault["name"] for fault in refused.json()["errors"] if fault["in"] == "path"]
                    assert blamed == [name], (operation.path, kind, refused.text)
        assert tried > 10 * len(HOSTILE)

    @pytest.mark.parametrize("kind", NO_SEGMENT)
    async def test_a_text_that_is_no_segment_of_a_path_is_never_an_error_of_ours(
        self, anyone: Caller, kind: str
    ) -> None:
        for operation in await operations(anyone):
            for name in operation.parameters("path"):
                target = operation.target(**{name: NO_SEGMENT[kind]})
                answer = await almighty(anyone).call(operation.method, target)
                assert answer.status_code < 500, (operation.method, target)


async def _blamed(anyone: Caller, operation: Operation, query: str) -> set[str]:
    """Return the names of the query parameters that a refusal is about."""
    target = f"{operation.target()}?{query}"
    refused = await almighty(anyone).call(operation.method, target, body=operation.empty())
    assert refused.status_code == 400, (operation.method, target, refused.text)
    assert SECRET not in refused.text
    assert refused.json()["code"] == "INVALID_REQUEST"
    return {fault["name"] for fault in refused.json()["errors"] if fault["in"] == "query"}
