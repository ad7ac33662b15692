"""The OpenAPI document `openapi.json`, as `tallystick openapi` prints it, and the examples in it.

`.venv/bin/python -m tests.pages.openapi` writes both anew.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import tallystick.entrypoints.http.document.examples
from tallystick.entrypoints.cli.openapi import document
from tests.http.examples import recorded
from tests.http.story import encoded
from tests.pages.files import DOCS, write

DOCUMENT = DOCS.parent / "openapi.json"
EXAMPLES = Path(tallystick.entrypoints.http.document.examples.__file__).with_name("examples.json").resolve()


def read() -> dict[str, Any]:
    """Return the committed document."""
    committed: dict[str, Any] = json.loads(DOCUMENT.read_bytes())
    return committed


async def _write() -> None:
    EXAMPLES.write_text("{}", encoding="utf-8")  # requests of an older version need not fit the present routes
    examples = await recorded(json.loads(await document()))
    write(EXAMPLES, encoded(examples).decode())
    tallystick.entrypoints.http.document.examples.examples.cache_clear()
    write(DOCUMENT, (await document()).decode())


if __name__ == "__main__":
    asyncio.run(_write())
