"""Adapters: each folder implements ports with one technology."""
