"""Rules for every test."""

import gc

from tests.processes.service import obey_interrupts

obey_interrupts()


def pytest_collection_finish() -> None:
    """Leave thousands of collected tests out of what the garbage collector looks through."""
    gc.collect()
    gc.freeze()
