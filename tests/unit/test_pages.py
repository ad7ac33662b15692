"""The pages: every file, link and decision that they name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs/decisions").glob("0*.md"))
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NAMED_FILE = re.compile(r"`([\w<>*./-]+/[\w<>*.-]+\.(?:py|sql|md|toml))`")
_PLACEHOLDER = re.compile(r"<\w+>|NNNN_name")
_HEADLINE = re.compile(r"## Decision\s+\*\*.+?\*\*", re.DOTALL)


def prose(page: Path) -> str:
    """Return the text of a page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_files_that_a_page_names_exist(page: str) -> None:
    named = set(_NAMED_FILE.findall(prose(ROOT / page)))
    assert len(named) > 15

    patterns = {name: _PLACEHOLDER.sub("*", name) for name in named}
    missing = {name for name, glob in patterns.items() if not [*ROOT.glob(glob), *(ROOT / "src").glob(glob)]}

    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    dead = set[str]()
    for link in _LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.add(link)

    assert dead == set()


def test_the_index_lists_every_decision_by_its_title_and_date() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")

    rows = set()
    for decision in DECISIONS:
        text = decision.read_text(encoding="utf-8")
        title, date = (
            text.partition("\n")[0].removeprefix("# "),
            re.search(r"^Status: accepted, ([\d-]+)", text, re.MULTILINE),
        )
        assert date is not None, f"{decision.name} has no status"
        rows.add(f"| {decision.name[:4]} | [{title}]({decision.name}) | {date[1]} |")

    assert rows == {line for line in index.splitlines() if re.match(r"\| \d{4} ", line)}


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda decision: decision.name)
def test_a_decision_has_a_sentence_that_can_be_quoted(decision: Path) -> None:
    assert _HEADLINE.search(decision.read_text(encoding="utf-8"))
