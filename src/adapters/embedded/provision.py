"""What a fresh server needs before it is migrated: an owner, a database, and the roles of the schema."""

import contextlib

import asyncpg

OWNER = "tallystick"
DATABASE = "tallystick"
_LOCK_ID = 0x7072_6F76  # "prov"
_ROLES = ("tallystick_app", "anon", "authenticated")


async def provision(superuser_dsn: str, *, password: str, database: str = DATABASE) -> None:
    """Create the owner, who is no superuser, their database and the roles, where they are missing."""
    connection = await asyncpg.connect(superuser_dsn, timeout=10)
    try:
        # Roles are rows of the whole server: whoever provides for another database at this moment waits.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_ID)
        already_there = contextlib.suppress(
            asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError, asyncpg.DuplicateDatabaseError
        )
        with already_there:
            await connection.execute(f"CREATE ROLE {OWNER} LOGIN NOINHERIT")
        for role in _ROLES:
            with already_there:
                await connection.execute(f"CREATE ROLE {role} NOLOGIN")
        # Passwords are of our own making and hold no quote.
        await connection.execute(f"ALTER ROLE {OWNER} PASSWORD '{password}'")
        await connection.execute(f"GRANT tallystick_app TO {OWNER}")
        with already_there:
            await connection.execute(f'CREATE DATABASE "{database}" OWNER {OWNER}')
    finally:
        await connection.close()
