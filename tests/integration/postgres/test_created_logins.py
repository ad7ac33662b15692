"""The logins that docker/postgres/create-logins.sh, docs/operations.md and the embedded server create are the same."""

import os
import re
import subprocess
from typing import NamedTuple

from tallystick.adapters.embedded.cluster import Cluster, binaries
from tallystick.adapters.embedded.provision import SERVICE, provision
from tests.integration.postgres.clusters import empty
from tests.integration.postgres.sessions import session
from tests.pages.files import DOCS

SCRIPT = (DOCS.parent / "docker/postgres/create-logins.sh").read_text(encoding="utf-8")
_PASSWORD = re.compile(r"PASSWORD (?:'\.\.\.'|:'\w+')")
LOGINS = """
SELECT
    r.rolname AS name,
    concat_ws(' ', r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication,
        r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil, p.rolpassword IS NOT NULL) AS powers,
    ARRAY(
        SELECT concat_ws(' ', m.roleid::regrole, m.admin_option, m.inherit_option, m.set_option)
        FROM pg_auth_members AS m WHERE m.member = r.oid ORDER BY 1
    ) AS memberships,
    ARRAY(SELECT datname::text FROM pg_database WHERE datdba = r.oid ORDER BY 1) AS databases,
    coalesce((SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0), '{}') AS settings
FROM pg_roles AS r
INNER JOIN pg_authid AS p ON p.oid = r.oid
WHERE r.rolname !~ '^(pg_|postgres$)'
"""
"""Each login and role, with the fields of `Login`."""


class Login(NamedTuple):
    """The powers, memberships, databases and settings of a login or a role."""

    powers: str
    memberships: list[str]
    databases: list[str]
    settings: list[str]


def statements(text: str) -> list[str]:
    """Return the statements of a text, without passwords."""
    return [_PASSWORD.sub("PASSWORD", line) for line in text.splitlines() if line.endswith(";")]


def test_the_page_has_the_statements_of_the_script() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    shown = page.partition("Run these statements once")[2].partition("```sql\n")[2].partition("```")[0]
    script = SCRIPT.partition("<<'SQL'\n")[2].partition("\nSQL")[0]

    assert len(statements(script)) > 5
    assert statements(shown) == statements(script)


async def test_the_embedded_server_has_the_logins_of_the_script(bare_server: Cluster) -> None:
    run(bare_server, SCRIPT)
    by_script = await logins(bare_server)
    await empty(bare_server)
    await provision(bare_server.dsn("postgres", "postgres"), password="secret", service_password="other secret")
    embedded = await logins(bare_server)
    await empty(bare_server)

    # The embedded server also stores the settings that the service sends: docker/pgbouncer/login.sql does for others.
    assert set(by_script[SERVICE].settings) < set(embedded[SERVICE].settings)
    assert {name: each[:3] for name, each in by_script.items()} == {name: each[:3] for name, each in embedded.items()}


def run(cluster: Cluster, script: str) -> None:
    """Run the script as docs/deploy.md does."""
    environment = {"PATH": f"{binaries()}:{os.environ['PATH']}", "PGHOST": str(cluster.socket_folder)}
    environment |= {"PGPASSWORD": cluster.password, "OWNER_PASSWORD": "secret", "SERVICE_PASSWORD": "other secret"}
    subprocess.run(["sh", "-s"], input=script, env=environment, text=True, check=True, capture_output=True)


async def logins(cluster: Cluster) -> dict[str, Login]:
    """Return the logins and roles of a server by name."""
    async with session(cluster.dsn("postgres", "postgres")) as superuser:
        return {row["name"]: Login(*list(row.values())[1:]) for row in await superuser.fetch(LOGINS)}
