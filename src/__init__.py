"""Tallystick: the self-hosted backend for everything that an app hands out and must count exactly once."""
