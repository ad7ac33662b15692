"""The table of permissions on the page of authentication, rendered from the permissions and the OpenAPI document.

`.venv/bin/python -m tests.pages.permissions` writes it anew into `docs/authentication.md`, between its two marks.
"""

import asyncio
from typing import Any

from tallystick.domain.identity import PERMISSIONS, Permission
from tests.http.openapi_document import routes_with, served_document
from tests.pages.files import DOCS, write

PAGE = DOCS / "authentication.md"
BEGIN, END = "<!-- permissions: rendered -->\n", "<!-- end of permissions -->\n"


def render(page: str, document: dict[str, Any]) -> str:
    """Return the page with the table of permissions in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = "".join(_row(permission, document) for permission in PERMISSIONS)
    return f"{before}{BEGIN}\n| permission | allows | routes |\n| --- | --- | --- |\n{rows}\n{END}{after}"


def _row(permission: Permission, document: dict[str, Any]) -> str:
    own = routes_with(document, "x-permission", permission)
    of_others = [f"{route} of others" for route in routes_with(document, "x-permission-for-others", permission)]
    if not own and not of_others:
        raise LookupError(f"no route asks for {permission}")
    return f"| `{permission}` | {PERMISSIONS[permission]} | {', '.join([*own, *of_others])} |\n"


if __name__ == "__main__":
    write(PAGE, render(PAGE.read_text(encoding="utf-8"), asyncio.run(served_document())))
