"""What is used of the framework beyond its documentation still is as it was."""

from litestar import Litestar, asgi, get, post
from litestar.params import FromPath
from litestar.types import Receive, Scope, Send

from tallystick.entrypoints.http.internals import RouteTable, give_parameters
from tallystick.entrypoints.http.raw_routes import OPERATION, RawOperation
from tallystick.entrypoints.http.request_context import send_reply


@get("/things/{thing:str}")
async def read(thing: FromPath[str]) -> str:
    return thing


@post("/things/{thing:str}")
async def write(thing: FromPath[str]) -> str:
    return thing


@asgi("/raw/{thing:str}", copy_scope=False, opt={OPERATION: RawOperation("POST", {}, ())})
async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    await send_reply(send, 200, b"text/plain", scope["path_params"]["thing"].encode())


def test_the_router_names_the_methods_of_a_path() -> None:
    app = Litestar([read, write, raw], openapi_config=None)
    give_parameters(app)
    table = RouteTable(app)

    assert table.methods("/things/a") == {"GET", "HEAD", "POST", "OPTIONS"}
    assert table.methods("//things/a/") == {"GET", "HEAD", "POST", "OPTIONS"}
    assert table.methods("/raw/a") == {"POST", "OPTIONS"}
    assert table.methods("/things") == table.methods("/things/a/b") == frozenset()


def test_raw_handlers_have_their_parameters_under_every_method() -> None:
    app = Litestar([raw], openapi_config=None)
    give_parameters(app)

    found = {app.asgi_router.handle_routing(path="/raw/a", method=method)[3]["thing"] for method in ("GET", "POST")}

    assert found == {"a"}
