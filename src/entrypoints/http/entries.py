"""Entries of the ledger as every route shows them."""

from domain.exports import EntryView
from entrypoints.http.pages import Page


class Entries(Page[EntryView], frozen=True):
    """A page of entries, newest first."""
