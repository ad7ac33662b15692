"""Sign-up by invite: profile, credentials and seat in one transaction, or none of them."""

from collections.abc import Sequence

import msgspec

from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.invites import Redemption, Seats
from tallystick.application.pending_accruals import ReferralsCredited, credit_referrals
from tallystick.application.points import Points
from tallystick.application.ports import Metrics
from tallystick.application.transactions import Stores, Transactions
from tallystick.application.users import UserBatch, holders_of
from tallystick.domain.identity import Credentials, Verification
from tallystick.domain.invites import AlreadyUsed
from tallystick.domain.refusals import Failure
from tallystick.domain.users import Profile, UserDeleted, UserId


class SignUp(msgspec.Struct, frozen=True):
    """Take a seat and create a profile; the same attempt id again is the same sign-up."""

    redemption: Redemption
    profile: Profile
    phone_verified: bool
    password_hash: str | None
    """None where an identity provider holds the credentials."""


class SignedUp(msgspec.Struct, frozen=True):
    """The user has a profile and a seat."""

    success: bool = True


class CompleteSignUps:
    """Store users who sign up by invite; a refused sign-up stores nothing and takes no seat."""

    def __init__(self, transactions: Transactions, points: Points, metrics: Metrics, once: AnswerOnce) -> None:
        self._transactions, self._points, self._metrics, self._once = transactions, points, metrics, once

    async def __call__(self, sign_ups: Sequence[Keyed[SignUp]]) -> list[SignedUp | Failure | Replayed]:
        credited = ReferralsCredited()

        async def complete(fresh: Sequence[SignUp]) -> list[SignedUp | Failure]:
            nonlocal credited
            batch = await SignUpBatch.open(stores, fresh)
            outcomes = [batch.complete(sign_up) for sign_up in fresh]
            await batch.record(stores)
            at = fresh[0].redemption.at
            credited = await credit_referrals(stores, self._points, verified=batch.newly_verified, at=at)
            return outcomes

        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, sign_ups, complete)
        credited.measure(self._metrics)
        return outcomes


class SignUpBatch:
    """The seats, users and credentials of a batch of sign-ups, kept current while the batch is decided."""

    def __init__(
        self, seats: Seats, users_batch: UserBatch, credentials: dict[UserId, Credentials], verified: set[UserId]
    ) -> None:
        self._seats, self._users, self._credentials, self._verified = seats, users_batch, credentials, verified
        self._new_credentials: list[Credentials] = []
        self._new_verifications: list[Verification] = []

    @classmethod
    async def open(cls, stores: Stores, sign_ups: Sequence[SignUp]) -> "SignUpBatch":
        """Lock the invites, then the users; load credentials and verifications."""
        redemptions = [sign_up.redemption for sign_up in sign_ups]
        user_ids = {redemption.user_id for redemption in redemptions}
        seats = await Seats.open(stores, redemptions)
        users = await stores.users.lock(user_ids)
        holders = await holders_of(stores, [sign_up.profile for sign_up in sign_ups])
        credentials = await stores.directory.find(user_ids)
        users_batch = UserBatch(users, holders, newcomers=user_ids - users.keys(), at=redemptions[0].at)
        return cls(seats, users_batch, credentials, await stores.verifications.verified(user_ids))

    def complete(self, sign_up: SignUp) -> SignedUp | Failure:
        """Decide one sign-up; the refusals of the seat come first."""
        redemption = sign_up.redemption
        user = self._users[redemption.user_id]
        if user.deleted_at is not None:
            return UserDeleted()
        try:
            invite, use = self._seats.decide(redemption)
        except Failure as failure:
            return failure
        if self._seats.holds(use):
            return SignedUp()  # an earlier attempt committed it, and its answer was lost
        if redemption.user_id in self._credentials:
            return AlreadyUsed("You have already signed up with an invite code")
        taken = self._users.refusal(user.user_id, sign_up.profile)
        if taken is not None:
            return taken
        self._seats.keep(invite, use)
        self._users.create(user.user_id)
        self._users.keep(user.merged_with(sign_up.profile))
        self._enrol(sign_up)
        return SignedUp()

    def _enrol(self, sign_up: SignUp) -> None:
        user_id, at = sign_up.redemption.user_id, sign_up.redemption.at
        self._credentials[user_id] = Credentials(user_id, sign_up.password_hash, at)
        self._new_credentials.append(self._credentials[user_id])
        if sign_up.phone_verified and user_id not in self._verified:
            self._verified.add(user_id)
            self._new_verifications.append(Verification(user_id, "token", at))

    @property
    def newly_verified(self) -> list[UserId]:
        """The users whose phone was verified by this batch."""
        return [verification.user_id for verification in self._new_verifications]

    async def record(self, stores: Stores) -> None:
        """Store the decisions, with one statement for each table."""
        await self._seats.record(stores)
        await self._users.store(stores)
        if self._new_credentials:
            await stores.directory.enrol(self._new_credentials)
        if self._new_verifications:
            await stores.verifications.record(self._new_verifications)
