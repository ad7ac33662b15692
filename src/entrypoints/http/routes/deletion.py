"""Deletion of users by administrators."""

from litestar import Router, delete
from litestar.params import FromPath

from tallystick.application.deletion import Deleted, Deletion
from tallystick.application.group_commit import Single
from tallystick.application.ports import Clock
from tallystick.domain.users import UserId, UserNotFound, is_user_id
from tallystick.entrypoints.http.caller_guard import PERMISSION, CallerGuard
from tallystick.entrypoints.http.problems import FAILURES


def deletion_router(delete_one: Single[Deletion, Deleted], caller_guard: CallerGuard, clock: Clock) -> Router:
    """Return the route that deletes users."""

    @delete("/{user_id:str}", status_code=200, opt={PERMISSION: "admin:users", FAILURES: (UserNotFound,)})
    async def delete_user(user_id: FromPath[str]) -> Deleted:
        """Delete a user: personal data is erased, and the ledger stays. Safe to repeat."""
        if not is_user_id(user_id):
            raise UserNotFound
        return await delete_one(Deletion(UserId(user_id), clock.now()))

    return Router(
        "/api/admin/users", route_handlers=[delete_user], guards=[caller_guard.guard], tags=["Administration"]
    )
