"""Descriptions for the document: docstrings of types, docstrings below fields, and words for names."""

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from functools import cache

from tallystick.entrypoints.http.document.vocabulary import VOCABULARY

_PACKAGE = "tallystick."
_END = re.compile(r"[.;:](?:\s|\Z)")


def paragraphs(docstring: str | None) -> str:
    """Return a docstring with each paragraph on one line, as Markdown wants it."""
    blocks = inspect.cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(" ".join(block.split()) for block in blocks)


def summary(text: str) -> str:
    """Return what a text says first, up to a stop, a semicolon or a colon."""
    return _END.split(text, maxsplit=1)[0]


def type_description(kind: type) -> str:
    """Return the docstring of a type; AssertionError if it has none of its own."""
    if not kind.__doc__:
        raise AssertionError(f"{kind.__qualname__} needs a docstring: the document shows it")
    return paragraphs(kind.__doc__)


def member_description(kind: type, name: str) -> str:
    """Return the docstring below a member of a type, or the meaning that its name has everywhere.

    AssertionError where both are missing.
    """
    for owner in kind.__mro__:
        if owner.__module__.startswith(_PACKAGE):
            below = _docstrings_below(owner.__module__).get(owner.__name__, {}).get(name)
            if below is not None:
                return below
    if name not in VOCABULARY:
        raise AssertionError(f"{kind.__qualname__}.{name} needs a docstring below it, or a row in VOCABULARY")
    return VOCABULARY[name]


@cache
def _docstrings_below(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings below the members of each class of a module, by class and member."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    found: dict[str, str] = {}
    for member, below in zip(node.body, node.body[1:], strict=False):
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else None
            if isinstance(text, str):
                found[member.target.id] = paragraphs(text)
    return found
