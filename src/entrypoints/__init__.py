"""Entrypoints: HTTP, the command line, the background worker, and the one file that wires everything."""
