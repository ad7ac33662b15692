"""How commands speak: to people in sentences and tables, to machines in JSON, and with clear exit statuses."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from tallystick.entrypoints.settings import Settings, SettingsError, load

NO = 1
"""The answer is no: something is not as it should be."""
WRONG = 2
"""The command or a setting is wrong."""
INTERRUPTED = 130
"""Somebody pressed Ctrl-C; what shells answer then."""

_WIDEST = 10_000

OUT = Console(soft_wrap=True, highlight=False)
ERR = Console(stderr=True, soft_wrap=True, highlight=False)


def settings_or_exit() -> Settings:
    """Return the settings of the environment; a wrong one ends the program with a sentence that names it."""
    try:
        return load()
    except SettingsError as error:
        refuse(str(error), WRONG)


def refuse(reason: str, status: int = NO) -> NoReturn:
    """End the program, saying why."""
    ERR.print(f"[bold red]tallystick:[/] {_plain(reason)}")
    sys.exit(status)


def say_json(value: object) -> None:
    """Print a value as one JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def say_table(table: Table) -> None:
    """Print a table as wide as it is: a hash or a sum that is cut short is none, and terminals wrap lines."""
    Console(soft_wrap=True, highlight=False, width=_WIDEST).print(table)


@contextmanager
def named_errors(*errors: type[Exception]) -> Iterator[None]:
    """Turn foreseen errors into a sentence and an exit status, without a traceback."""
    try:
        yield
    except errors as error:
        # The details of a PostgreSQL error repeat the row. The driver is not imported: not every command needs it.
        sqlstate = getattr(error, "sqlstate", None)
        message = f"{error.args[0]} (SQLSTATE {sqlstate})" if sqlstate is not None else str(error)
        refuse(message or type(error).__name__)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def confirm(question: str) -> bool:
    """Ask at a terminal, beside what the program puts out; elsewhere it ends, for nobody could answer."""
    if not sys.stdin.isatty():
        refuse("there is no terminal to ask at; add --yes to go ahead without a question", WRONG)
    return click.confirm(question, err=True)
