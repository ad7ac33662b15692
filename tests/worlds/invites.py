"""Invites and sign-up over one backend, in verbs and builders that name only what matters."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tallystick.adapters.memory.ports import SwitchedFlags
from tallystick.application.idempotency import Keyed
from tallystick.application.invites import MakeInvites, NewInvite, Redeemed, RedeemInvites, Redemption, RevokeInvite
from tallystick.application.points import Points
from tallystick.application.sessions import (
    ChangePasswords,
    CheckPassword,
    Done,
    EndSessions,
    NewSession,
    PasswordChange,
    SignIn,
    SignOut,
    StartSessions,
)
from tallystick.application.sign_up import CompleteSignUps, SignedUp, SignUp
from tallystick.domain.codes import Code, normal_form
from tallystick.domain.invites import Invite, InviteId, InviteUse
from tallystick.domain.referral_points import ReferralPoints
from tallystick.domain.sessions import Session
from tallystick.domain.users import Profile, UserId
from tallystick.entrypoints.settings.pairs import read_tiers
from tests.worlds.backend import Backend
from tests.worlds.wallets import WalletWorld, result

TIERS = read_tiers("bronze=0; silver=1000; gold=5000; platinum=20000")


class PlainPasswords:
    """Passwords that cost nothing to check."""

    async def hashed(self, password: str) -> str:
        return f"hash of {password}"

    async def matches(self, password: str, password_hash: str | None) -> bool:
        return password_hash == await self.hashed(password)


class InviteWorld(WalletWorld):
    """The commands of invites, beside those of wallets."""

    def __init__(self, backend: Backend, *, seed: int = 0) -> None:
        super().__init__(backend, seed=seed)
        transactions = backend.transactions
        self.make_invites = MakeInvites(transactions, self.once)
        self.redeem_invites = RedeemInvites(transactions, self.once)
        self.flags = SwitchedFlags()
        self.points = Points(TIERS, self.flags, ReferralPoints(100))
        self.complete_sign_ups = CompleteSignUps(transactions, self.points, self.metrics, self.once)
        self.start_sessions = StartSessions(transactions)
        self.end_sessions = EndSessions(transactions, self.once)
        self.change_passwords = ChangePasswords(transactions, self.once)
        self.check_password = CheckPassword(self.reads, PlainPasswords())
        self.sign_in = SignIn(self.reads, PlainPasswords(), self.start_session, self.clock, self.randomness)

    def new_invite(
        self,
        *,
        max_uses: int = 5,
        codes: Sequence[str] | None = None,
        owner: str = "owner",
        expires_in: timedelta | None = None,
        invite_id: str | None = None,
    ) -> NewInvite:
        now = self.clock.now()
        drawn = [self.randomness.bytes(4).hex().upper()]
        return NewInvite(
            invite_id=InviteId(invite_id or self.new_id()),
            owner_id=UserId(owner),
            codes=tuple(Code(code) for code in codes or drawn),
            is_chosen=codes is not None and len(codes) == 1,
            max_uses=max_uses,
            expires_at=now + expires_in if expires_in is not None else None,
            at=now,
        )

    async def make(self, command: NewInvite | RevokeInvite, *, key: str | None = None) -> Invite:
        return result((await self.make_invites([self.keyed("owner", command, key)]))[0])

    async def an_invite(
        self, *, max_uses: int = 5, code: str | None = None, expires_in: timedelta | None = None, owner: str = "owner"
    ) -> Invite:
        codes = [code] if code is not None else None
        return await self.make(self.new_invite(max_uses=max_uses, codes=codes, expires_in=expires_in, owner=owner))

    async def revoke(self, invite: Invite, *, by: str | None = None, manages: bool = False) -> Invite:
        command = RevokeInvite(invite.invite_id, UserId(by or invite.owner_id), manages, self.clock.now())
        return await self.make(command)

    def redemption(self, user: str, code: str, *, attempt: str | None = None) -> Redemption:
        return Redemption(UserId(user), normal_form(code), attempt or self.new_id(), self.clock.now())

    async def redeem(self, user: str, code: str, *, attempt: str | None = None, key: str | None = None) -> Redeemed:
        command = self.redemption(user, code, attempt=attempt)
        return result((await self.redeem_invites([self.keyed(user, command, key, code)]))[0])

    async def redeem_together(self, *redemptions: Redemption) -> list[object]:
        """Return the outcomes of redemptions that were decided in one batch."""
        return list(await self.redeem_invites([Keyed(redemption) for redemption in redemptions]))

    async def invite(self, invite: Invite) -> Invite:
        """Return an invite as it is stored now."""
        found = await self.reads(lambda stores: stores.invites.find(invite.invite_id))
        assert found is not None
        return found

    async def seats(
        self, invite: Invite, *, after: tuple[datetime, UserId] | None = None, limit: int = 50
    ) -> list[InviteUse]:
        return await self.reads(lambda s: s.invites.uses_of(invite.invite_id, after=after, limit=limit))

    async def seats_and_counter(self, invite: Invite) -> tuple[list[str], int]:
        """Return who has a seat, and how many the invite says are taken."""
        return [use.user_id for use in await self.seats(invite)], (await self.invite(invite)).current_uses

    def sign_up_command(
        self,
        user: str,
        code: str,
        *,
        email: str | None = None,
        username: str | None = None,
        password: str | None = "a good password",
        phone_verified: bool = False,
        attempt: str | None = None,
    ) -> SignUp:
        return SignUp(
            self.redemption(user, code, attempt=attempt),
            Profile(email or f"{user}@example.org", username or user, user.title(), "+45 12 34 56 78"),
            phone_verified=phone_verified,
            password_hash=f"hash of {password}" if password is not None else None,
        )

    async def sign_up(self, command: SignUp, *, key: str | None = None) -> SignedUp:
        redemption = command.redemption
        keyed = self.keyed(redemption.user_id, command, key, redemption.code, command.profile)
        return result((await self.complete_sign_ups([keyed]))[0])

    async def sign_up_together(self, *sign_ups: SignUp) -> list[object]:
        """Return the outcomes of sign-ups that were decided in one batch."""
        return list(await self.complete_sign_ups([Keyed(sign_up) for sign_up in sign_ups]))

    async def start_session(self, command: NewSession) -> Session:
        return result((await self.start_sessions([command]))[0])

    async def sign_out(self, session: Session, *, everywhere: bool = False) -> Done:
        return result((await self.end_sessions([Keyed(SignOut(session.key, everywhere))]))[0])

    async def change_password(self, session: Session, current: str, new: str, *, key: str | None = None) -> Done:
        change = await self.check_password(session.key, current=current, new=new)
        return result((await self.change_passwords([self.keyed(session.user_id, change, key, current, new)]))[0])

    async def change_passwords_together(self, *changes: PasswordChange) -> list[object]:
        """Return the outcomes of changes that were decided in one batch."""
        return list(await self.change_passwords([Keyed(change) for change in changes]))

    async def sessions_of(self, user: str) -> list[Session]:
        return await self.reads(lambda stores: stores.sessions.find([UserId(user)]))

    async def has_credentials(self, user: str) -> bool:
        return UserId(user) in await self.reads(lambda stores: stores.directory.find([UserId(user)]))
