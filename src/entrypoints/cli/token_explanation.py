"""`tallystick token --explain`: every check of a token by a server, with its result."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from tallystick.adapters.identity.claims import Check, ClaimsCheck
from tallystick.adapters.identity.jwks import JwksCache, over_http
from tallystick.adapters.identity.keys import KeyRing
from tallystick.adapters.identity.sessions import SessionTokens
from tallystick.adapters.identity.tokens import JwtVerifier, read_claims, read_header
from tallystick.adapters.system import SystemClock, SystemRandomness
from tallystick.adapters.telemetry.logs import configure
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.domain.tokens import REMEDIES, IdentityKeysUnavailable, TokenRefused
from tallystick.entrypoints.cli.data_directory import with_secrets
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.terminal import refuse, say_json
from tallystick.entrypoints.http.request_context import MAX_HEADER_BYTES
from tallystick.entrypoints.settings import Settings

_LONGEST_FOUND = 100
_MOST_READ = 1 << 20


class Explanation(msgspec.Struct, frozen=True):
    """The verdict of a server on a token."""

    valid: bool
    reason: str | None
    """The reason as logs and metrics name it, `headers_too_large` or `keys_unavailable`; None for a valid token."""
    remedy: str | None
    checks: Sequence[Check] = ()


def explain_token(settings: Settings, given: str, *, as_json: bool) -> None:
    """Print the verdict of a server with these settings on a token; the exit status is 1 if it is refused."""
    configure("error", sys.stderr)
    token = _read(given)
    explanation = asyncio.run(_explain(_with_secrets(settings), token))
    if as_json:
        found = _found(token)
        checks = [{**msgspec.structs.asdict(check), "found": found.get(check.name)} for check in explanation.checks]
        say_json({**msgspec.structs.asdict(explanation), "checks": checks})
    else:
        _print(explanation, token)
    if not explanation.valid:
        raise SystemExit(ExitStatus.NO)


def _read(given: str) -> str:
    text = (sys.stdin.buffer.read(_MOST_READ).decode(errors="replace") if given == "-" else given).strip()
    scheme, _, rest = text.partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else text
    if not token:
        refuse(
            "no token was given: name it behind --explain, or send it to the standard input with --explain -",
            ExitStatus.WRONG,
        )
    return token


def _with_secrets(settings: Settings) -> Settings:
    """Return the settings as a server here would have them; no secret is generated if no server ever ran here."""
    if not settings.is_embedded:
        return settings
    if not settings.jwt_secrets and settings.jwks_url is None and not Path(settings.data_dir).is_dir():
        refuse(f"there is no secret to check a token with: {settings.data_dir} does not exist", ExitStatus.WRONG)
    return with_secrets(settings) if Path(settings.data_dir).is_dir() else settings


async def _explain(settings: Settings, token: str) -> Explanation:
    if len(token) > MAX_HEADER_BYTES:
        remedy = f"The token has {len(token)} bytes; all headers together may have {MAX_HEADER_BYTES}."
        return Explanation(valid=False, reason="headers_too_large", remedy=remedy)
    clock = SystemClock()
    published = (
        JwksCache(over_http(settings.jwks_url), clock, PrometheusMetrics(), SystemRandomness())
        if settings.jwks_url is not None
        else None
    )
    check = ClaimsCheck(clock, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
    provider = JwtVerifier(check, secrets=settings.jwt_secrets, published=published, algorithms=settings.algorithms)
    try:
        made = await provider.checks(token)
    except IdentityKeysUnavailable:
        reasons = [fault.explained for fault in await published.faults()] if published is not None else []
        return Explanation(valid=False, reason="keys_unavailable", remedy="; ".join(reasons))
    if settings.identity == "builtin" and (settings.session_secrets or settings.jwt_secrets):
        sessions = SessionTokens(KeyRing(settings.root_secrets).keys("bearers"), clock, "bearer")
        of_sign_in = await sessions.checks(token)
        # Tokens of the built-in sign-in are signed with another key than those of the provider.
        if of_sign_in[0].fault is None:
            made = of_sign_in
    fault = next((each.fault for each in made if each.fault is not None), None)
    return Explanation(fault is None, fault, REMEDIES[fault] if fault is not None else None, made)


def _found(token: str) -> dict[str, Any]:
    """Return header and claims by name; nothing if they cannot be read."""
    try:
        algorithm, kid = read_header(token)
        return {"alg": algorithm, "kid": kid, **read_claims(token)}
    except TokenRefused:
        return {}


def _print(explanation: Explanation, token: str) -> None:
    found = _found(token)
    for check in explanation.checks:
        says = "" if check.name not in found else f"; the token has {_shown(found[check.name])}"
        click.echo(f"{'no' if check.fault else 'ok'}  {check.name:<9}  {check.expected}{says}")
    if explanation.valid:
        click.echo("a server with these settings accepts the token")
    else:
        click.echo(f"refused: {explanation.reason}. {explanation.remedy}")


def _shown(value: object) -> str:
    """Return a value of the token in one line of ASCII, so that it cannot speak to the terminal."""
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_FOUND else f"{text[:_LONGEST_FOUND]}..."
