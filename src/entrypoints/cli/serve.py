"""`tallystick serve`: run the service in the foreground."""

import gc
import os
import signal
import socket
import sys
import tempfile
from functools import partial
from pathlib import Path

import msgspec
import rich_click as click
import uvicorn
from dishka import AsyncContainer

from tallystick.adapters.telemetry.logs import configure, logger
from tallystick.entrypoints.cli.data_directory import with_secrets
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.notes import notes
from tallystick.entrypoints.cli.terminal import ERR, OUT, refuse
from tallystick.entrypoints.http.listening import listen, listen_for_metrics
from tallystick.entrypoints.settings import Settings, Store, load, require_secrets

_BACKLOG = 2048
_COLLECTOR_THRESHOLDS = (20_000, 20, 50)
_KEEP_ALIVE_SECONDS = 75


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    envvar="PORT",
    show_envvar=True,
    type=click.IntRange(0, 65535),
    help="Port; 0 takes a free one. Platforms that choose the port name it in PORT.",
)
@click.option(
    "--store",
    default="postgres",
    show_default=True,
    type=click.Choice(["postgres", "memory"]),
    help="The store of all data; memory ends with the process.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that serve.")
def serve(host: str, port: int, store: Store, workers: int) -> None:
    """Serve the API until SIGTERM or Ctrl-C.

    Without DATABASE_URL it starts a PostgreSQL of its own in TALLYSTICK_DATA_DIR, and keeps generated secrets there.
    """
    settings = load()
    if store == "memory" and workers > 1:
        refuse("--store memory lives in one process; leave --workers at 1", ExitStatus.WRONG)
    # During the start a signal ends the program. Later the server handles it, and raises it again once it has drained.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    if not settings.is_embedded:
        require_secrets(settings)
    listener = listen(host, port, chosen_by="--host and --port")
    metrics_listener = listen_for_metrics(settings)
    # Secrets are generated once the server can listen: tokens signed with unused secrets would be refused everywhere.
    settings = with_secrets(settings, may_create=True)
    base = settings.public_base_url or _address(host, listener)
    settings = msgspec.structs.replace(settings, public_base_url=base)
    if workers > 1:
        for note in notes(settings, workers=workers):
            ERR.print(f"[yellow]warning:[/] {note.reason}")
    if settings.is_embedded:
        OUT.print(f"data directory: {Path(settings.data_dir).resolve()}", markup=False)
    if store == "memory":
        _run(settings, store, listener, metrics_listener, workers)
        return
    from tallystick.entrypoints.cli.served_database import served_database  # noqa: PLC0415  memory needs no driver

    with served_database(settings) as connected:
        _run(connected, store, listener, metrics_listener, workers)


def graph(settings: Settings, store: Store) -> AsyncContainer:
    """Return the graph of one process."""
    from tallystick.entrypoints.wiring import build  # noqa: PLC0415  a third of a second that no other command needs

    configure(settings.log_level)
    container = build(settings, store)
    # Requests leave few reference cycles, and the objects of the start live as long as the process.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)
    return container


def _run(
    settings: Settings, store: Store, listener: socket.socket, metrics_listener: socket.socket | None, workers: int
) -> None:
    from tallystick.adapters.telemetry.metrics import forget_worker  # noqa: PLC0415  as above
    from tallystick.entrypoints.http.internals import run_workers  # noqa: PLC0415  as above
    from tallystick.entrypoints.http.protocol import HttpProtocol  # noqa: PLC0415  as above
    from tallystick.entrypoints.server import Server  # noqa: PLC0415  as above

    config = uvicorn.Config(
        Server(partial(graph, settings, store), metrics_listener, drain_delay_seconds=settings.drain_delay_seconds),
        interface="asgi3",
        workers=workers,
        loop="uvloop",
        http=HttpProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    configure(settings.log_level)
    # A client that reads the address may connect at once; it is answered when the graph is built.
    listener.listen(_BACKLOG)
    OUT.print(f"Tallystick listens on {_address('', listener)}  ({store}; documentation at /schema)")
    if metrics_listener is not None:
        metrics_listener.listen(_BACKLOG)
        OUT.print(f"Measurements are at {_address('', metrics_listener)}/metrics")
    sys.stdout.flush()
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
    else:
        with tempfile.TemporaryDirectory(prefix="tallystick-metrics-") as folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder

            def replaced(process_id: int) -> None:
                logger().warning("worker replaced", process=process_id)
                forget_worker(process_id)

            run_workers(config, listener, ended=replaced)


def _address(host: str, listener: socket.socket) -> str:
    bound, port = listener.getsockname()[:2]
    shown = host or bound
    if shown in {"0.0.0.0", "::"}:  # noqa: S104  shown, not bound
        shown = "127.0.0.1"
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
