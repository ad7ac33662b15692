"""Entries of the ledger as every route shows them."""

from tallystick.domain.exports import EntryView
from tallystick.entrypoints.http.pages import Page


class Entries(Page[EntryView], frozen=True):
    """A page of entries, newest first."""
