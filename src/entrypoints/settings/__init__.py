"""Settings: every one of them is read from the environment once, and checked before anything starts."""

from tallystick.entrypoints.settings.checks import require_secrets
from tallystick.entrypoints.settings.environment import load
from tallystick.entrypoints.settings.fields import Settings, SettingsError, Store, variable

__all__ = ["Settings", "SettingsError", "Store", "load", "require_secrets", "variable"]
