"""The folder of the rendered pages, and how their programs write them."""

import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def write(page: Path, text: str) -> None:
    """Write a page, and print which one."""
    page.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {page.relative_to(DOCS.parent)}\n")
