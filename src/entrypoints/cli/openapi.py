"""`tallystick openapi`: the document of the API, for the generators of clients."""

import asyncio
import sys

import rich_click as click

from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.terminal import refuse
from tallystick.entrypoints.settings import load
from tallystick.entrypoints.settings.addresses import read_base_url

_OF_SERVE = "http://127.0.0.1:8000"
_SECRET = "the routes are built and nothing is signed"  # noqa: S105  no secret: nothing is served


@click.command()
@click.option("--url", default=_OF_SERVE, show_default=True, help="The address of the server that clients call.")
def openapi(url: str) -> None:
    """Print the OpenAPI document of this version, as JSON.

    The same version prints the same document everywhere: it reads no settings and no database. A server has it at
    /schema/openapi.json, with its own address.

    tallystick openapi --url https://api.example.org > openapi.json
    """
    try:
        address = read_base_url(url)
    except ValueError as error:
        refuse(f"--url: {error}", ExitStatus.WRONG)
    sys.stdout.buffer.write(asyncio.run(document(address)))


async def document(url: str = _OF_SERVE) -> bytes:
    """Return the document with the default settings, for a server at an address."""
    from litestar import Litestar  # noqa: PLC0415  a third of a second, which `--help` does not need

    from tallystick import __version__  # noqa: PLC0415  as above
    from tallystick.entrypoints.http.document.rendering import encoded, rendered  # noqa: PLC0415  as above
    from tallystick.entrypoints.wiring import build  # noqa: PLC0415  as above

    container = build(load({"TALLYSTICK_JWT_SECRET": _SECRET}), "memory")
    try:
        framework = await container.get(Litestar)
        return encoded(rendered(framework, version=__version__, servers=[{"url": url.rstrip("/")}]))
    finally:
        await container.close()
