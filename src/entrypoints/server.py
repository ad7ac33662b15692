"""The application with its lifespan: built at the start, not ready from SIGTERM on, closed in order at the end."""

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import FrameType
from typing import cast

from dishka import AsyncContainer
from litestar.enums import ScopeType
from litestar.types import ASGIApp, LifeSpanReceive, LifeSpanSend, Receive, Scope, Send

from tallystick import __version__
from tallystick.adapters.identity.jwks import JwksCache
from tallystick.adapters.open_files import raise_open_files
from tallystick.adapters.telemetry.logs import logger
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.adapters.telemetry.process_figures import watch_process
from tallystick.application.stream_hub import Hub, StreamLimits
from tallystick.application.topic_news import TopicNews
from tallystick.entrypoints.group_commits import GroupCommits
from tallystick.entrypoints.http.metrics_listener import serving
from tallystick.entrypoints.http.routes.operations import ReadinessProbe
from tallystick.entrypoints.providers.http import App, MetricsApp
from tallystick.entrypoints.worker.clicks import FlushClicks
from tallystick.entrypoints.worker.flags import FollowFlags
from tallystick.entrypoints.worker.looking import LookAtInvariants
from tallystick.entrypoints.worker.nightly import Nightly
from tallystick.entrypoints.worker.overlays import SweepOverlays
from tallystick.entrypoints.worker.trimming import Trimming
from tallystick.entrypoints.worker.upkeep import Upkeep
from tallystick.entrypoints.worker.vitals import Vitals

_ENDING_SECONDS = 3.0
"""How long queued commands may still run once the requests have ended, also where the database hangs."""
_Handler = Callable[[int, FrameType | None], object] | int | None


class Server:
    """An ASGI application that builds its graph at the start of the lifespan and closes it at the end."""

    def __init__(
        self,
        build: Callable[[], AsyncContainer],
        metrics_listener: socket.socket | None = None,
        *,
        drain_delay_seconds: int = 0,
    ) -> None:
        self._build, self._metrics_listener = build, metrics_listener
        self._drain_delay_seconds = drain_delay_seconds
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._live(cast("LifeSpanReceive", receive), cast("LifeSpanSend", send))
        elif self._app is None:
            raise RuntimeError("the application was not started: the server has to run the lifespan")
        else:
            await self._app(scope, receive, send)

    async def _live(self, receive: LifeSpanReceive, send: LifeSpanSend) -> None:
        await receive()
        limit = raise_open_files()
        container = self._build()
        _report_streams(await container.get(StreamLimits), limit)
        try:
            self._app = await container.get(App)
            commits = await container.get(GroupCommits)
            upkeep, follow = await container.get(Upkeep), await container.get(FollowFlags)
            nightly, clicks = await container.get(Nightly), await container.get(FlushClicks)
            trimming, news = await container.get(Trimming), await container.get(TopicNews)
            overlays, looks = await container.get(SweepOverlays), await container.get(LookAtInvariants)
            await follow.refresh()
            probe = await container.get(ReadinessProbe)
            await probe.reasons()  # it compares the clocks: nothing may be decided by a wrong one
            metrics = await container.get(PrometheusMetrics)
            metrics.watch("flags_age_seconds", follow.age_seconds)
            watch_process(metrics)
            vitals = await container.get(Vitals)
            background = [
                asyncio.create_task(upkeep.run(), name="upkeep"),
                asyncio.create_task(follow.run(), name="follow flags"),
                asyncio.create_task(nightly.run(), name="nightly"),
                asyncio.create_task(trimming.run(), name="trim logs"),
                asyncio.create_task(looks.run(), name="look at the invariants"),
                asyncio.create_task(clicks.run(), name="flush clicks"),
                asyncio.create_task(news.run(), name="follow topics"),
                asyncio.create_task(overlays.run(), name="end overlays"),
                asyncio.create_task(vitals.run(), name="vital signs"),
            ]
            published = await container.get(JwksCache | None)
            if published is not None:
                background.append(asyncio.create_task(published.run(), name="keep published keys fresh"))
            hub, loop = await container.get(Hub), asyncio.get_running_loop()

            _Drain(loop, self._drain_delay_seconds, probe.drain, hub.drain).handle_signals()
            _end_with_parent()
            async with AsyncExitStack() as listeners:
                if self._metrics_listener is not None:
                    await listeners.enter_async_context(
                        serving(await container.get(MetricsApp), self._metrics_listener)
                    )
                await send({"type": "lifespan.startup.complete"})
                logger().info("started", version=__version__, process=os.getpid())
                await receive()
            for task in background:
                task.cancel()
            await asyncio.gather(
                asyncio.wait(background, timeout=_ENDING_SECONDS), commits.close(grace_seconds=_ENDING_SECONDS)
            )
        finally:
            await container.close()
        logger().info("ended", process=os.getpid())
        await send({"type": "lifespan.shutdown.complete"})


def _report_streams(limits: StreamLimits, open_files: int) -> None:
    """Log the limits of this process, as a warning where it takes fewer streams than it could."""
    log = logger().info if limits.of_a_process == StreamLimits().of_a_process else logger().warning
    log("limit of open files", open_files=open_files, streams=limits.of_a_process)


class _Drain:
    """The end of a process: not ready from the first signal on, and ended after the delay, or by a second signal."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        delay_seconds: int,
        turn_red: Callable[[], None],
        end_streams: Callable[[], None],
    ) -> None:
        self._loop, self._delay_seconds = loop, delay_seconds
        self._turn_red, self._end_streams = turn_red, end_streams
        self._timer: asyncio.TimerHandle | None = None

    def handle_signals(self) -> None:
        """Drain at SIGTERM and SIGINT, and then call the handler of the ASGI server."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._before(signal.getsignal(number)))

    def _before(self, then: _Handler) -> Callable[[int, FrameType | None], None]:
        def handle(received: int, frame: FrameType | None) -> None:
            def end() -> None:
                self._loop.call_soon_threadsafe(self._end_streams)
                if callable(then):
                    then(received, frame)

            def log() -> None:
                logger().info("ending", signal=signal.Signals(received).name, delay_seconds=self._delay_seconds)

            self._turn_red()
            self._loop.call_soon_threadsafe(log)  # a handler of a signal may have interrupted a line of the log
            if self._delay_seconds:
                self._loop.call_soon_threadsafe(self._delay, end)
            else:
                end()

        return handle

    def _delay(self, end: Callable[[], None]) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._delay_seconds, end)
        else:
            self._timer.cancel()
            end()


def _end_with_parent() -> None:
    """Send SIGTERM to this worker when the process that started it has ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end with the parent", daemon=True).start()
