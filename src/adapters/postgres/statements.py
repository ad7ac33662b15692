"""SQL from files: one named block a statement, its parameters and its result in the header."""

import re
from collections.abc import Iterator
from importlib.resources import files

_HEADER = re.compile(r"^-- ([a-z_]+)\(([a-z_, ]*)\) -> (\w+|\([a-z_, ]+\))$")
_HEADER_WITHOUT_RESULT = re.compile(r"^-- ([a-z_]+)\([a-z_, ]*\)$")
_PARAMETER = re.compile(r"\$(\d+)")


class Statements:
    """The statements of one capability, by name: `statements.lock` is its SQL.

    A block starts with `-- name(first, second) -> Result`; comment lines after it give reasons. The parameters named in
    the header are `$1`, `$2` and so on, and each must be used. The result is `nothing`, a struct whose fields are the
    columns in order, the type of the only column, or the names of the columns in parentheses; a test holds the columns
    against it. A file that is not written like this is a ValueError at import.
    """

    def __init__(self, text: str, *, source: str) -> None:
        self._sql: dict[str, str] = {}
        name, parameters, lines = "", 0, list[str]()
        for line in [*text.splitlines(), "-- end() -> nothing"]:
            header = _HEADER.match(line)
            if header is None:
                if unfinished := _HEADER_WITHOUT_RESULT.match(line):
                    raise ValueError(f"{source}: the header of {unfinished[1]} names no result")
                if not name and line.strip():
                    raise ValueError(f"{source}: {line!r} is before the first header")
                if not line.startswith("--"):
                    lines.append(line)
                continue
            if name:
                self._add(name, parameters, "\n".join(lines).strip(), source)
            name, lines = header[1], []
            parameters = len([part for part in header[2].split(",") if part.strip()])

    @classmethod
    def load(cls, capability: str) -> "Statements":
        """Load `sql/<capability>.sql`."""
        source = files("tallystick.adapters.postgres") / "sql" / f"{capability}.sql"
        return cls(source.read_text(encoding="utf-8"), source=f"{capability}.sql")

    def _add(self, name: str, parameters: int, sql: str, source: str) -> None:
        used = {int(number) for number in _PARAMETER.findall(sql)}
        if used != set(range(1, parameters + 1)):
            raise ValueError(f"{source}: {name} names {parameters} parameters and uses {sorted(used)}")
        if name in self._sql:
            raise ValueError(f"{source}: two statements are called {name}")
        if not sql.endswith(";"):
            raise ValueError(f"{source}: {name} does not end with a semicolon")
        self._sql[name] = sql.removesuffix(";")
        # Python finds an attribute of the instance without a call of `__getattr__`, which takes 0.3 µs a statement.
        vars(self)[name] = self._sql[name]

    def __getattr__(self, name: str) -> str:
        raise AttributeError(f"no statement is called {name}")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._sql.items())
