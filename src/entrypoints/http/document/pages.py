"""The pages of the document: the document itself, and Swagger UI, which loads no foreign file."""

import asyncio
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from litestar import Response, Router, get
from litestar.static_files import create_static_files_router

from tallystick.entrypoints.http.authentication import PUBLIC
from tallystick.entrypoints.http.document.documented_routes import JSON
from tallystick.entrypoints.http.document.rendering import encoded, rendered
from tallystick.entrypoints.http.requests import ApiRequest

PATH = "/schema"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def document_routers(version: str, servers: Sequence[Mapping[str, str]]) -> tuple[Router, Router]:
    """Return the routes of the document and of its page, and those of the page's files."""
    page = (_assets() / "index.html").read_bytes()
    turn = asyncio.Lock()
    kept: list[bytes] = []

    @get("/openapi.json")
    async def document(request: ApiRequest) -> Response[bytes]:
        async with turn:
            if not kept:  # in a thread: it takes a while, and other requests go on
                kept.append(
                    await asyncio.to_thread(lambda: encoded(rendered(request.app, version=version, servers=servers)))
                )
        return Response(kept[0], media_type=JSON)

    @get("/", media_type="text/html")
    async def show_page() -> bytes:
        return page

    pages = Router(
        PATH,
        route_handlers=[document, show_page],
        opt={PUBLIC: True},
        include_in_schema=False,
        response_headers={"content-security-policy": PAGE_POLICY},
    )
    assets = create_static_files_router(
        path=f"{PATH}/assets", directories=[_assets()], opt={PUBLIC: True}, include_in_schema=False
    )
    return pages, assets


def _assets() -> Path:
    return Path(str(files("tallystick.entrypoints.http"))) / "swagger_ui"
