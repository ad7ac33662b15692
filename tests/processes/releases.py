"""Released versions: their sources are kept in tests/releases, and run beside those of the checkout."""

import re
import shutil
import sys
import tarfile
import tomllib
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests/releases"
_RELEASE = re.compile(r"^## (\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}$", re.MULTILINE)
_RUN = "from {package}.cli.main import main; main()"
_PAGE = "entrypoints/http/swagger_ui"
"""The page of the documentation: it is large, nearly the same in every version, and not kept with a release."""


class Version(msgspec.Struct, frozen=True):
    """The sources of a version, in a folder that comes first among those where Python looks for packages."""

    folder: Path
    package: str = "tallystick.entrypoints"

    @property
    def program(self) -> tuple[str, ...]:
        """The beginning of its commands."""
        return (sys.executable, "-c", _RUN.format(package=self.package))

    @property
    def environment(self) -> dict[str, str]:
        """The variables that its commands need."""
        return {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}


THIS = Version(ROOT)


def released() -> list[str]:
    """Return the versions that CHANGELOG.md names, the newest first."""
    return _RELEASE.findall((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def archive_of(version: str) -> Path:
    """Return where the sources of a release are kept."""
    return FOLDER / f"{version}.tar.xz"


def keep(archive: Path) -> None:
    """Write an archive of the sources of the checkout."""

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        is_made = "__pycache__" in member.name or member.name.endswith(_PAGE)
        return None if is_made else member.replace(mtime=0, uid=0, gid=0, uname="", gname="", deep=False)

    with tarfile.open(archive, "w:xz", preset=9) as target:
        target.add(ROOT / "src", "tallystick", filter=wanted)


def unpacked(archive: Path, folder: Path) -> Version:
    """Unpack the sources of a version into an empty folder."""
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    # The packages of 0.1.0 had no common name.
    version = Version(folder, "entrypoints") if (folder / "entrypoints").exists() else Version(folder)
    entrypoints = folder.joinpath(*version.package.split("."))
    shutil.copytree(ROOT / "src" / _PAGE, entrypoints.parent / _PAGE)
    return version


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    keep(archive_of(project["version"]))
