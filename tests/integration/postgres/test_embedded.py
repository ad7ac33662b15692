"""The embedded server's life: made, stopped, started again, left behind, adopted, crashed and recovered."""

import subprocess
import threading
from pathlib import Path

import asyncpg
import pytest

from tallystick.adapters.embedded.cluster import Cluster, ClusterInUse
from tests.integration.postgres.clusters import lives, postmaster, remember, remembered, start_in_a_run_that_is_killed


class TestStartAndStop:
    async def test_stored_rows_are_there_after_a_stop_and_a_start(self, cluster: Cluster, cluster_folder: Path) -> None:
        cluster.start()
        await remember(cluster, "before the stop")
        cluster.stop()
        assert not cluster.is_ready()

        again = Cluster(cluster_folder)
        again.start()
        try:
            assert "before the stop" in await remembered(again)
        finally:
            again.stop()

    async def test_it_asks_for_the_password(self, cluster: Cluster) -> None:
        cluster.start()

        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(cluster.dsn("postgres", "postgres", "a guess"))

    def test_it_listens_on_its_socket_only(self, cluster: Cluster, cluster_folder: Path) -> None:
        cluster.start()

        assert postmaster(cluster_folder).net_connections("tcp") == []

    def test_a_stop_leaves_no_process_and_lets_go_of_the_directory(
        self, cluster: Cluster, cluster_folder: Path
    ) -> None:
        cluster.start()
        server = postmaster(cluster_folder)
        family = [server, *server.children(recursive=True)]
        assert len(family) > 1

        cluster.stop()

        assert [process for process in family if lives(process)] == []
        successor = Cluster(cluster_folder)
        successor.start()
        successor.stop()

    def test_stopping_what_was_never_started_does_nothing(self, tmp_path: Path) -> None:
        Cluster(tmp_path / "data").stop()

        assert list(tmp_path.iterdir()) == []


class TestOwnership:
    async def test_a_server_that_a_killed_run_left_is_adopted(self, cluster: Cluster, cluster_folder: Path) -> None:
        start_in_a_run_that_is_killed(cluster_folder)
        left, written = postmaster(cluster_folder), (cluster_folder / "postgres.log").read_text()

        cluster.start()

        assert postmaster(cluster_folder) == left
        assert (cluster_folder / "postgres.log").read_text() == written  # nobody tried to start another one
        await remember(cluster, "adopted")
        cluster.stop()
        assert not lives(left)

    def test_a_server_that_was_left_while_it_recovers_is_waited_for(
        self, cluster: Cluster, cluster_folder: Path
    ) -> None:
        start_in_a_run_that_is_killed(cluster_folder)
        left = postmaster(cluster_folder)
        say(cluster_folder, "starting")
        recovery = threading.Timer(1.0, say, (cluster_folder, "ready"))
        recovery.start()

        try:
            cluster.start()
        finally:
            recovery.join()

        assert postmaster(cluster_folder) == left

    def test_a_second_owner_is_refused_with_what_to_do(self, cluster: Cluster, cluster_folder: Path) -> None:
        cluster.start()

        with pytest.raises(ClusterInUse, match=f"another tallystick uses {cluster_folder}; stop it, or choose another"):
            Cluster(cluster_folder).start()

        assert cluster.is_ready()

    def test_a_second_owner_of_another_process_is_refused_too(self, cluster: Cluster, cluster_folder: Path) -> None:
        cluster.start()

        with pytest.raises(subprocess.CalledProcessError) as refused:
            start_in_a_run_that_is_killed(cluster_folder)

        assert b"ClusterInUse" in refused.value.stderr
        assert cluster.is_ready()

    def test_a_process_that_was_refused_may_own_it_once_the_first_has_stopped(
        self, cluster: Cluster, cluster_folder: Path
    ) -> None:
        cluster.start()
        second = Cluster(cluster_folder)
        with pytest.raises(ClusterInUse):
            second.start()
        cluster.stop()

        second.start()

        assert second.is_ready()
        second.stop()


class TestCrashes:
    async def test_a_crash_loses_nothing_that_was_committed(self, cluster: Cluster, cluster_folder: Path) -> None:
        cluster.start()
        await remember(cluster, "before the crash")
        before = postmaster(cluster_folder)

        cluster.crash()
        assert not cluster.is_ready()
        cluster.revive()

        assert "before the crash" in await remembered(cluster)
        assert postmaster(cluster_folder) != before
        assert "was interrupted; last known up" in (cluster_folder / "postgres.log").read_text()

    def test_a_server_that_lives_is_not_revived(self, cluster: Cluster, cluster_folder: Path) -> None:
        cluster.start()
        before = postmaster(cluster_folder)

        cluster.revive()

        assert postmaster(cluster_folder) == before


def say(folder: Path, status: str) -> None:
    """Let the server's file say how far it has come; the server itself reads only who wrote it."""
    file = folder / "postgres" / "postmaster.pid"
    if file.exists():
        lines = file.read_text().splitlines()
        file.write_text("\n".join([*lines[:7], status.ljust(8)]) + "\n")
