"""Sessions: sign-in, sign-out and passwords, for apps whose identity provider does not hold them."""

from typing import Annotated, NewType

import msgspec
from litestar import Response, Router, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody

from tallystick.adapters.identity.sessions import Bearers, SessionTokens
from tallystick.adapters.telemetry.logs import Pseudonyms
from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.ports import Clock
from tallystick.application.sessions import CheckPassword, Done, PasswordChange, SignIn, SignInRefused, SignOut
from tallystick.domain.identity import IdentityExternal, WeakPassword, is_fit
from tallystick.domain.sessions import LIFETIME, SessionKey, SessionRequired, WrongPassword
from tallystick.domain.users import MAX_EMAIL_LENGTH, email_key
from tallystick.entrypoints.http.authentication import PUBLIC, SESSION_COOKIE
from tallystick.entrypoints.http.caller_guard import LIMIT, CallerGuard
from tallystick.entrypoints.http.document.documented_routes import REPLY_HEADERS
from tallystick.entrypoints.http.links import Addresses
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import ApiRequest

AccountHashes = NewType("AccountHashes", Pseudonyms)
"""Keyed hashes of accounts; attempts at a password are counted by them."""


class SignInBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The credentials of a sign-in."""

    email: Annotated[str, msgspec.Meta(max_length=MAX_EMAIL_LENGTH)]
    password: str


class SignedIn(msgspec.Struct, frozen=True):
    """The bearer token of the session; browsers use the cookie instead."""

    token: str


class SignOutBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sessions to end: this one, or every session of the user."""

    everywhere: bool = False


class PasswordBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The current password and the new one."""

    current: str
    new: str


def sessions_router(
    sign_in: SignIn | None,
    check_password: CheckPassword | None,
    end_session: Single[Keyed[SignOut], Done],
    change_password: Single[Keyed[PasswordChange], Done],
    cookies: SessionTokens,
    bearers: Bearers,
    accounts: AccountHashes,
    caller_guard: CallerGuard,
    addresses: Addresses,
    clock: Clock,
) -> Router:
    """Return the routes of sessions; without `sign_in` an identity provider holds the credentials."""

    def session_cookie(value: str, *, seconds: int) -> Cookie:
        return Cookie(
            key=SESSION_COOKIE,
            value=value,
            max_age=seconds,
            httponly=True,
            secure=addresses.is_secure,
            samesite="lax",
        )

    @post(
        "/sign-in",
        status_code=200,
        opt={
            LIMIT: "sign_up",
            PUBLIC: True,
            FAILURES: (SignInRefused, IdentityExternal),
            REPLY_HEADERS: ("Set-Cookie",),
        },
    )
    async def sign_in_user(request: ApiRequest, data: JSONBody[SignInBody]) -> Response[SignedIn]:
        """Start a session: a cookie for browsers, and a bearer token for other clients.

        Attempts are counted by address and by account, whether or not the account exists.
        """
        if sign_in is None:
            raise IdentityExternal
        await caller_guard.count_account(accounts.of(email_key(data.email)), context_of(request.scope))
        session = await sign_in(data.email, data.password)
        cookie = session_cookie(cookies.issue(session), seconds=int(LIFETIME.total_seconds()))
        return Response(SignedIn(bearers.issue(session)), status_code=200, cookies=[cookie])

    @post(
        "/sign-out",
        status_code=200,
        opt={FAILURES: (SessionRequired, IdentityExternal), REPLY_HEADERS: ("Set-Cookie",)},
    )
    async def sign_out_user(request: ApiRequest, data: JSONBody[SignOutBody | None] = None) -> Response[Done]:
        """End this session, or with `everywhere` all sessions of the caller; every instance refuses the next request.

        Cookie and bearer token of one sign-in are one session.
        """
        session = _session(request, is_external=sign_in is None)
        command = SignOut(session, everywhere=data is not None and data.everywhere)
        done = await end_session(Keyed(command, await request.idempotency_key(clock.now(), session=session)))
        return Response(done, status_code=200, cookies=[session_cookie("", seconds=0)])

    @post(
        "/password",
        status_code=200,
        opt={LIMIT: "sign_up", FAILURES: (SessionRequired, IdentityExternal, WeakPassword, WrongPassword)},
    )
    async def change_own_password(request: ApiRequest, data: JSONBody[PasswordBody]) -> Done:
        """Replace the caller's password, and end every other session of the caller."""
        session = _session(request, is_external=check_password is None)
        if check_password is None:
            raise IdentityExternal
        if not is_fit(data.new):
            raise WeakPassword
        await caller_guard.count_account(f"user {session.user_id}", context_of(request.scope))
        key = await request.idempotency_key(clock.now(), session=session)
        change = await check_password(session, current=data.current, new=data.new)
        return await change_password(Keyed(change, key))

    return Router(
        "/api/auth",
        route_handlers=[sign_in_user, sign_out_user, change_own_password],
        guards=[caller_guard.guard],
        tags=["Sign-up"],
    )


def _session(request: ApiRequest, *, is_external: bool) -> SessionKey:
    """Return the caller's session; IdentityExternal or SessionRequired where there is none."""
    if is_external:
        raise IdentityExternal
    if request.user.session is None:
        raise SessionRequired
    return request.user.session
