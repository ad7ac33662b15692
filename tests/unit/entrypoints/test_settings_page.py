"""The pages of settings and of permissions say what the tables and the routes say."""

import inspect
from typing import Any, get_args

import pytest

from tallystick.application.limit_groups import LIMIT_GROUPS, LimitGroup
from tallystick.domain.flags import Flag
from tallystick.domain.identity import PERMISSIONS, Permission
from tallystick.entrypoints.settings import Settings, variable
from tests.http.openapi_document import routes_with, served_document
from tests.pages import permissions
from tests.pages.settings import PAGE, render


@pytest.fixture(scope="module")
async def document() -> dict[str, Any]:
    return await served_document()


def test_the_page_is_up_to_date(document: dict[str, Any]) -> None:
    assert PAGE.read_text(encoding="utf-8") == render(document), (
        "settings have changed; write their page anew: .venv/bin/python -m tests.pages.settings"
    )


def test_the_table_of_permissions_is_up_to_date(document: dict[str, Any]) -> None:
    page = permissions.PAGE.read_text(encoding="utf-8")

    assert page == permissions.render(page, document), (
        "permissions have changed; write their table anew: .venv/bin/python -m tests.pages.permissions"
    )


def test_every_setting_limit_and_flag_is_on_the_page_with_its_default(document: dict[str, Any]) -> None:
    rows = {row.split("`")[1]: row for row in render(document).splitlines() if row.startswith("| `")}

    assert set(rows) == {variable(name) for name in Settings.__struct_fields__} | set(LIMIT_GROUPS) | set(Flag)
    for group, rule in LIMIT_GROUPS.items():
        assert f"`{rule.default}`" in rows[group]
    for flag in Flag:
        assert f"| `{'on' if flag.default else 'off'}` |" in rows[flag]
    assert (
        "| `20` | How long requests may take to finish after SIGTERM and the delay. 0 to 600. |"
        in rows["TALLYSTICK_DRAIN_SECONDS"]
    )
    assert rows["TALLYSTICK_LOG_LEVEL"].endswith("One of `debug`, `info`, `warning`, `error`. |")


def test_a_setting_that_says_nothing_is_named(monkeypatch: pytest.MonkeyPatch, document: dict[str, Any]) -> None:
    source = inspect.getsource(Settings).replace(
        '"""How long requests may take to finish after SIGTERM and the delay."""', ""
    )
    monkeypatch.setattr("inspect.getsource", lambda _: source)

    with pytest.raises(LookupError, match="drain_seconds"):
        render(document)


def test_a_permission_that_no_route_asks_for_is_named(document: dict[str, Any]) -> None:
    without = {**document, "paths": {path: found for path, found in document["paths"].items() if "export" not in path}}

    with pytest.raises(LookupError, match="admin:export"):
        permissions.render("", without)


def test_every_limit_group_and_permission_has_one_row(document: dict[str, Any]) -> None:
    assert set(LIMIT_GROUPS) == set(get_args(LimitGroup))
    assert set(PERMISSIONS) == set(get_args(Permission))
    # Sign-in counts by account besides, once it has read the body.
    assert {group for group in LIMIT_GROUPS if not routes_with(document, "x-limit-group", group)} == {"account"}
