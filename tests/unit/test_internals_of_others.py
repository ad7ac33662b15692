"""Private parts of packages that are not ours are touched in one file, which says why."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
INTERNALS = "entrypoints/http/internals.py"
DOCUMENTED = {"_replace", "_asdict", "_fields", "_make"}
"""Methods of named tuples: their underscore keeps them apart from the names of fields."""
SET_BY_PYTHON = {"_abc_impl", "_is_protocol", "_is_runtime_protocol"}
UNDOCUMENTED = ("uvicorn.", "litestar._")
"""Modules that their package's documentation does not name; `import uvicorn` is documented."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Yield every source file but the one for internals."""
    for file in sorted((ROOT / "src").rglob("*.py")):
        name = str(file.relative_to(ROOT / "src"))
        if name != INTERNALS:
            yield name, ast.parse(file.read_text(encoding="utf-8"))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_") and name not in DOCUMENTED


def own_names(tree: ast.Module) -> set[str]:
    """Return the private names that a file defines: functions, methods, fields and what it assigns."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the modules and names that a statement imports, each with its module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def classes(file: str, tree: ast.Module) -> Iterator[type]:
    """Yield the classes that a file defines; only the files that have one are imported."""
    if any(isinstance(node, ast.ClassDef) for node in ast.walk(tree)):
        name = ".".join(("tallystick", *Path(file).with_suffix("").parts)).removesuffix(".__init__")
        for _, found in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if found.__module__ == name:
                yield found


def test_no_file_reads_a_private_name_that_it_does_not_define() -> None:
    foreign = [
        f"{file}: {ast.unparse(node)}"
        for file, tree in sources()
        for own in [own_names(tree)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own
    ]

    assert foreign == []


def test_no_file_imports_a_private_or_undocumented_module_of_others() -> None:
    foreign = [
        f"{file}: {name}"
        for file, tree in sources()
        for node in ast.walk(tree)
        for name in imported(node)
        if not name.startswith("tallystick.")
        and (name.startswith(UNDOCUMENTED) or any(is_private(part) for part in name.split(".")))
    ]

    assert foreign == []


def test_no_class_overrides_a_private_name_of_others() -> None:
    foreign = [
        f"{file}: {own.__name__}.{name}"
        for file, tree in sources()
        for own in classes(file, tree)
        for name in vars(own)
        if is_private(name) and name not in SET_BY_PYTHON
        for ancestor in own.__mro__[1:]
        if not ancestor.__module__.startswith("tallystick.") and name in vars(ancestor)
    ]

    assert foreign == []
