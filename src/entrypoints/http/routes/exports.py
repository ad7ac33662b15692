"""Exports: streamed page by page, as fast as the caller reads them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from litestar import Router, get
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from tallystick.application.exports import ReadExport
from tallystick.domain.exports import ExportKind, ExportRow
from tallystick.domain.refusals import Overloaded
from tallystick.entrypoints.http.caller_guard import PERMISSION, CallerGuard
from tallystick.entrypoints.http.document.documented_routes import DOCUMENTED_REPLY, REPLY_HEADERS
from tallystick.entrypoints.renderings import MEDIA_TYPES, Format, Rendering

MAX_EXPORTS = 8
"""The number of exports that one process sends at the same time."""

AskedFormat = Annotated[Format, QueryParameter(description="JSON Lines, or CSV (RFC 4180).")]


def exports_router(read_export: ReadExport, caller_guard: CallerGuard) -> Router:
    """Return the route of exports."""
    slots = asyncio.Semaphore(MAX_EXPORTS)

    @get(
        "/{kind:str}",
        opt={
            PERMISSION: "admin:export",
            DOCUMENTED_REPLY: dict.fromkeys(MEDIA_TYPES.values(), str),
            REPLY_HEADERS: ("Content-Disposition",),
        },
    )
    async def export_rows(
        kind: FromPath[ExportKind],
        format: AskedFormat = "jsonl",  # noqa: A002  as the wire calls it
    ) -> Stream:
        """Return every row of a kind, ordered by key, rows of deleted users included.

        An answer that ends without its last chunk is incomplete. If eight exports are being sent already, the answer is
        503 `OVERLOADED`.
        """
        if slots.locked():
            said = f"{MAX_EXPORTS} exports are being sent already; ask again when one has ended"
            raise Overloaded(said, cause="in_flight")
        rendering, pages = Rendering(kind, format), read_export(kind)
        # Before the answer begins, a refusal can still be answered with its own status.
        first: Sequence[ExportRow] = await anext(pages, [])
        return Stream(
            _rendered(rendering, first, pages, slots),
            media_type=MEDIA_TYPES[format],
            headers={"content-disposition": f'attachment; filename="tallystick-{kind}.{format}"'},
        )

    return Router(
        "/api/admin/export", route_handlers=[export_rows], guards=[caller_guard.guard], tags=["Administration"]
    )


async def _rendered(
    rendering: Rendering,
    first: Sequence[ExportRow],
    others: AsyncIterator[Sequence[ExportRow]],
    slots: asyncio.Semaphore,
) -> AsyncIterator[bytes]:
    # The slot is taken when the answer begins, so that an answer that never begins holds none.
    async with slots:
        yield rendering.opening() + rendering.lines(first)
        async for page in others:
            yield rendering.lines(page)
