"""The role of the service and the login that assumes it: neither may have more power than the service needs."""

from collections.abc import Mapping

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements

_SQL = Statements.load("logins")

_POWERS: Mapping[str, str] = {
    "is_superuser": "is a superuser or may become one",
    "is_owner": "owns the schema or the database, or may become their owner",
    "is_above_policies": "may bypass row level security",
    "may_create_roles": "may create roles",
    "may_replicate": "may replicate the database",
    "may_write_all": "may write every table or the server's files",
}
"""Powers that a login must not have, the first of which is reported: a superuser has all of the later ones too."""


async def role_faults(connection: Connection) -> list[str]:
    """Return why the current role is not the role of the service, or is not restricted by row level security."""
    row = await connection.fetchrow(_SQL.role)
    if row is None or not row["is_service"]:
        return ["the service does not run as tallystick_app"]
    return ["the role tallystick_app is not restricted by row level security"] if row["is_above_policies"] else []


async def login_faults(connection: Connection) -> list[str]:
    """Return why the login, whatever its current role is, has more power than the service needs."""
    row = await connection.fetchrow(_SQL.login)
    if row is None:
        raise AssertionError("an aggregate without GROUP BY returns a row")
    powers = [description for power, description in _POWERS.items() if row[power]]
    if not powers:
        return []
    advice = (
        "connect as a login that is a member of tallystick_app and of nothing else, with the owner in "
        "DATABASE_DIRECT_URL, or set TALLYSTICK_SINGLE_LOGIN=accept"
    )
    return [f"the login of the service {powers[0]}: {advice}"]
