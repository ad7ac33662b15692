"""Rules for every test."""

import gc
import os
import time

from tests.processes.service import obey_interrupts

FAR_FROM_UTC = "Pacific/Chatham"
"""A machine in UTC would not show where a local time is taken for UTC. Servers that tests start inherit the zone."""

obey_interrupts()
os.environ["TZ"] = FAR_FROM_UTC
time.tzset()


def pytest_collection_finish() -> None:
    """Leave thousands of collected tests out of what the garbage collector looks through."""
    gc.collect()
    gc.freeze()
