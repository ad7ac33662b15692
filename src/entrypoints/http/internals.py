"""What is used of Litestar beyond its documentation, in one place; seen in litestar 2.25.

tests/unit/http/test_internals.py fails when any of it changes.
"""

from collections.abc import Iterable
from typing import Any

from litestar import Litestar
from litestar._asgi.routing_trie.types import RouteTrieNode
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.routes import ASGIRoute, BaseRoute, HTTPRoute
from litestar.utils import normalize_path

from tallystick.entrypoints.http.raw_routes import OPERATION, RawOperation

_NO_METHOD: Any = "NONE"
"""A method that no route takes: the router answers with those that it does take."""


class RouteTable:
    """Which methods a path takes, as the framework's own router finds it.

    The framework offers no public way to ask: `Litestar.routes` would have to be matched by rules of our own, which
    could differ from those of the router.
    """

    def __init__(self, app: Litestar) -> None:
        self._router = app.asgi_router
        self._all = _with_own(method for route in app.routes for method in _methods(route))

    def methods(self, path: str) -> frozenset[str]:
        """Return the methods that a path takes, with HEAD and OPTIONS; empty where there is nothing at the path.

        `*` stands for the whole server (RFC 9110, 9.3.7).
        """
        if path == "*":
            return self._all
        try:
            handler = self._router.handle_routing(path=normalize_path(path), method=_NO_METHOD)[1]
        except NotFoundException:
            return frozenset()
        except MethodNotAllowedException as error:
            found = {method.strip() for method in (error.headers or {}).get("allow", "").split(",")}
        else:
            operation: RawOperation = handler.opt[OPERATION]
            found = {operation.method}
        return _with_own(found)


def _methods(route: BaseRoute) -> Iterable[str]:
    if isinstance(route, HTTPRoute):
        return route.methods
    operation = route.route_handler.opt.get(OPERATION) if isinstance(route, ASGIRoute) else None
    return () if operation is None else (operation.method,)


def _with_own(methods: Iterable[str]) -> frozenset[str]:
    """Add the methods that every path has by itself."""
    found = frozenset(methods)
    return found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())


def give_parameters(app: Litestar) -> None:
    """Let raw handlers have parameters in their paths.

    Litestar keeps the parameters of an ASGI handler under `asgi`, and looks for them under the method.
    """
    _give_parameters(app.asgi_router.root_route_map_node)


def _give_parameters(node: RouteTrieNode) -> None:
    if node.is_asgi:
        node.path_parameters = _ForAnyMethod(node.path_parameters)
    for child in node.children.values():
        _give_parameters(child)


class _ForAnyMethod(dict[Any, Any]):
    """The parameters of an ASGI handler, under every method."""

    def __missing__(self, method: object) -> Any:
        return self["asgi"]
