"""The page of settings says what the settings say."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest

from tallystick.application.limit_groups import LIMIT_GROUPS, LimitGroup
from tallystick.domain.flags import Flag
from tallystick.entrypoints.settings import Settings, variable
from tests.http.services import running, settings
from tests.pages.settings import ROUTES, render

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"
OTHERS: Mapping[LimitGroup, list[tuple[str, str]]] = {
    # Counted by account once the body was read: `TestAccountLimit` says how.
    "account": [],
    "read": [("GET", "/api/my-referral-link"), ("GET", "/api/leaderboard")],
    "write": [("POST", "/api/referral/remint")],
}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "settings have changed; write their page anew: .venv/bin/python -m tests.pages.settings > docs/settings.md"
    )


def test_every_setting_limit_and_flag_is_on_the_page_with_its_default() -> None:
    rows = {row.split("`")[1]: row for row in render().splitlines() if row.startswith("| `")}

    assert set(rows) == {variable(name) for name in Settings.__struct_fields__} | set(LIMIT_GROUPS) | set(Flag)
    for group, rule in LIMIT_GROUPS.items():
        assert f"`{rule.default}`" in rows[group]
    for flag in Flag:
        assert f"| `{'on' if flag.default else 'off'}` |" in rows[flag]
    assert (
        "| `20` | How long requests may take to finish after SIGTERM. 0 to 600. |" in rows["TALLYSTICK_DRAIN_SECONDS"]
    )
    assert rows["TALLYSTICK_LOG_LEVEL"].endswith("One of `debug`, `info`, `warning`, `error`. |")


def test_a_setting_that_says_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    source = inspect.getsource(Settings).replace('"""How long requests may take to finish after SIGTERM."""', "")
    monkeypatch.setattr("inspect.getsource", lambda _: source)

    with pytest.raises(LookupError, match="drain_seconds"):
        render()


def test_every_group_and_flag_is_explained() -> None:
    assert set(ROUTES) == set(LIMIT_GROUPS) == set(get_args(LimitGroup))


async def test_routes_are_counted_in_the_group_that_the_page_names() -> None:
    async with running(settings(rate_limits=""), "memory") as (anyone, _):
        for group, routes in ROUTES.items():
            for method, path in re.findall(r"`(GET|POST) (/\S+)`", routes) or OTHERS[group]:
                asked = path.replace("{code}", "ABCD2345")
                reply = await anyone.named("ada").call(method, asked, raw=b"{}" if method == "POST" else None)

                assert reply.headers["ratelimit-policy"].split(";")[0] == f'"{group}"'
