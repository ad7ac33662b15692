"""Sessions in memory."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.sessions import Session, SessionKey, Sessions
from tallystick.domain.users import UserId


class MemorySessions(Sessions):
    """The sessions of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def find(self, user_ids: Collection[UserId]) -> list[Session]:
        found = [session for session in self._view.sessions.values() if session.user_id in user_ids]
        return sorted(found, key=lambda session: (session.created_at, session.session_id))

    async def living(self, keys: Collection[SessionKey]) -> set[SessionKey]:
        return {key for key in keys if key in self._view.sessions and not self._is_deleted(key.user_id)}

    async def start(self, sessions: Sequence[Session]) -> None:
        self._view.require_writable()
        for session in sessions:
            if session.created_at >= session.expires_at:
                raise ConstraintViolated("sessions_times_ordered")
            if session.key not in self._view.sessions:
                self._view.sessions.put(session.key, session)

    async def end(self, keys: Collection[SessionKey]) -> None:
        self._view.require_writable()
        for key in keys:
            self._view.sessions.remove(key)

    async def forget(self, *, before: datetime, limit: int) -> int:
        self._view.require_writable()
        over = [session.key for session in self._view.sessions.values() if session.expires_at < before][:limit]
        await self.end(over)
        return len(over)

    def _is_deleted(self, user_id: UserId) -> bool:
        user = self._view.users.get(user_id)
        return user is not None and user.deleted_at is not None
