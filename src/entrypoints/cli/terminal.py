"""The output of commands: sentences and tables for people, JSON for programs."""

import sys
from typing import NoReturn

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from tallystick.entrypoints.cli.exit_statuses import ExitStatus

_WIDEST = 10_000

OUT = Console(soft_wrap=True, highlight=False)
ERR = Console(stderr=True, soft_wrap=True, highlight=False)


def refuse(reason: str, status: ExitStatus = ExitStatus.NO) -> NoReturn:
    """End the program, saying why."""
    ERR.print(f"[bold red]tallystick:[/] {_plain(reason)}")
    sys.exit(status)


def say_json(value: object) -> None:
    """Print a value as one JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def say_table(table: Table) -> None:
    """Print a table in its full width, since a hash that is cut short is useless; terminals wrap lines."""
    Console(soft_wrap=True, highlight=False, width=_WIDEST).print(table)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def confirm(question: str) -> bool:
    """Ask at a terminal, on standard error; without a terminal the program ends, since nobody can answer."""
    if not sys.stdin.isatty():
        refuse("there is no terminal to ask at; add --yes to go ahead without a question", ExitStatus.WRONG)
    return click.confirm(question, err=True)
