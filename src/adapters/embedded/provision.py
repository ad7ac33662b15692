"""Prepares a new server for migrations: two logins, a database, and the roles of the schema."""

import contextlib

import asyncpg

from tallystick.adapters.postgres.database import SERVICE_ROLE, PoolSettings, session_settings

OWNER = "tallystick"
SERVICE = "tallystick_service"
DATABASE = "tallystick"
_LOCK_ID = 0x7072_6F76  # "prov"
_ROLES = (SERVICE_ROLE, "anon", "authenticated")


async def provision(superuser_dsn: str, *, password: str, service_password: str, database: str = DATABASE) -> None:
    """Create the owner, who migrates, the login of the service, their database and the roles, where they are missing.

    Neither login is a superuser. The service's login owns nothing and is a member of tallystick_app alone. It has the
    role and the time-outs of the service as its own settings, so that a pooler may drop startup parameters.
    """
    connection = await asyncpg.connect(superuser_dsn, timeout=10)
    try:
        # Roles belong to the whole server: a second provision for another database waits here.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_ID)
        already_there = contextlib.suppress(
            asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError, asyncpg.DuplicateDatabaseError
        )
        for login in (f"{OWNER} LOGIN NOINHERIT", f"{SERVICE} LOGIN"):
            with already_there:
                await connection.execute(f"CREATE ROLE {login}")
        for role in _ROLES:
            with already_there:
                await connection.execute(f"CREATE ROLE {role} NOLOGIN")
        # The passwords are generated here and hold no quote.
        await connection.execute(f"ALTER ROLE {OWNER} PASSWORD '{password}'")
        await connection.execute(f"ALTER ROLE {SERVICE} PASSWORD '{service_password}'")
        await connection.execute(f"GRANT {SERVICE_ROLE} TO {OWNER}, {SERVICE}")
        for name, value in session_settings(PoolSettings()).items():
            await connection.execute(f"ALTER ROLE {SERVICE} SET {name} = '{value}'")
        with already_there:
            await connection.execute(f'CREATE DATABASE "{database}" OWNER {OWNER}')
    finally:
        await connection.close()
