"""The disposition of each column is in one table, and the page says the same."""

from tallystick.domain.dispositions import DISPOSITIONS, TABLES_WITHOUT_USERS
from tests.pages.privacy import PAGE, render


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "dispositions have changed; write their page anew: .venv/bin/python -m tests.pages.privacy"
    )


def test_every_column_is_on_the_page() -> None:
    page = render()

    for table, columns in DISPOSITIONS.items():
        part = page.partition(f"## `{table}`\n")[2].partition("## ")[0]
        assert all(f"`{column}`" in part for column in columns), table


def test_every_kept_column_has_a_reason() -> None:
    for table, columns in DISPOSITIONS.items():
        for column, disposition in columns.items():
            assert bool(disposition.reason) == (disposition.becomes == "keep"), f"{table}.{column}"


def test_no_table_is_about_users_and_about_nobody() -> None:
    assert not DISPOSITIONS.keys() & TABLES_WITHOUT_USERS.keys()
