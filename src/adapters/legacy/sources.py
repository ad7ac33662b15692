"""Shared by all sources of legacy users: the size of a batch, the longest line, the names of the columns."""

from tallystick.domain.legacy import COLUMNS, Column

BATCH = 5_000
"""How many lines are read at once."""
LONGEST_LINE = 65_536
"""In bytes."""


def read_mapping(pairs: tuple[str, ...]) -> dict[Column, str]:
    """Return the name of each column in the source, from `column=name` pairs; ValueError says what is wrong."""
    names: dict[Column, str] = {column: column for column in COLUMNS}
    for pair in pairs:
        ours, _, theirs = pair.partition("=")
        known = next((column for column in COLUMNS if column == ours), None)
        if known is None or not theirs:
            raise ValueError(f"{pair!r}: column=name is needed, the columns are {', '.join(COLUMNS)}")
        names[known] = theirs
    return names
