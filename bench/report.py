"""The report: rows for people and for machines, and progress while the run lasts."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Protocol

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.drivers import Slot


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio, its two figures, and the aim. Figures are medians of the rounds."""

    name: str
    against: str
    measured: float | None
    """None, like the other figures, if nothing was measured; the note has the reason."""
    reference: float | None
    unit: str
    ratio: float | None
    lower: float | None
    upper: float | None
    """Half of the rounds lie between these two."""
    at_least: float | None
    at_most: float | None
    is_met: bool | None
    """None if there is no aim."""
    cpu_us: float | None
    """Processor time of the server's process, a request."""
    reference_cpu_us: float | None
    note: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    cores: int
    load_before: float
    """The load when the run began: more than a few tenths means that the machine has other work."""
    is_quick: bool
    client: str
    durable_on: str
    """The file system that commits were flushed to."""
    seconds: float
    rows: list[Row]


class Say(Protocol):
    """Prints progress."""

    def __call__(self, text: str, /) -> None: ...


@contextmanager
def progress() -> Iterator[Say]:
    """Show one moving line on a terminal, plain lines elsewhere, both on standard error."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda text: print(text, file=sys.stderr, flush=True)
        return
    with console.status("starting") as status:
        yield status.update


def row(
    name: str,
    against: str,
    rounds: list[tuple[float, float]],
    *,
    unit: str,
    at_least: float | None = None,
    at_most: float | None = None,
    cpu_us: tuple[float, float | None] | None = None,
    note: str = "",
) -> Row:
    """Return the row for pairs of a measured figure and its reference, one pair a round."""
    ratios = [measured / reference for measured, reference in rounds]
    ratio = median(ratios)
    lower, _, upper = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    has_aim = at_least is not None or at_most is not None
    is_met = (at_least is None or ratio >= at_least) and (at_most is None or ratio <= at_most)
    return Row(
        name=name,
        against=against,
        measured=median(measured for measured, _ in rounds),
        reference=median(reference for _, reference in rounds),
        unit=unit,
        ratio=ratio,
        lower=lower,
        upper=upper,
        at_least=at_least,
        at_most=at_most,
        is_met=is_met if has_aim else None,
        cpu_us=cpu_us[0] if cpu_us is not None else None,
        reference_cpu_us=cpu_us[1] if cpu_us is not None else None,
        note=note,
    )


def rates(
    name: str,
    slots: Sequence[Slot],
    against: str,
    references: Sequence[Slot],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "/s",
    note: str = "",
) -> Row:
    """Return the row for two rates that were measured in turns."""
    return row(
        name,
        against,
        [(slot.per_second, reference.per_second) for slot, reference in zip(slots, references, strict=True)],
        unit=unit,
        at_least=at_least,
        at_most=at_most,
        cpu_us=(_cpu_us(slots), _cpu_us(references) or None),
        note=note,
    )


def absent(name: str, against: str, at_least: float, why: str) -> Row:
    """Return the row of a comparison that was not possible."""
    return Row(
        name=name,
        against=against,
        measured=None,
        reference=None,
        unit="",
        ratio=None,
        lower=None,
        upper=None,
        at_least=at_least,
        at_most=None,
        is_met=None,
        cpu_us=None,
        reference_cpu_us=None,
        note=f"not compared with {against}: {why}",
    )


def _cpu_us(slots: Sequence[Slot]) -> float:
    return sum(slot.cpu_seconds for slot in slots) / sum(slot.requests for slot in slots) * 1e6


def show(report: Report) -> None:
    """Print the table."""
    terminal = sys.stdout.isatty()
    # Without a terminal there is no width to cut the lines to.
    console = Console(highlight=False, width=None if terminal else 180)
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False)
    table.add_column("what")
    table.add_column("against")
    for heading in ("ratio", "half of the rounds", "aim", "measured", "reference", "CPU a request"):
        table.add_column(heading, justify="right")
    for each in report.rows:
        table.add_row(each.name, each.against, _number(each.ratio, 2), _spread(each), _aim(each), *_figures(each))
    console.print(table)
    for each in report.rows:
        if each.note:
            console.print(f"{each.name}: {each.note}", soft_wrap=True)
    console.print(
        f"\n{report.cores} cores, load {report.load_before:.2f} when it began. Clients run on the cores of servers and "
        f"databases. Codes are resolved by {report.client}, all else is sent by our own client.\n"
        f"Commits are flushed to {report.durable_on}. It took {report.seconds:.0f} s.\n"
        "Numbers move from run to run and from machine to machine: compare the ratios, not the rates.",
        soft_wrap=True,
    )


def _spread(each: Row) -> str:
    return "" if each.lower == each.upper else f"{_number(each.lower, 2)} to {_number(each.upper, 2)}"


def _aim(each: Row) -> str:
    bounds = [f"{sign} {bound:g}" for sign, bound in ((">=", each.at_least), ("<=", each.at_most)) if bound is not None]
    said = {True: "met", False: "MISSED", None: ""}[each.is_met]
    return f"{' and '.join(bounds)} {said}".strip()


def _figures(each: Row) -> tuple[str, str, str]:
    digits = 1 if each.unit == "ms" else 0
    measured, reference = (f"{_number(figure, digits)} {each.unit}" for figure in (each.measured, each.reference))
    shown = [f"{cpu:.0f}" for cpu in (each.cpu_us, each.reference_cpu_us) if cpu is not None]
    return measured, reference, f"{' vs '.join(shown)} us" if shown else ""


def _number(figure: float | None, digits: int) -> str:
    return f"{figure:,.{digits}f}" if figure is not None else ""
