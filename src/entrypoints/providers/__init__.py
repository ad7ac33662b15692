"""Providers: how the parts of the graph are made that need more than their constructor."""
