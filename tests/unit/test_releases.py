"""Releases: the sources of each are kept, so that upgrades from it are tested."""

from pathlib import Path

from tests.processes.releases import ROOT, archive_of, keep, released, unpacked


def test_the_sources_of_every_release_are_kept() -> None:
    """Keep them by `python -m tests.processes.releases`, from a checkout of the release."""
    assert released()[-1] == "0.1.0"
    assert [version for version in released() if not archive_of(version).exists()] == []


def test_a_kept_version_is_unpacked_with_all_its_sources(tmp_path: Path) -> None:
    keep(tmp_path / "kept.tar.xz")

    unpacked(tmp_path / "kept.tar.xz", tmp_path / "version")

    def sources(folder: Path) -> set[str]:
        files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path.relative_to(folder)) for path in files}

    assert sources(tmp_path / "version/tallystick") == sources(ROOT / "src")
