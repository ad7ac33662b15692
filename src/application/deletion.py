"""Deletion of users, by administrators and from the command line."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tallystick.application.erasures import EraseTraces, erase_single_rows
from tallystick.application.transactions import Stores, Transactions
from tallystick.application.users import UserBatch, lock_or_create
from tallystick.domain.refusals import Failure
from tallystick.domain.users import User, UserId, UserNotFound


class Deletion(msgspec.Struct, frozen=True):
    """Delete a user."""

    user_id: UserId
    at: datetime


class Deleted(msgspec.Struct, frozen=True):
    """A deleted user, and the time of the deletion."""

    user_id: UserId
    deleted_at: datetime
    """The time of the deletion, of the first one where it was repeated."""


class DeleteUsers:
    """Mark users as deleted and erase what names them; then erase their rows in steps.

    A user who was deleted before keeps the time of that deletion. UserNotFound where no row names the id: a user who is
    staged by a backfill, or was given something before the first request, is created and deleted, so that no later
    import creates them.
    """

    def __init__(self, transactions: Transactions, erase: EraseTraces) -> None:
        self._transactions, self._erase = transactions, erase

    async def __call__(self, deletions: Sequence[Deletion]) -> list[Deleted | Failure]:
        async with self._transactions.begin() as stores:
            users = await _lock_named_users(stores, {deletion.user_id for deletion in deletions}, deletions[0].at)
            users_batch, since = UserBatch(users, users.values(), at=deletions[0].at), dict[UserId, datetime]()
            for deletion in deletions:
                user = users.get(deletion.user_id)
                if user is not None:
                    users_batch.keep(users_batch[user.user_id].deleted(deletion.at))
                    since[user.user_id] = users_batch[user.user_id].deleted_at or deletion.at
            await users_batch.store(stores)
            # Also users who were deleted before: a request in flight may have stored rows after their deletion.
            await erase_single_rows(stores, since, deletions[0].at)
        await self._erase.begin(since, deletions[0].at)
        return [_outcome(deletion.user_id, since) for deletion in deletions]


async def _lock_named_users(stores: Stores, user_ids: set[UserId], at: datetime) -> dict[UserId, User]:
    """Lock and return the users whom any row names; a mistyped id does not create a user."""
    users = await stores.users.lock(user_ids)
    if unseen := user_ids - users.keys():
        users |= await lock_or_create(stores, await stores.users.named(unseen), at)
    return users


def _outcome(user_id: UserId, since: dict[UserId, datetime]) -> Deleted | Failure:
    return Deleted(user_id, since[user_id]) if user_id in since else UserNotFound()
