"""Rules for every test."""

from tests.processes.service import obey_interrupts

obey_interrupts()
