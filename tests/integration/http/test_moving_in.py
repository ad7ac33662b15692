"""The service while a team moves in: callers notice nothing of it, and their links work."""

from collections.abc import AsyncIterator

import pytest
from dishka import AsyncContainer

from tallystick.application.clicks import Clicks
from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.worlds.world import World

Service = tuple[Caller, AsyncContainer]


@pytest.fixture
async def service(world: World, owner_dsn: str) -> AsyncIterator[Service]:
    """Return a caller of a service that falls back on codes 1234 and 5678 of Ada, which were imported."""
    await world.imported("ada", "1234", aliases=["5678"])
    flags = "legacy_fallback_enabled=on; table_as_sot=off"
    async with running(settings(database_url=service_of(owner_dsn), flags=flags), "postgres") as service:
        yield service


async def test_an_imported_code_looks_like_every_other_one(service: Service) -> None:
    anyone, _ = service
    minted = (await anyone.named("bob").get("/api/my-referral-link")).json()["referral_code"]

    answers = [
        await anyone.get(f"/api/referral/resolve{query}")
        for query in ("?code=1234", "?code=5678", f"?code={minted}", "?code=NOBODY99", "?code=!", "")
    ]

    assert [answer.json()["valid"] for answer in answers] == [True, True, True, False, False, False]
    assert len({(answer.status_code, len(answer.content), tuple(sorted(answer.headers))) for answer in answers}) == 1
    shown = (await anyone.get("/metrics")).text
    assert 'legacy_drift_found_total{met_by="resolver"} 2.0' in shown
    assert 'resolver_outcomes_total{outcome="legacy"} 2.0' in shown


async def test_a_user_who_clicked_an_imported_link_is_attributed_by_the_cookie(service: Service, world: World) -> None:
    anyone, _ = service
    clicked = await anyone.get("/r/5678")
    cookie = clicked.headers["set-cookie"].partition(";")[0]

    arrived = await anyone.named("bob").post("/api/users/upsert", {}, headers={"cookie": cookie})

    assert arrived.json()["attribution"] == "recorded"
    assert await world.inviter("bob") == "ada"
    assert (await anyone.named("ada").get("/api/me")).json()["referral_code"] == "1234"


async def test_links_show_the_code_of_the_legacy_field_and_follow_a_remint(service: Service, world: World) -> None:
    anyone, _ = service
    ada = anyone.named("ada")
    await anyone.named("bob").post("/api/users/upsert", {"referred_by": "1234"})
    assert (await ada.get("/api/my-referral-link")).json()["referral_code"] == "1234"

    reminted = (await ada.post("/api/referral/remint")).json()

    assert reminted["alias"] == "1234"
    for path in ("/api/my-referral-link", "/api/referral", "/api/me"):
        assert (await ada.get(path)).json()["referral_code"] in {"1234", reminted["referral_code"]}
    assert (await anyone.get("/api/referral/resolve?code=1234")).json()["valid"] is True


async def test_a_click_leaves_a_trace_where_a_run_wrote_the_code(service: Service, world: World) -> None:
    anyone, container = service
    minted = (await anyone.named("bob").get("/api/my-referral-link")).json()["referral_code"]
    await world.reconcile(repair=True)

    for code in ("1234", minted, "NOBODY99", "!"):
        assert (await anyone.get(f"/r/{code}")).status_code == 302
    await (await container.get(Clicks)).flush()

    assert await world.clicked() == {"1234"}
