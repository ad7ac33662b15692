"""The programs that render pages: each of them writes its own page."""

import runpy
from pathlib import Path

import pytest

from tests.pages import files

PROGRAMS = {
    "functions": "old-frontends",
    "limits": "limits",
    "metrics": "metrics",
    "permissions": "authentication",
    "privacy": "privacy",
    "settings": "settings",
} | {"trust": "webhooks"}


def test_every_program_is_tried() -> None:
    found = {path.stem for path in Path(files.__file__).parent.glob("*.py")}

    # The manifest is no page, and needs a database: tests/integration/postgres/test_manifest.py compares it.
    # The document is compared by tests/unit/http/test_document.py.
    # Alerts and dashboards are compared by tests/unit/adapters/test_alerts.py and test_dashboards.py.
    assert found - {"files", "manifest", "alerts", "dashboards", "openapi"} == set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_writes_its_page_and_changes_nothing_where_the_page_is_up_to_date(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[Path, str]] = []
    monkeypatch.setattr(files, "write", lambda page, text: written.append((page, text)))

    runpy.run_path(str(Path(files.__file__).with_name(f"{program}.py")), run_name="__main__")

    page = files.DOCS / f"{PROGRAMS[program]}.md"
    assert written == [(page, page.read_text(encoding="utf-8"))]


def test_a_program_says_which_page_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "DOCS", tmp_path / "docs")
    page = tmp_path / "docs" / "limits.md"
    page.parent.mkdir()

    files.write(page, "rows")

    assert page.read_text(encoding="utf-8") == "rows"
    assert capsys.readouterr().out == "wrote docs/limits.md\n"
