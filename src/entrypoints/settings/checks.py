"""Checks of several settings together: contradictions, missing secrets, and secrets that must differ."""

import base64
import binascii
from collections.abc import Iterator
from importlib.util import find_spec

from tallystick.adapters.identity.tokens import PUBLISHED_ALGORITHMS, SECRET_ALGORITHMS
from tallystick.entrypoints.settings.fields import Settings, SettingsError, variable


def check(settings: Settings) -> None:
    """Refuse settings that contradict each other; SettingsError names the first of them."""
    if settings.is_embedded and settings.database_direct_url is not None:
        raise SettingsError("DATABASE_DIRECT_URL is the same database without a pooler: DATABASE_URL is needed too")
    if settings.otlp_endpoint is not None and not _has_exporter():
        raise SettingsError(f"{variable('otlp_endpoint')} needs the extra otel: pip install 'tallystick[otel]'")
    if 0 < settings.message_retention_days < settings.event_retention_days:
        raise SettingsError(
            f"{variable('message_retention_days')} is shorter than {variable('event_retention_days')}: messages are "
            "kept for at least as long as the events that announce them"
        )
    _check_algorithms(settings)
    _check_secrets_apart(settings)


def require_secrets(settings: Settings) -> None:
    """Check that a server on an ordinary database has its secrets; SettingsError names all that are missing."""
    missing: list[str] = []
    if not settings.jwt_secrets and settings.jwks_url is None:
        missing.append("TALLYSTICK_JWT_SECRET or TALLYSTICK_JWKS_URL is needed with DATABASE_URL")
    if settings.webhook_secrets is None and not settings.webhook_bearers:
        missing.append(
            "TALLYSTICK_WEBHOOK_SECRETS is needed with DATABASE_URL; write TALLYSTICK_WEBHOOK_SECRETS=off to do without"
        )
    if not settings.session_secrets and not settings.jwt_secrets:
        missing.append(
            "TALLYSTICK_SESSION_SECRET is needed with DATABASE_URL where there is no TALLYSTICK_JWT_SECRET; nothing is "
            "derived from webhook secrets, which a provider holds"
        )
    if missing:
        raise SettingsError(". ".join(missing))


def _has_exporter() -> bool:
    """Return whether the packages of the extra `otel` are installed."""
    try:
        return (
            find_spec("opentelemetry.exporter.otlp.proto.http") is not None
            and find_spec("opentelemetry.sdk") is not None
        )
    except ModuleNotFoundError:  # of a package around it
        return False


def _check_algorithms(settings: Settings) -> None:
    """Refuse an algorithm whose keys are in no setting: every token that is signed with it would be refused."""
    name = variable("jwt_algorithms")
    named = settings.algorithms
    if settings.jwt_algorithms is not None and not named:
        raise SettingsError(f"{name} names no algorithm; leave it out, or name HS256, RS256 or ES256")
    # Without either, the embedded mode draws a secret.
    if not settings.jwt_secrets and settings.jwks_url is not None and named & SECRET_ALGORITHMS:
        raise SettingsError(
            f"{name} names HS256, which needs {variable('jwt_secrets')}; "
            f"tokens of {variable('jwks_url')} are signed with RS256 or ES256"
        )
    by_key = " and ".join(sorted(named & PUBLISHED_ALGORITHMS))
    if settings.jwks_url is None and by_key:
        raise SettingsError(f"{name} names {by_key}, which needs {variable('jwks_url')}; a secret signs with HS256")


def _check_secrets_apart(settings: Settings) -> None:
    """Refuse a secret that is a webhook secret or a metrics token too: its other holder could sign with it."""
    webhook_keys = settings.signed_by.keys if settings.signed_by is not None else ()
    shared = {*webhook_keys, *(form for bearer in settings.webhook_bearers for form in _forms(bearer))}
    shared = {form.rstrip(b"=") for form in shared}
    for name, secrets in (("jwt_secrets", settings.jwt_secrets), ("session_secrets", settings.session_secrets)):
        if any(form in shared for secret in secrets for form in _forms(secret)):
            raise SettingsError(f"{variable(name)} is also a webhook secret, which a provider holds; draw another one")
        if not set(secrets).isdisjoint(settings.metrics_tokens):
            raise SettingsError(f"{variable(name)} is also {variable('metrics_tokens')}; draw another one")


def _forms(secret: str) -> Iterator[bytes]:
    """Yield the keys that a secret stands for: its text without the prefix of webhook secrets, and the same decoded."""
    text = secret.removeprefix("v1,").removeprefix("whsec_").rstrip("=")
    yield text.encode()
    try:
        yield base64.b64decode(text + "=" * (-len(text) % 4), validate=True).rstrip(b"=")
    except (binascii.Error, ValueError):
        return
