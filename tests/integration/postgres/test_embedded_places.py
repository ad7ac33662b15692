"""Where the embedded server lives, as whom it runs, and who may look at its files."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

import tallystick.adapters.embedded.cluster
from tallystick.adapters.embedded import unprivileged
from tallystick.adapters.embedded.cluster import Cluster, ClusterError
from tallystick.adapters.embedded.unprivileged import Identity, NoUnprivilegedUser, identity_for
from tests.integration.postgres.clusters import postmaster, remember, remembered
from tests.integration.postgres.sessions import session

NOBODY = pwd.getpwnam("nobody").pw_uid
BINARIES = tallystick.adapters.embedded.cluster.binaries()


def without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprivileged, "namespaces_work", lambda: False)


@pytest.fixture
def umask() -> Iterator[None]:
    """Give back the mask for new files that a test sets."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may pass."""
    folder = an_open_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def deep_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder whose path is too long for a socket."""
    top = tmp_path_factory.mktemp("deep")
    yield top / ("a" * 60) / ("b" * 60)
    shutil.rmtree(top)


def an_open_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tallystick-", dir="/var/tmp"))
    folder.chmod(0o711)
    return folder


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """Return where the server's programs are, for everybody: the checkout may be in a folder that is closed."""
    if all(mode(folder) & 0o001 for folder in (BINARIES, *BINARIES.parents)):
        yield BINARIES
        return
    folder = an_open_folder()
    package = BINARIES.parent.parent
    shutil.copytree(package, folder / package.name)
    shutil.copytree(f"{package}.libs", folder / f"{package.name}.libs")
    yield folder / package.name / BINARIES.relative_to(package)
    shutil.rmtree(folder)


class TestFiles:
    async def test_it_works_in_a_folder_that_nobody_else_can_enter_and_leaves_that_as_it_is(
        self, cluster: Cluster, cluster_folder: Path
    ) -> None:
        cluster_folder.parent.chmod(0o700)
        parents = {parent: mode(parent) for parent in cluster_folder.parents}

        cluster.start()

        await remember(cluster, "behind a closed door")
        assert {parent: mode(parent) for parent in parents} == parents

    @pytest.mark.usefixtures("umask")
    def test_however_generous_the_mask_nobody_else_reads_what_it_holds(self) -> None:
        os.umask(0)
        folder = Path(tempfile.mkdtemp())  # a short path, so that the socket's folder stands in it too
        cluster = Cluster(folder / "data")
        try:
            cluster.start()
            modes = {path.name: mode(path) for path in (folder / "data").iterdir()}
        finally:
            cluster.stop()
            shutil.rmtree(folder)

        assert modes == {
            "lock": 0o600,
            "postgres": 0o700,
            "postgres.log": 0o600,
            "postgres.password": 0o600,
            "run": 0o700,
        }

    async def test_stored_values_never_stand_in_the_log(self, cluster: Cluster, cluster_folder: Path) -> None:
        cluster.start()
        async with session(cluster.dsn("postgres", "postgres")) as connection:
            await connection.execute("CREATE TEMPORARY TABLE words (word text CONSTRAINT words_once UNIQUE)")
            with pytest.raises(asyncpg.UniqueViolationError, match="words_once"):
                await connection.execute("INSERT INTO words VALUES ('a secret'), ('a secret')")

        log = (cluster_folder / "postgres.log").read_text()
        assert "words_once" in log
        assert "a secret" not in log


class TestSockets:
    @pytest.fixture
    def deep(self, deep_folder: Path) -> Iterator[Cluster]:
        """Return a cluster whose path is too long for a socket."""
        cluster = Cluster(deep_folder)
        try:
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(cluster.socket_folder)

    async def test_a_long_path_puts_the_socket_under_the_temporary_folder(self, deep: Cluster) -> None:
        deep.start()

        await remember(deep, "deep down")
        assert deep.socket_folder.parent == Path(tempfile.gettempdir())
        assert mode(deep.socket_folder) == 0o700

    def test_two_long_paths_have_two_sockets(self, tmp_path: Path) -> None:
        folders = [tmp_path / ("a" * 80) / name for name in ("one", "two")]

        assert len({Cluster(folder).socket_folder for folder in folders}) == 2

    def test_a_short_path_keeps_the_socket_beside_the_data(self) -> None:
        assert Cluster(Path("/srv/tallystick")).socket_folder == Path("/srv/tallystick/run")

    def test_a_folder_that_somebody_opened_to_others_is_not_used_for_the_socket(self, deep: Cluster) -> None:
        """Its name under the temporary folder can be guessed: a process that creates it first could pose as it."""
        deep.socket_folder.mkdir()
        deep.socket_folder.chmod(0o777)

        with pytest.raises(ClusterError, match=str(deep.socket_folder)):
            deep.start()


class TestIdentities:
    def test_an_ordinary_user_runs_it_as_themselves(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)

        assert identity_for(tmp_path, BINARIES) == Identity()

    def test_root_runs_it_in_a_namespace(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(unprivileged, "namespaces_work", lambda: True)

        identity = identity_for(tmp_path / "not made yet", BINARIES)

        assert identity == Identity("namespace")
        assert identity.uid is None

    def test_root_without_namespaces_needs_folders_that_let_others_pass(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        without_namespaces(monkeypatch)
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        cluster = Cluster(closed / "data")

        with pytest.raises(NoUnprivilegedUser, match=f"{closed}/data can only be reached by root; start as another"):
            cluster.start()

        cluster.stop()
        assert mode(closed) == 0o700
        assert not (closed / "data" / "postgres").exists()


class TestAnotherUser:
    """The fallback of root without namespaces; an ordinary user runs the server as themselves."""

    @pytest.fixture(autouse=True)
    def forbidden(self, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        without_namespaces(monkeypatch)
        monkeypatch.setattr(tallystick.adapters.embedded.cluster, "binaries", lambda: programs)

    @pytest.mark.usefixtures("umask")
    async def test_the_server_runs_as_nobody_and_owns_its_files(self, open_folder: Path) -> None:
        expected = NOBODY if os.geteuid() == 0 else os.geteuid()
        cluster = Cluster(open_folder / "data")
        cluster.start()
        try:
            await remember(cluster, "as nobody")
            assert postmaster(open_folder / "data").uids() == (expected,) * 3
            assert (open_folder / "data" / "postgres").stat().st_uid == expected
            assert (open_folder / "data" / "postgres.password").stat().st_uid == os.geteuid()
            assert mode(open_folder / "data" / "postgres") == 0o700
        finally:
            cluster.stop()

    @pytest.mark.usefixtures("umask")
    async def test_files_of_another_user_stay_theirs_once_namespaces_work(
        self, open_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster = Cluster(open_folder / "data")
        cluster.start()
        await remember(cluster, "before namespaces worked")
        before = postmaster(open_folder / "data").uids()
        cluster.stop()
        monkeypatch.setattr(unprivileged, "namespaces_work", lambda: True)

        cluster.start()

        try:
            assert "before namespaces worked" in await remembered(cluster)
            assert postmaster(open_folder / "data").uids() == before
        finally:
            cluster.stop()

    @pytest.mark.usefixtures("umask")
    async def test_a_strict_mask_does_not_keep_its_settings_from_the_server(self, open_folder: Path) -> None:
        (open_folder / "strict").mkdir()
        os.umask(0o077)
        cluster = Cluster(open_folder / "strict")
        try:
            cluster.start()

            await remember(cluster, "settings were read")
            assert await remembered(cluster) == ["settings were read"]
        finally:
            cluster.stop()
