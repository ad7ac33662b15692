"""The OpenAPI document `openapi.json`, as `tallystick openapi` prints it.

`.venv/bin/python -m tests.pages.openapi` writes it anew.
"""

import asyncio
import json
from typing import Any

from tallystick.entrypoints.cli.openapi import document
from tests.pages.files import DOCS, write

DOCUMENT = DOCS.parent / "openapi.json"


def read() -> dict[str, Any]:
    """Return the committed document."""
    committed: dict[str, Any] = json.loads(DOCUMENT.read_bytes())
    return committed


if __name__ == "__main__":
    write(DOCUMENT, asyncio.run(document()).decode())
