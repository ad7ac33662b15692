"""The wheel: installed beside a project that has layers of its own, from the checkout and from the source archive."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.processes.service import clean_environment

ROOT = Path(__file__).parents[2]
LAYERS = {"domain", "application", "adapters", "entrypoints"}
SHOP = """
import asyncio
from datetime import UTC, datetime

import application.shop
import domain.basket
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application.credits import Grant, GrantCredits
from tallystick.application.idempotency import AnswerOnce, Keyed
from tallystick.application.rewards import OfferReward, OfferRewards, Order, PurchaseRewards
from tallystick.domain.rewards import Reward

assert domain.basket.OWN and application.shop.OWN
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def main() -> None:
    transactions, once = MemoryTransactions(), AnswerOnce(lambda outcome, key: None)
    reward = Reward("hat", "shop", "A hat", None, 30, True, NOW)
    await OfferRewards(transactions, once)([Keyed(OfferReward(reward))])
    await GrantCredits(transactions, once)([Keyed(Grant("ada", 100, "welcome", "ada", "staff", "c", NOW))])
    (bought,) = await PurchaseRewards(transactions, once)([Keyed(Order("ada", "hat", "order", "c", NOW))])
    print(bought.balance_before, bought.balance_after)


asyncio.run(main())
"""


def run(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def hatchling(folder: Path, source: Path, target: str) -> Path:
    """Build a distribution and return it."""
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    (built,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module", params=["the checkout", "the source archive"])
def wheel(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Return a wheel that was built from there."""
    folder = tmp_path_factory.mktemp("dist")
    if request.param == "the checkout":
        return hatchling(folder / "wheel", ROOT, "wheel")
    with tarfile.open(hatchling(folder / "sdist", ROOT, "sdist")) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.glob("tallystick-*")
    return hatchling(folder / "wheel", unpacked, "wheel")


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a new environment with the wheel, and with what the wheel needs."""
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=ROOT)
    python = environment / "bin/python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=ROOT).strip())
    # The packages of this environment, but for what it installed as editable: links of a linked folder do not count.
    needed = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (packages / "needed.pth").write_text(f"{needed}\n", encoding="utf-8")
    installer: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
    ]
    run(*installer, "--force-reinstall", wheel, cwd=ROOT)
    return python


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a team's project with a `domain` and an `application` of its own."""
    for layer, module in (("domain", "basket"), ("application", "shop")):
        (tmp_path / layer).mkdir()
        (tmp_path / layer / "__init__.py").touch()
        (tmp_path / layer / f"{module}.py").write_text("OWN = True\n", encoding="utf-8")
    return tmp_path


def test_it_holds_one_package_with_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"tallystick"}
    assert {f"tallystick/{layer}/__init__.py" for layer in LAYERS} <= set(names)
    checkout = (path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {f"tallystick/{path.relative_to(ROOT / 'src')}" for path in checkout} <= set(names)
    assert "tallystick/py.typed" in names


def test_a_reward_is_bought_beside_layers_of_a_teams_own(python: Path, project: Path) -> None:
    (project / "shop.py").write_text(SHOP, encoding="utf-8")

    assert run(python, "shop.py", cwd=project) == "100 70\n"


def test_its_command_runs_where_a_project_is_on_the_path(python: Path, project: Path) -> None:
    environment = clean_environment({"PYTHONPATH": str(project), "TALLYSTICK_JWT_SECRET": "a secret of the test alone"})

    for command in (["--help"], ["token", "--sub", "ada"]):
        assert run(python.parent / "tallystick", *command, cwd=project, environment=environment)
