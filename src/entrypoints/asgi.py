"""The application for other ASGI servers. Settings come from the environment; migrate the database beforehand."""

from functools import partial

from tallystick.adapters.telemetry.logs import configure
from tallystick.entrypoints.http.listening import listen_for_metrics
from tallystick.entrypoints.server import Server
from tallystick.entrypoints.settings import SettingsError, load, require_secrets
from tallystick.entrypoints.wiring import build

settings = load()
if settings.is_embedded:
    raise SettingsError("DATABASE_URL is needed: only `tallystick serve` runs a database of its own")
require_secrets(settings)
configure(settings.log_level)
app = Server(
    partial(build, settings, "postgres"),
    listen_for_metrics(settings),
    drain_delay_seconds=settings.drain_delay_seconds,
)
