"""`tallystick probe --flood`: how many answers a stranger gets who guesses codes."""

import asyncio

from rich.table import Table

from tallystick.adapters.system import SystemRandomness
from tallystick.entrypoints.acceptance.flood import Flood, flood
from tallystick.entrypoints.acceptance.outside import Outside
from tallystick.entrypoints.cli.progress import shown
from tallystick.entrypoints.cli.terminal import refuse, say_json, say_table


def flood_server(url: str, guesses: int, *, as_json: bool) -> None:
    """Guess codes at an address, print the figures, and end with 1 where something is wrong."""
    found = asyncio.run(_flood(url, guesses))
    if as_json:
        say_json(found)
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in (
            ("guesses", found.guesses),
            ("answered", found.answered),
            ("refused with 429", found.refused),
            ("other answers", sum(found.others.values())),
            ("codes found", found.found),
            ("shapes of answers", found.shapes),
        ):
            table.add_row(name, f"{value:,}")
        say_table(table)
    if found.faults:
        refuse("; ".join(found.faults))


async def _flood(url: str, guesses: int) -> Flood:
    async with Outside.client(url) as http:
        outside = Outside(http, lambda _user, _claims: "", "", 0)
        with shown("guessing", guesses, unit="guesses") as show:
            return await flood(outside, SystemRandomness(), guesses, show)
