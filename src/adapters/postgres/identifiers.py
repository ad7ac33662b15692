"""Names in statements: each is quoted, because the catalogue may hold any name."""


def quoted(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
