"""The data directory of a server: the secrets that it generates and keeps."""

import base64
import secrets
from pathlib import Path

import msgspec

from tallystick.adapters.embedded.cluster import ClusterError
from tallystick.adapters.embedded.secret_files import kept_secret
from tallystick.adapters.webhooks.signatures import WebhookSecrets
from tallystick.entrypoints.settings import Settings

_SECRET_BYTES = 32


def with_secrets(settings: Settings, *, may_create: bool = False) -> Settings:
    """Return the settings with generated secrets in place of missing ones, kept in the data directory.

    With an ordinary database no secret is generated. ClusterError where the directory does not exist and must not be
    created.
    """
    if not settings.is_embedded:
        return settings
    folder = Path(settings.data_dir)
    if not may_create and not folder.is_dir():
        raise missing(folder)
    if not settings.jwt_secrets and settings.jwks_url is None:
        kept = kept_secret(folder / "jwt.secret", secrets.token_urlsafe(_SECRET_BYTES))
        settings = msgspec.structs.replace(settings, jwt_secrets=(kept,))
    if not settings.jwt_secrets and not settings.session_secrets:
        kept = kept_secret(folder / "session.secret", secrets.token_urlsafe(_SECRET_BYTES))
        settings = msgspec.structs.replace(settings, session_secrets=(kept,))
    if settings.webhook_secrets is None:
        key = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        kept = kept_secret(folder / "webhook.secret", f"whsec_{key}")
        settings = msgspec.structs.replace(settings, webhook_secrets=WebhookSecrets.parse(kept))
    return settings


def missing(folder: Path) -> ClusterError:
    """Return the error of a command that needs the data directory of a server and finds none."""
    return ClusterError(
        f"there is no data directory of a server in {folder.resolve()}: run this where 'tallystick serve' runs, set "
        "TALLYSTICK_DATA_DIR to its data directory, or set DATABASE_URL; 'tallystick serve' and 'tallystick migrate' "
        "create one"
    )
