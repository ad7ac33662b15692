"""Tallystick: the self-hosted backend for everything that an app hands out and must count exactly once."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("tallystick")
"""The version that is installed."""
