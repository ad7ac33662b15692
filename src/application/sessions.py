"""Sign-in, sign-out and password changes: sessions start and end on every instance at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import Reads
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.identity import Credentials, Passwords
from tallystick.domain.refusals import Failure, Refusal, Unauthenticated
from tallystick.domain.sessions import ID_BYTES, LIFETIME, Session, SessionId, SessionKey, WrongPassword, surplus
from tallystick.domain.users import UserDeleted, UserId


class SignInRefused(Refusal):
    """The e-mail address and the password do not sign a user in; the reason is not given."""

    code = "SIGN_IN_REFUSED"

    def __init__(self) -> None:
        super().__init__("the e-mail address or the password is wrong")


class NewSession(msgspec.Struct, frozen=True):
    """Start a session, unless the password was changed since the check against this hash."""

    session: Session
    password_hash: str


class SignOut(msgspec.Struct, frozen=True):
    """End a session, or every session of its user."""

    session: SessionKey
    everywhere: bool


class PasswordChange(msgspec.Struct, frozen=True):
    """Replace a password and end every other session of the user."""

    session: SessionKey
    checked_hash: str | None
    """The hash that the current password was checked against; None where the password is wrong."""
    new_hash: str | None
    """None where the current password is wrong."""


class Done(msgspec.Struct, frozen=True):
    """The request took effect."""

    success: bool = True


class SignIn:
    """Check an e-mail address and a password, in the same time for known and unknown users, and start a session."""

    def __init__(
        self,
        reads: Reads,
        passwords: Passwords,
        start: Single[NewSession, Session],
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._reads, self._passwords, self._start = reads, passwords, start
        self._clock, self._randomness = clock, randomness

    async def __call__(self, email: str, password: str) -> Session:
        credentials = await self._reads(lambda stores: stores.directory.by_email(email))
        known = credentials.password_hash if credentials is not None else None
        if not await self._passwords.matches(password, known) or credentials is None or known is None:
            raise SignInRefused
        now = self._clock.now()
        session_id = SessionId(self._randomness.bytes(ID_BYTES).hex())
        return await self._start(NewSession(Session(credentials.user_id, session_id, now, now + LIFETIME), known))


class CheckPassword:
    """Check the current password of a user and hash the new one, before anything is locked."""

    def __init__(self, reads: Reads, passwords: Passwords) -> None:
        self._reads, self._passwords = reads, passwords

    async def __call__(self, session: SessionKey, *, current: str, new: str) -> PasswordChange:
        user_id = session.user_id
        credentials = (await self._reads(lambda stores: stores.directory.find([user_id]))).get(user_id)
        known = credentials.password_hash if credentials is not None else None
        matches = await self._passwords.matches(current, known)
        if not matches:
            return PasswordChange(session, None, None)
        return PasswordChange(session, known, await self._passwords.hashed(new))


class StartSessions:
    """Store new sessions; the oldest ones end where a user would have too many."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def __call__(self, commands: Sequence[NewSession]) -> list[Session | Failure]:
        async with self._transactions.begin() as stores:
            credentials, held = await _locked(stores, {command.session.user_id for command in commands})
            outcomes: list[Session | Failure] = []
            started: defaultdict[UserId, list[Session]] = defaultdict(list)
            for command in commands:
                user_id = command.session.user_id
                known = credentials.get(user_id)
                if known is None or known.password_hash != command.password_hash:
                    outcomes.append(SignInRefused())
                    continue
                started[user_id].append(command.session)
                outcomes.append(command.session)
            over = [s.key for user_id, new in started.items() for s in surplus(held[user_id], new)]
            await stores.sessions.end(over)
            await stores.sessions.start([session for new in started.values() for session in new])
        return outcomes


class EndSessions:
    """Sign users out: of one session, or of all of theirs."""

    def __init__(self, transactions: Transactions, once: AnswerOnce) -> None:
        self._transactions, self._once = transactions, once

    async def __call__(self, commands: Sequence[Keyed[SignOut]]) -> list[Done | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, commands, lambda fresh: self._end(stores, fresh))

    async def _end(self, stores: Stores, commands: Sequence[SignOut]) -> list[Done | Failure]:
        _, held = await _locked(stores, {command.session.user_id for command in commands})
        ended = {command.session for command in commands}
        ended |= {s.key for command in commands if command.everywhere for s in held[command.session.user_id]}
        await stores.sessions.end(ended)
        return [Done() for _ in commands]


class ChangePasswords:
    """Replace passwords; all other sessions of the user end."""

    def __init__(self, transactions: Transactions, once: AnswerOnce) -> None:
        self._transactions, self._once = transactions, once

    async def __call__(self, changes: Sequence[Keyed[PasswordChange]]) -> list[Done | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, changes, lambda fresh: self._change(stores, fresh))

    async def _change(self, stores: Stores, changes: Sequence[PasswordChange]) -> list[Done | Failure]:
        credentials, held = await _locked(stores, {change.session.user_id for change in changes})
        outcomes: list[Done | Failure] = []
        changed: dict[UserId, Credentials] = {}
        ended: set[SessionKey] = set()
        for change in changes:
            user_id = change.session.user_id
            living = {session.key for session in held[user_id]} - ended
            known = changed.get(user_id) or credentials.get(user_id)
            refusal = _refusal(change, known, living)
            outcomes.append(refusal or Done())
            if refusal is None and known is not None:
                changed[user_id] = msgspec.structs.replace(known, password_hash=change.new_hash)
                ended |= living - {change.session}
        await stores.directory.replace(list(changed.values()))
        await stores.sessions.end(ended)
        return outcomes


def _refusal(change: PasswordChange, known: Credentials | None, living: set[SessionKey]) -> Refusal | None:
    if known is None or known.password_hash is None:
        return UserDeleted()
    if change.session not in living:
        return Unauthenticated()  # signed out meanwhile
    # An earlier attempt of this request committed it: the hash is salted, so no other request has it.
    is_stored = known.password_hash == change.new_hash
    return None if is_stored or known.password_hash == change.checked_hash else WrongPassword()


async def _locked(
    stores: Stores, user_ids: set[UserId]
) -> tuple[Mapping[UserId, Credentials], Mapping[UserId, list[Session]]]:
    """Lock the credentials of users, which guard their sessions, and return both."""
    credentials = await stores.directory.lock(user_ids)
    held: defaultdict[UserId, list[Session]] = defaultdict(list)
    for session in await stores.sessions.find(user_ids):
        held[session.user_id].append(session)
    return credentials, held
