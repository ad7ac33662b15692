"""Sessions: sign-ins with a start and an end. A session that is not stored has ended."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, NewType, Protocol

import msgspec

from tallystick.domain.refusals import Refusal
from tallystick.domain.users import UserId

SessionId = NewType("SessionId", str)
"""32 hexadecimal digits of a CSPRNG. It proves nothing by itself: the token around it is signed."""

ID_BYTES = 16
LIFETIME = timedelta(days=7)
MAX_SESSIONS = 50
"""The largest number of sessions of a user; one more ends the oldest."""


class SessionKey(NamedTuple):
    """The key of a session."""

    user_id: UserId
    session_id: SessionId


class Session(msgspec.Struct, frozen=True):
    """One sign-in, as a cookie and as a bearer token alike."""

    user_id: UserId
    session_id: SessionId
    created_at: datetime
    expires_at: datetime

    @property
    def key(self) -> SessionKey:
        """The key of the session."""
        return SessionKey(self.user_id, self.session_id)


class SessionRequired(Refusal):
    """The caller sent a token of the identity provider, which ends its own sessions."""

    code = "SESSION_REQUIRED"

    def __init__(self) -> None:
        super().__init__("a session from sign-in is needed; the identity provider ends its own tokens")


class WrongPassword(Refusal):
    """The given current password is wrong."""

    code = "WRONG_PASSWORD"

    def __init__(self) -> None:
        super().__init__("the current password is wrong")


class Sessions(Protocol):
    """Sessions by user and id."""

    async def find(self, user_ids: Collection[UserId]) -> list[Session]:
        """Return the sessions of these users, oldest first."""

    async def living(self, keys: Collection[SessionKey]) -> set[SessionKey]:
        """Return the sessions that have not ended and whose users were not deleted."""

    async def start(self, sessions: Sequence[Session]) -> None:
        """Store sessions; one that is stored already stays as it is."""

    async def end(self, keys: Collection[SessionKey]) -> None:
        """Remove these sessions, where they are stored."""

    async def forget(self, *, before: datetime, limit: int) -> int:
        """Remove at most `limit` sessions that expired before that, and return how many."""


def surplus(held: Sequence[Session], starting: Sequence[Session]) -> list[Session]:
    """Return the oldest sessions of one user that have to end so that these can start."""
    known = {session.key for session in starting}
    others = [session for session in held if session.key not in known]
    return others[: max(0, len(others) + len(known) - MAX_SESSIONS)]
