"""The page of settings says what the settings say."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tallystick.adapters.rate_limits.limiter import DEFAULTS as LIMITS
from tallystick.application.ports import LimitGroup
from tallystick.domain.flags import DEFAULTS as FLAGS
from tallystick.domain.flags import MEANINGS
from tallystick.entrypoints.settings import Settings, variable
from tests.services import running, settings
from tests.settings_page import ROUTES, THEMES, render

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"
OTHERS: Mapping[LimitGroup, list[tuple[str, str]]] = {
    # Counted by account once the body was read: `TestAccountLimit` says how.
    "account": [],
    "read": [("GET", "/api/my-referral-link"), ("GET", "/api/leaderboard")],
    "write": [("POST", "/api/referral/remint")],
}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "settings have changed; write their page anew: .venv/bin/python -m tests.settings_page > docs/settings.md"
    )


def test_every_setting_limit_and_flag_is_on_the_page_with_its_default() -> None:
    rows = {row.split("`")[1]: row for row in render().splitlines() if row.startswith("| `")}

    assert set(rows) == {variable(name) for name in Settings.__struct_fields__} | set(LIMITS) | set(FLAGS)
    for group, limit in LIMITS.items():
        assert f"`{limit}`" in rows[group]
    for flag, is_on in FLAGS.items():
        assert f"| `{'on' if is_on else 'off'}` |" in rows[flag]
    assert (
        "| `20` | How long requests may take to finish after SIGTERM. 0 to 600. |" in rows["TALLYSTICK_DRAIN_SECONDS"]
    )
    assert rows["TALLYSTICK_LOG_LEVEL"].endswith("One of `debug`, `info`, `warning`, `error`. |")


def test_a_setting_without_a_place_on_the_page_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.settings_page.THEMES", {**THEMES, "Running": ("flags", "log_level")})

    with pytest.raises(LookupError, match="drain_seconds"):
        render()


def test_every_group_and_flag_is_explained() -> None:
    assert set(ROUTES) == set(LIMITS)
    assert set(MEANINGS) == set(FLAGS)


async def test_routes_are_counted_in_the_group_that_the_page_names() -> None:
    async with running(settings(rate_limits=""), "memory") as (anyone, _):
        for group, routes in ROUTES.items():
            for method, path in re.findall(r"`(GET|POST) (/\S+)`", routes) or OTHERS[group]:
                asked = path.replace("{code}", "ABCD2345")
                reply = await anyone.named("ada").call(method, asked, raw=b"{}" if method == "POST" else None)

                assert reply.headers["ratelimit-policy"].split(";")[0] == f'"{group}"'
