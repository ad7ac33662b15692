"""Rules of every function of the manifest, derived from the operation that it stands for."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from litestar import Litestar

from tallystick.entrypoints.http.document.documented_routes import DocumentedRoute, routes_of
from tallystick.entrypoints.http.functions.manifest import FUNCTIONS, NAMES_OF_USERS, PATH, REPLACED, Function
from tests.http.services import Caller, running, settings
from tests.pages.functions import PAGE, render
from tests.unit.http.test_authorisation import MATRIX, callers, ids, request_of
from tests.unit.http.test_every_route import APP, EVIL, EXPOSED, SUPABASE_PREFLIGHT

__all__ = ["callers", "ids"]

READABLE = {name for name, function in FUNCTIONS.items() if function.is_readable}


@pytest.fixture(scope="module")
async def operations() -> Mapping[str, DocumentedRoute]:
    """Return the routes by the ids of their operations."""
    async with running(settings(), "memory") as (_, container):
        return {route.name: route for route in routes_of(await container.get(Litestar))}


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Caller]:
    """Return a caller of a service that one other origin may call."""
    async with running(settings(allowed_origins=APP), "memory") as (anyone, _):
        yield anyone


def arguments(function: Function, route: DocumentedRoute, ids: dict[str, str]) -> dict[str, Any]:
    """Return the arguments of a call that sends what the matrix sends to the operation."""
    target, body = request_of(route.method, route.path, ids)
    members = {**ids, **dict(parse_qsl(target.partition("?")[2])), **(body or {})}
    return {argument.name: members[argument.member] for argument in function.arguments if argument.is_required}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_is_a_parameter_or_a_field(operations: Mapping[str, DocumentedRoute], name: str) -> None:
    function, route = FUNCTIONS[name], operations[FUNCTIONS[name].operation]
    required = set(route.shape.path | route.shape.required)
    known = set(route.shape.path | route.shape.query)
    if route.body is not None:
        fields = msgspec.structs.fields(route.body)
        known |= {field.name for field in fields}
        required |= {field.name for field in fields if field.required}

    taken = {argument.member for argument in function.arguments}
    assert taken | set(function.constants) <= known
    assert required <= {each.member for each in function.arguments if each.is_required} | set(function.constants)


def test_every_name_means_one_thing() -> None:
    for function in FUNCTIONS.values():
        names = [name for argument in function.arguments for name in (argument.name, *argument.also)]
        assert len(set(names)) == len(names), function.name
        assert not NAMES_OF_USERS & set(names), function.name
    assert set(REPLACED.values()) <= set(FUNCTIONS)
    assert not set(REPLACED) & set(FUNCTIONS)


def test_a_function_that_get_may_call_stands_for_get(operations: Mapping[str, DocumentedRoute]) -> None:
    assert {operations[FUNCTIONS[name].operation].method for name in READABLE} == {"GET"}


@pytest.mark.parametrize("name", FUNCTIONS)
async def test_everybody_gets_what_the_matrix_says_of_the_operation(
    operations: Mapping[str, DocumentedRoute], callers: dict[str, Caller], ids: dict[str, str], name: str
) -> None:
    route = operations[FUNCTIONS[name].operation]
    sent = arguments(FUNCTIONS[name], route, ids)

    statuses = {who: (await caller.post(PATH + name, sent)).status_code for who, caller in callers.items()}

    expected = MATRIX[route.method, route.path]
    assert statuses == {who: 200 if status == 201 else status for who, status in expected.items()}


@pytest.mark.parametrize("name", [*FUNCTIONS, *REPLACED])
async def test_methods_origins_and_codings_are_those_of_every_route(served: Caller, name: str) -> None:
    ada, allow = served.named("ada"), "GET, HEAD, OPTIONS, POST" if name in READABLE else "OPTIONS, POST"
    path, encoded = PATH + name, {"content-encoding": "gzip"}

    options = await served.call("OPTIONS", path)
    preflight = await served.call("OPTIONS", path, headers={"origin": APP, **SUPABASE_PREFLIGHT})
    foreign = await served.call("OPTIONS", path, headers={"origin": EVIL, **SUPABASE_PREFLIGHT})
    answer = await ada.call("POST", path, body={}, headers={"origin": APP})
    refused = [await ada.call(method, path) for method in ("PUT", "PATCH", "DELETE", "PURGE")]
    coded = await ada.call("POST", path, raw=b"{}", headers=encoded)

    assert (options.status_code, options.headers["allow"]) == (204, allow)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, APP)
    asked = set(SUPABASE_PREFLIGHT["access-control-request-headers"].split(","))
    assert asked <= set(preflight.headers["access-control-allow-headers"].split(", "))
    assert "access-control-allow-origin" not in foreign.headers
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert exposed >= EXPOSED | {"content-range", "preference-applied"}
    assert answer.headers["cache-control"] == "no-store"
    assert {(each.status_code, each.headers["allow"], each.json()["code"]) for each in refused} == {
        (405, allow, "PGRST117")
    }
    assert (coded.status_code, coded.json()["message"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_failures_before_the_function_have_the_form_of_its_errors(served: Caller) -> None:
    answer = await served.get(f"{PATH}resolve_referral_code?p_code={'x' * 9000}")

    assert (answer.status_code, answer.json()["message"]) == (414, "URI_TOO_LONG")
    assert answer.json().keys() == {"code", "details", "hint", "message"}


async def test_a_caller_past_the_limit_is_refused_before_the_body_is_read() -> None:
    path = f"{PATH}sync_rank_match_roster"
    async with running(settings(rate_limits="write=1/hour"), "memory") as (anyone, _):
        ada = anyone.named("ada")

        answers = [await ada.call("POST", path, raw=b"not JSON") for _ in range(2)]
        nobody = await anyone.call("POST", path, raw=b"not JSON")

    assert [answer.status_code for answer in answers] == [400, 429]
    assert nobody.status_code == 401


def test_the_page_is_rendered_from_the_manifest() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()
