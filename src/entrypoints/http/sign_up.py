"""Sign-up by invite and sign-in, for apps without an identity provider that does both."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from litestar import Response, Router, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody

from adapters.identity.sessions import LIFETIME, Bearers, Sessions
from application.group_commit import Single
from application.idempotency import Keyed
from application.invites import Redemption
from application.ports import Clock, Randomness
from application.sign_up import SignedUp, SignIn, SignInRefused, SignUp
from domain.codes import normal_form
from domain.identity import IdentityExternal, IdentityMismatch, Passwords, WeakPassword, is_fit
from domain.ids import RANDOM_BYTES, uuid_v7
from domain.invites import AlreadyUsed, InviteExhausted, InviteExpired, InviteNotFound, InviteRevoked
from domain.usernames import username_form
from domain.users import (
    MAX_EMAIL_LENGTH,
    MAX_NAME_LENGTH,
    MAX_USER_ID_LENGTH,
    EmailTaken,
    Profile,
    UsernameTaken,
    is_email,
    is_phone,
    phone_digits,
)
from entrypoints.http.authentication import PUBLIC, SESSION_COOKIE
from entrypoints.http.gate import LIMIT, Gate
from entrypoints.http.invites import TypedCode
from entrypoints.http.links import Addresses
from entrypoints.http.problems import REFUSALS
from entrypoints.http.refusals import Fault, InvalidRequest, text_faults, username_faults
from entrypoints.http.requests import ApiRequest
from entrypoints.http.users import Email, Name, Phone


class SignUpBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Who signs up, and by which invite. Where an identity provider holds them, e-mail and password are refused."""

    user_id: Annotated[str, msgspec.Meta(max_length=MAX_USER_ID_LENGTH)]
    username: Name
    display_name: Name
    invite_code: TypedCode
    phone: Phone
    email: Email | None = None
    password: str | None = None


class SignInBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user signs in with."""

    email: Annotated[str, msgspec.Meta(max_length=MAX_EMAIL_LENGTH)]
    password: str


class SignedIn(msgspec.Struct, frozen=True):
    """A bearer token that stands for the session; browsers have a cookie."""

    token: str


def sign_up_router(
    complete: Single[Keyed[SignUp], SignedUp],
    sign_in: SignIn | None,
    passwords: Passwords | None,
    sessions: Sessions,
    bearers: Bearers,
    gate: Gate,
    addresses: Addresses,
    clock: Clock,
    randomness: Randomness,
) -> Router:
    """Return the routes of sign-up and sign-in; without `passwords` an identity provider holds the credentials."""

    @post(
        "/complete-phone-signup",
        status_code=200,
        guards=[gate.guard],
        opt={
            LIMIT: "sign_up",
            REFUSALS: (
                IdentityMismatch,
                WeakPassword,
                EmailTaken,
                UsernameTaken,
                AlreadyUsed,
                InviteNotFound,
                InviteExpired,
                InviteRevoked,
                InviteExhausted,
            ),
        },
    )
    async def complete_phone_signup(request: ApiRequest, data: JSONBody[SignUpBody]) -> SignedUp:
        """Store profile, credentials and the seat of an invite: all of them, or none."""
        principal = request.user
        if data.user_id != principal.user_id:
            raise IdentityMismatch("userId")
        _check(data, is_external=passwords is None)
        if principal.phone is not None and phone_digits(principal.phone) != phone_digits(data.phone):
            raise IdentityMismatch("phone")
        now = clock.now()
        key = await request.idempotency_key(now)
        password_hash = await passwords.hashed(data.password) if passwords is not None and data.password else None
        sign_up = SignUp(
            Redemption(
                principal.user_id,
                normal_form(data.invite_code),
                uuid_v7(now, randomness.bytes(RANDOM_BYTES)),
                now,
            ),
            Profile(data.email, username_form(data.username), data.display_name, data.phone),
            phone_verified=principal.phone_verified,
            password_hash=password_hash,
        )
        return await complete(Keyed(sign_up, key))

    @post(
        "/sign-in",
        status_code=200,
        guards=[gate.guard],
        opt={LIMIT: "sign_up", PUBLIC: True, REFUSALS: (SignInRefused, IdentityExternal)},
    )
    async def sign_in_user(data: JSONBody[SignInBody]) -> Response[SignedIn]:
        """Start a session: as a cookie for browsers, as a bearer token for everybody else."""
        if sign_in is None:
            raise IdentityExternal
        user_id = await sign_in(data.email, data.password)
        cookie = Cookie(
            key=SESSION_COOKIE,
            value=sessions.issue(user_id),
            max_age=int(LIFETIME.total_seconds()),
            httponly=True,
            secure=addresses.is_secure,
            samesite="lax",
        )
        return Response(SignedIn(bearers.issue(user_id)), status_code=200, cookies=[cookie])

    return Router("/api/auth", route_handlers=[complete_phone_signup, sign_in_user], tags=["Sign-up"])


def _check(body: SignUpBody, *, is_external: bool) -> None:
    faults = [*_faults(body, is_external=is_external)]
    if faults:
        raise InvalidRequest(faults)
    if body.password is not None and not is_fit(body.password):
        raise WeakPassword


def _faults(body: SignUpBody, *, is_external: bool) -> Iterator[Fault]:
    for member, text in (("email", body.email), ("password", body.password)):
        if is_external and text is not None:
            yield Fault(f"/{member}", "the identity provider holds it; leave it out")
        if not is_external and text is None:
            yield Fault(f"/{member}", "it is needed")
    if body.email is not None and not is_email(body.email):
        yield Fault("/email", "an e-mail address is needed")
    if not is_phone(body.phone):
        yield Fault("/phone", "a phone number is needed")
    yield from username_faults("/username", body.username)
    yield from text_faults("/displayName", body.display_name, longest=MAX_NAME_LENGTH)
