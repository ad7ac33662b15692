"""Flags: administrators see and switch them."""

import msgspec
from litestar import Router, get, put
from litestar.params import FromPath, JSONBody

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.ports import Clock
from tallystick.application.reads import Reads
from tallystick.domain.flags import (
    Flag,
    FlagLocked,
    FlagNotFound,
    FlagPinned,
    FlagState,
    Pins,
    Switch,
    flag_named,
    state_of,
)
from tallystick.entrypoints.http.caller_guard import PERMISSION, CallerGuard
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.requests import ApiRequest


class FlagBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The new state of a flag."""

    enabled: bool
    """True to switch the flag on."""


class FlagList(msgspec.Struct, frozen=True):
    """Every flag with its stored or pinned state."""

    items: list[FlagState]
    """Every flag."""


def flags_router(
    switch: Single[Keyed[Switch], FlagState], pins: Pins, reads: Reads, caller_guard: CallerGuard, clock: Clock
) -> Router:
    """Return the routes of flags."""

    @get("/", opt={PERMISSION: "admin:flags"})
    async def list_flags() -> FlagList:
        """Return every flag; the environment of this instance decides pinned flags."""
        book = await reads(lambda stores: stores.flags.all())
        return FlagList([state_of(flag, book.get(flag), pins) for flag in Flag])

    @put("/{name:str}", opt={PERMISSION: "admin:flags", FAILURES: (FlagNotFound, FlagLocked, FlagPinned)})
    async def switch_flag(request: ApiRequest, name: FromPath[str], data: JSONBody[FlagBody]) -> FlagState:
        """Switch a flag; every instance follows within 5 s. A switch to the present state changes nothing."""
        now = clock.now()
        wanted = Switch(flag_named(name), data.enabled, now, request.user.user_id)
        return await switch(Keyed(wanted, await request.idempotency_key(now)))

    return Router(
        "/api/admin/flags",
        route_handlers=[list_flags, switch_flag],
        guards=[caller_guard.guard],
        tags=["Administration"],
    )
