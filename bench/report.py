"""What is told: rows for people and for machines, and progress while they wait."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Protocol

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio, the two figures it is made of, and what it should be. Figures are medians of the rounds."""

    name: str
    against: str
    measured: float
    reference: float
    unit: str
    ratio: float
    lower: float
    upper: float
    """Half of the rounds lie between them."""
    at_least: float | None
    at_most: float | None
    is_met: bool | None
    """None where there is no aim."""
    cpu_us: float | None
    """Processor time of the server's process, a request."""
    reference_cpu_us: float | None
    note: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    cores: int
    load_before: float
    """Processes that ran or wanted to when the run began: more than a few tenths is a machine with other work."""
    is_quick: bool
    client: str
    durable_on: str
    """The file system that commits were flushed to."""
    seconds: float
    rows: list[Row]


class Say(Protocol):
    """Tells what is being done."""

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
    cpu_us: tuple[float, float] | None = None,
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


def show(report: Report) -> None:
    """Print the table."""
    terminal = sys.stdout.isatty()
    # Elsewhere than on a terminal nothing is cut to a width that nobody has.
    console = Console(highlight=False, width=None if terminal else 180)
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False)
    table.add_column("what")
    table.add_column("against")
    for heading in ("ratio", "half of the rounds", "aim", "measured", "reference", "CPU a request"):
        table.add_column(heading, justify="right")
    for each in report.rows:
        table.add_row(each.name, each.against, f"{each.ratio:.2f}", _spread(each), _aim(each), *_figures(each))
    console.print(table)
    for each in report.rows:
        if each.note:
            console.print(f"{each.name}: {each.note}", soft_wrap=True)
    console.print(
        f"\n{report.cores} cores, load {report.load_before:.2f} when it began; one server process. The resolver is "
        f"asked by {report.client}, all else by our own client, on the cores that servers and database use too.\n"
        f"Commits are flushed to {report.durable_on}. It took {report.seconds:.0f} s.\n"
        "Numbers move from run to run and from machine to machine: compare the ratios, not the rates.",
        soft_wrap=True,
    )


def _spread(each: Row) -> str:
    return "" if each.lower == each.upper else f"{each.lower:.2f} to {each.upper:.2f}"


def _aim(each: Row) -> str:
    bounds = [f"{sign} {bound:g}" for sign, bound in ((">=", each.at_least), ("<=", each.at_most)) if bound is not None]
    said = {True: "met", False: "MISSED", None: ""}[each.is_met]
    return f"{' and '.join(bounds)} {said}".strip()


def _figures(each: Row) -> tuple[str, str, str]:
    digits = 1 if each.unit == "ms" else 0
    cpu = f"{each.cpu_us:.0f} vs {each.reference_cpu_us:.0f} us" if each.cpu_us is not None else ""
    return f"{each.measured:,.{digits}f} {each.unit}", f"{each.reference:,.{digits}f} {each.unit}", cpu
