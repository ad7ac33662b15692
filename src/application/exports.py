"""Exports: read page by page, so that neither memory nor a transaction grows with the number of rows."""

from collections.abc import AsyncIterator, Sequence

from tallystick.application.reads import Reads
from tallystick.domain.exports import ROWS, ExportKind, ExportRow

PAGE_ROWS = 1000


class ReadExport:
    """Read every row of a kind that exists at the start of the export and at the read of its page.

    Each page is a separate read: it holds no snapshot and blocks no vacuum. Overloaded where a page cannot be read.
    """

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def __call__(self, kind: ExportKind) -> AsyncIterator[Sequence[ExportRow]]:
        after, is_last = ROWS[kind].start, False
        while not is_last:
            page = await self._reads(lambda stores: stores.exports.page(kind, after=after, limit=PAGE_ROWS))  # noqa: B023  awaited at once
            is_last = len(page) < PAGE_ROWS
            if page:
                yield page
                after = page[-1].position
