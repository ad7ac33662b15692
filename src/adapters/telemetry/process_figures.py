"""Figures of the process, as the operating system has them."""

import contextlib

import psutil

from tallystick.application.ports import Metrics


def watch_process(metrics: Metrics) -> None:
    """Let memory, open files and the start of this process be measured."""
    process = psutil.Process()
    metrics.watch("process_resident_memory_bytes", lambda: process.memory_info().rss)
    metrics.watch("process_start_time_seconds", process.create_time)
    with contextlib.suppress(AttributeError):  # Windows has handles instead
        metrics.watch("process_open_files", process.num_fds)
