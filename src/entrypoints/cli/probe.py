"""`tallystick probe`: whether a running server is ready, for health checks of containers."""

import http.client
from urllib.parse import urlsplit

import msgspec
import rich_click as click

from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.terminal import OUT, refuse, say_json

_OK = 200
_LONGEST_ANSWER = 65536
_MOST_GUESSES = 10_000


class _Readiness(msgspec.Struct):
    """The answer of a server about itself."""

    status: str
    reasons: list[str]
    notes: list[str] = []


@click.command()
@click.argument("url", required=False)
@click.option(
    "--port",
    default=8000,
    show_default=True,
    envvar="PORT",
    show_envvar=True,
    type=click.IntRange(1, 65535),
    help="Without URL: the port of this machine to ask.",
)
@click.option("--seconds", default=3.0, show_default=True, type=click.FloatRange(0.1, 60), help="How long to wait.")
@click.option(
    "--flood",
    "guesses",
    metavar="GUESSES",
    type=click.IntRange(1, _MOST_GUESSES),
    help="Guess so many codes; afterwards your address is refused for a while.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: the server's answer, or the figures.")
@click.pass_context
def probe(
    context: click.Context, url: str | None, port: int, seconds: float, guesses: int | None, as_json: bool
) -> None:
    """Ask the server at URL whether it is ready; exits with 1 and the reasons where it is not.

    With --flood it guesses codes as fast as the server answers. It exits with 1 where no guess was refused, or where
    answers differ in status, headers or length:

    tallystick probe https://api.example.org --flood 1000
    """
    source = context.get_parameter_source("port")
    if url is not None and source is not None and source.name == "COMMANDLINE":
        refuse("URL or --port can be given, and not both", ExitStatus.WRONG)
    try:
        parts = urlsplit(url if url is not None else f"http://127.0.0.1:{port}")
        host, port_of_url = parts.hostname, parts.port
    except ValueError:
        refuse("URL needs a host, and a port from 1 to 65535 where it names one", ExitStatus.WRONG)
    if parts.scheme not in {"http", "https"} or host is None:
        refuse("URL has to start with http:// or https:// and a host", ExitStatus.WRONG)
    if guesses is not None:
        from tallystick.entrypoints.cli.flood import flood_server  # noqa: PLC0415  an HTTP client

        flood_server(parts.geturl().rstrip("/"), guesses, as_json=as_json)
        return
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port_of_url, timeout=seconds)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/readyz")
        response = connection.getresponse()
        status, answer = response.status, msgspec.json.decode(response.read(_LONGEST_ANSWER), type=_Readiness)
    except msgspec.DecodeError:
        refuse(f"{host} answers, but it is not Tallystick")
    except (OSError, http.client.HTTPException) as error:
        refuse(f"no answer from {host}: {type(error).__name__}")
    finally:
        connection.close()
    if as_json:
        say_json(answer)
    if status != _OK:
        refuse("not ready: " + "; ".join(answer.reasons))
    if not as_json:
        OUT.print("ready")
