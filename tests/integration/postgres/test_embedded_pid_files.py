"""The file in which PostgreSQL names its process: empty for a moment, half written, left behind, or somebody else's."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tallystick.adapters.embedded.cluster import Cluster, ClusterError
from tallystick.adapters.embedded.postmaster import FILE
from tests.integration.postgres.clusters import lives, postmaster, remember, start_in_a_run_that_is_killed


@pytest.fixture
def file(cluster_folder: Path) -> Path:
    """Return the file of the cluster under test."""
    return cluster_folder / "postgres" / FILE


@pytest.fixture
def left(cluster_folder: Path) -> psutil.Process:
    """Return a running server whose run was killed."""
    start_in_a_run_that_is_killed(cluster_folder)
    return postmaster(cluster_folder)


def begun(whole: str, how: str) -> str:
    """Return what is in the file before PostgreSQL has written all of it."""
    return {"empty": "", "half a pid": whole[:1], "only the pid": whole.split("\n", 1)[0]}[how]


@pytest.mark.parametrize("how", ["empty", "half a pid", "only the pid"])
def test_a_server_whose_file_is_not_written_yet_is_waited_for(
    left: psutil.Process, how: str, cluster: Cluster, cluster_folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = (cluster_folder / "postgres.log").read_text()
    whole = file.read_text()
    file.write_text(begun(whole, how))
    monkeypatch.setattr(time, "sleep", lambda _seconds: file.write_text(whole))

    cluster.start()

    assert postmaster(cluster_folder) == left
    assert (cluster_folder / "postgres.log").read_text() == log  # nobody tried to start another one


@pytest.mark.parametrize("content", ["", "1", "no number\n", "99999999999999999999\n", "-1\n"])
def test_a_file_that_no_server_wrote_to_the_end_does_not_keep_the_next_one_from_starting(
    content: str, cluster: Cluster, file: Path
) -> None:
    file.write_text(content)

    cluster.start()

    assert cluster.is_ready()


@pytest.mark.parametrize("content", ["", "1"])
def test_a_server_that_lives_is_not_revived_whatever_its_file_says(
    left: psutil.Process, content: str, cluster: Cluster, cluster_folder: Path, file: Path
) -> None:
    cluster.start()
    whole = file.read_text()
    file.write_text(content)

    try:
        assert not cluster.revive()
    finally:
        file.write_text(whole)

    assert postmaster(cluster_folder) == left


@pytest.mark.parametrize("content", ["", "1"])
def test_a_stop_finds_its_server_whatever_the_file_says(
    left: psutil.Process, content: str, cluster: Cluster, cluster_folder: Path, file: Path
) -> None:
    cluster.start()
    file.write_text(content)

    cluster.stop()

    assert not lives(left)
    successor = Cluster(cluster_folder)
    successor.start()
    successor.stop()


def test_a_server_that_ends_while_it_is_being_stopped_is_stopped(
    left: psutil.Process, cluster: Cluster, cluster_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start()

    def too_late(process: psutil.Process, _how: int) -> None:
        process.kill()
        process.wait()
        raise psutil.NoSuchProcess(process.pid)

    with monkeypatch.context() as patch:
        patch.setattr(psutil.Process, "send_signal", too_late)
        cluster.stop()

    assert not lives(left)
    successor = Cluster(cluster_folder)
    successor.start()
    successor.stop()


def test_a_server_that_cannot_be_stopped_does_not_keep_the_directory(
    left: psutil.Process, cluster: Cluster, cluster_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start()
    with monkeypatch.context() as patch:
        patch.setattr("tallystick.adapters.embedded.cluster.STOP_SECONDS", 0.0)
        left.suspend()
        with pytest.raises(ClusterError, match=f"the database does not end; see {cluster_folder}/postgres.log"):
            cluster.stop()
        left.resume()

    successor = Cluster(cluster_folder)
    successor.start()
    successor.stop()

    assert not lives(left)


def test_a_server_that_does_not_become_ready_is_named_and_no_second_one_is_started(
    left: psutil.Process, cluster: Cluster, cluster_folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, whole = (cluster_folder / "postgres.log").read_text(), file.read_text()
    file.write_text(begun(whole, "only the pid"))
    monkeypatch.setattr("tallystick.adapters.embedded.cluster.START_SECONDS", 0.0)

    with pytest.raises(ClusterError, match=rf"earlier run left \(process {left.pid}\) does not become ready"):
        cluster.start()

    file.write_text(whole)
    assert (cluster_folder / "postgres.log").read_text() == log


@pytest.fixture
def shell(cluster: Cluster, file: Path) -> Iterator[psutil.Process]:
    """Return a process that somebody started in the data directory, and that has the pid in the file by now."""
    cluster.start()
    written = file.read_text().splitlines()
    cluster.stop()
    with subprocess.Popen(["sleep", "600"], cwd=file.parent) as process:
        file.write_text("\n".join([str(process.pid), *written[1:]]) + "\n")
        yield psutil.Process(process.pid)
        process.kill()
    file.unlink(missing_ok=True)


async def test_a_shell_in_the_data_directory_is_not_taken_for_the_server(
    shell: psutil.Process, cluster: Cluster, cluster_folder: Path
) -> None:
    assert not cluster.is_ready()

    cluster.start()
    await remember(cluster, "beside a shell")
    server = postmaster(cluster_folder)
    cluster.stop()

    assert not lives(server)
    assert lives(shell)


def test_a_crash_spares_a_process_that_is_no_server(shell: psutil.Process, cluster: Cluster) -> None:
    cluster.crash()

    assert lives(shell)
