"""The OpenAPI document of the service, as it is served, for the pages that are rendered from it."""

from collections.abc import Iterator
from typing import Any

from tests.http.services import running, settings


async def served_document() -> dict[str, Any]:
    """Return the document of a service in memory with its default settings."""
    async with running(settings(), "memory") as (anyone, _):
        served: dict[str, Any] = (await anyone.get("/schema/openapi.json")).json()
    return served


ENDLESS = "/api/overlays/stream"
"""A path whose GET never ends for every user; its HEAD asks for the same."""


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and operation; its parameters and replies are found where they refer to components."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            replies = {status: found(document, reply) for status, reply in operation["responses"].items()}
            parameters = [found(document, parameter) for parameter in operation.get("parameters", ())]
            yield method.upper(), path, {**operation, "responses": replies, "parameters": parameters}


def found(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the document, or the component that it refers to."""
    if "$ref" not in part:
        return part
    component: Any = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        component = component[name]
    return found(document, component)


def routes_with(document: dict[str, Any], extension: str, value: str) -> list[str]:
    """Return the routes whose operations have a value of an extension, as Markdown."""
    return [f"`{method} {path}`" for method, path, found in operations(document) if found.get(extension) == value]
