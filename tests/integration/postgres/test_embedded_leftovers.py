"""Files that an earlier start, an earlier version or a power cut left in the embedded server's directory."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tallystick.adapters.embedded.cluster import Cluster, ClusterError
from tests.integration.postgres.clusters import lives, remember


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a place for a data directory, and clear it away at the end."""
    yield tmp_path / "data"
    shutil.rmtree(tmp_path)


async def test_a_cluster_that_was_left_half_made_is_made_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "initdb").write_text("#!/bin/sh\nmkdir data\necho 18 > data/PG_VERSION\necho no room\nexit 1\n")
    (broken / "initdb").chmod(0o755)
    cluster = Cluster(folder)
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "_binaries", broken)
        with pytest.raises(ClusterError, match=f"the database could not be made; see {folder}/postgres.log"):
            cluster.start()
        cluster.stop()
    assert (folder / "postgres.log").read_text() == "no room\n"
    assert (folder / "postgres.new" / "data" / "PG_VERSION").exists()
    half = cluster.password

    cluster.start()
    try:
        await remember(cluster, "made anew")
    finally:
        cluster.stop()

    assert cluster.password != half
    assert not (folder / "postgres.new").exists()


def test_a_cluster_of_another_version_is_refused_with_what_to_do(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("17\n")
    cluster = Cluster(folder)

    with pytest.raises(
        ClusterError, match=r"made by PostgreSQL 17, and this is 18: 'tallystick backup' with the old version"
    ):
        cluster.start()
    cluster.stop()


def test_a_server_that_cannot_start_is_an_error_that_names_the_log(cluster_folder: Path) -> None:
    cluster = Cluster(cluster_folder, options={"max_connections": "many"})

    with pytest.raises(ClusterError, match=f"the database did not start; see {cluster_folder}/postgres.log"):
        cluster.start()

    cluster.stop()
    assert 'invalid value for parameter "max_connections"' in (cluster_folder / "postgres.log").read_text()


@pytest.fixture
def somebody(cluster: Cluster, cluster_folder: Path) -> Iterator[psutil.Process]:
    """Return a process that has nothing to do with us, and that our server's file names.

    As after a power cut, or in a container that was killed: process ids begin anew and are given to others.
    """
    cluster.start()
    file = cluster_folder / "postgres" / "postmaster.pid"
    left = file.read_text().splitlines()
    cluster.stop()
    with subprocess.Popen(["sleep", "600"]) as process:
        file.write_text("\n".join([str(process.pid), *left[1:]]) + "\n")
        yield psutil.Process(process.pid)
        process.kill()
    file.unlink(missing_ok=True)


async def test_a_file_that_names_somebody_elses_process_does_not_keep_it_from_starting(
    somebody: psutil.Process, cluster: Cluster
) -> None:
    assert not cluster.is_ready()

    cluster.start()
    try:
        await remember(cluster, "after the power cut")
    finally:
        cluster.stop()


def test_stopping_spares_somebody_elses_process(somebody: psutil.Process, cluster: Cluster) -> None:
    cluster.stop()
    cluster.crash()

    assert lives(somebody)
