"""The pages of the runbooks: each statement in them can be run, and each command in them exists."""

import re

import asyncpg
import pytest

from tallystick.entrypoints.cli.runbook_table import RUNBOOKS
from tests.commands import EVERY
from tests.integration.postgres.sessions import session, superuser_of
from tests.pages.files import DOCS

FOLDER = DOCS / "runbooks"
PAGES = sorted(page.stem for page in FOLDER.glob("*.md"))
_SQL = re.compile(r"`(SELECT [^`]+)`")
_COMMAND = re.compile(r"`tallystick ([a-z]+(?: [a-z]+)?)")


def text_of(page: str) -> str:
    return (FOLDER / f"{page}.md").read_text(encoding="utf-8")


def test_every_runbook_has_a_page_that_names_its_command() -> None:
    assert {each.page for each in RUNBOOKS} <= set(PAGES)
    for each in RUNBOOKS:
        assert f"`tallystick runbook {each.name}`" in text_of("README")
        assert f"`tallystick runbook {each.name}" in text_of(each.page), each.name


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_exist(page: str) -> None:
    for words in _COMMAND.findall(text_of(page)):
        assert words in EVERY or words.split()[0] in EVERY, words


async def test_the_statements_of_the_pages_can_be_run(server: tuple[str, str], owner_dsn: str) -> None:
    statements = [(page, sql) for page in PAGES for sql in _SQL.findall(text_of(page))]
    assert len(statements) > 10
    async with session(superuser_of(server, owner_dsn)) as superuser:
        for page, sql in statements:
            try:
                await superuser.fetch(f"EXPLAIN {sql.replace('PID', '1')}")
            except asyncpg.PostgresError as error:
                pytest.fail(f"{page}: {sql}: {error}")
