"""Sign-up by invite, for apps whose users sign in here or with an identity provider."""

from typing import Annotated

import msgspec
from litestar import Router, post
from litestar.params import JSONBody

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.invites import Redemption
from tallystick.application.ports import Clock, Randomness
from tallystick.application.sign_up import SignedUp, SignUp
from tallystick.domain.codes import normal_form
from tallystick.domain.identity import IdentityMismatch, Passwords, WeakPassword, is_fit
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.invites import AlreadyUsed, InviteExhausted, InviteExpired, InviteNotFound, InviteRevoked
from tallystick.domain.usernames import username_form
from tallystick.domain.users import (
    MAX_USER_ID_LENGTH,
    EmailTaken,
    Profile,
    UsernameTaken,
    phone_digits,
)
from tallystick.entrypoints.http.caller_guard import LIMIT, CallerGuard
from tallystick.entrypoints.http.fields import Email, Name, Phone, TypedCode, Username, rule
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.requests import STRICTER, ApiRequest

LeftOut = Annotated[
    str | None, msgspec.Meta(extra=rule(lambda value: value is None, "no value (the identity provider holds it)"))
]


class SignUpBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A user who signs up by an invite.

    E-mail and password are required. If an identity provider holds them, they are refused.
    """

    user_id: Annotated[str, msgspec.Meta(max_length=MAX_USER_ID_LENGTH)]
    """The `sub` of the token."""
    username: Username
    display_name: Name
    invite_code: TypedCode
    phone: Phone
    email: Email | None = None
    password: str | None = None


class _SignUpHere(SignUpBody, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    email: Email
    password: str


class _SignUpElsewhere(SignUpBody, frozen=True, forbid_unknown_fields=True, rename="camel"):
    email: LeftOut = None
    password: LeftOut = None


def sign_up_router(
    complete: Single[Keyed[SignUp], SignedUp],
    passwords: Passwords | None,
    caller_guard: CallerGuard,
    clock: Clock,
    randomness: Randomness,
) -> Router:
    """Return the route of sign-up; without `passwords` an identity provider holds the credentials."""

    @post(
        "/complete-phone-signup",
        status_code=200,
        guards=[caller_guard.guard],
        opt={
            LIMIT: "sign_up",
            STRICTER: _SignUpHere if passwords is not None else _SignUpElsewhere,
            FAILURES: (
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
        if data.password is not None and not is_fit(data.password):
            raise WeakPassword
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

    return Router("/api/auth", route_handlers=[complete_phone_signup], tags=["Sign-up"])
