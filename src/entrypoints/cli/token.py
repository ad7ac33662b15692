"""`tallystick token`: sign a bearer token for a trial, or explain one."""

from collections.abc import Mapping

import rich_click as click
from joserfc import jwt
from joserfc.jwk import OctKey

from tallystick.adapters.system import SystemClock
from tallystick.domain.users import is_user_id
from tallystick.entrypoints.cli.data_directory import with_secrets
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.terminal import refuse, say_json
from tallystick.entrypoints.settings import Settings, load

_LONGEST_SECONDS = 30 * 24 * 3600


@click.command()
@click.option("--sub", "subject", help="The user of the token.")
@click.option("--explain", metavar="JWT", help="Say why a token would be refused; - reads it from the standard input.")
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    callback=lambda _context, _option, given: _named(given),
    help="A permission, such as rooms:manage; may be given several times.",
)
@click.option("--phone-verified", is_flag=True, help="Say that the user's phone was verified.")
@click.option("--phone", help="The phone number that was verified.")
@click.option("--seconds", default=3600, show_default=True, type=click.IntRange(1, _LONGEST_SECONDS), help="Lifetime.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def token(
    subject: str | None,
    explain: str | None,
    permissions: tuple[str, ...],
    phone_verified: bool,
    phone: str | None,
    seconds: int,
    as_json: bool,
) -> None:
    """Sign a token with the configured secret, or with the generated one in the data directory of the server.

    curl -H "Authorization: Bearer $(tallystick token --sub ada)" http://127.0.0.1:8000/api/my-referral-link

    With --explain it signs nothing and lists every check of a token; the exit status is 1 if a check fails:

    pbpaste | tallystick token --explain -
    """
    settings = load()
    if explain is not None:
        from tallystick.entrypoints.cli.token_explanation import explain_token  # noqa: PLC0415  the bounds of the web framework

        explain_token(settings, explain, as_json=as_json)
        return
    if subject is None:
        raise click.MissingParameter(param_hint="--sub", param_type="option")
    settings = with_signing_secret(settings)
    if not settings.jwt_secrets:
        refuse("TALLYSTICK_JWT_SECRET is not set: tokens are signed by the identity provider alone", ExitStatus.WRONG)
    if not is_user_id(subject):
        refuse("--sub has to be 1 to 128 of A-Z a-z 0-9 _ . : | @ -", ExitStatus.WRONG)
    about: dict[str, object] = {}
    if permissions:
        about["permissions"] = list(permissions)
    if phone_verified:
        about["phone_verified"] = True
    if phone is not None:
        about["phone"] = phone
    claims = _claims(settings, subject, seconds) | about
    signed = _signed(settings, claims)
    if as_json:
        say_json({"token": signed, "claims": claims})
    else:
        click.echo(signed)


def with_signing_secret(settings: Settings) -> Settings:
    """Return the settings with the drawn secret of an embedded database, where tokens are signed by it."""
    is_drawn = settings.is_embedded and not settings.jwt_secrets and settings.jwks_url is None
    return with_secrets(settings) if is_drawn else settings


def sign_token(settings: Settings, subject: str, seconds: int, about: Mapping[str, object]) -> str:
    """Return a token with the claims that the settings require, and with others; the settings have a secret."""
    return _signed(settings, {**_claims(settings, subject, seconds), **about})


def _signed(settings: Settings, claims: dict[str, object]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(settings.jwt_secrets[0]))


def _named(permissions: tuple[str, ...]) -> tuple[str, ...]:
    if not all(permissions):
        raise click.BadParameter("a permission has a name")
    return permissions


def _claims(settings: Settings, subject: str, seconds: int) -> dict[str, object]:
    """Return the claims that the settings require of every token."""
    now = int(SystemClock().now().timestamp())
    parties = {"iss": settings.jwt_issuer, "aud": settings.jwt_audience}
    return {
        "sub": subject,
        "iat": now,
        "exp": now + seconds,
        **{name: value for name, value in parties.items() if value is not None},
    }
