"""Every port has adapters, each of which names the port among its bases and implements all of it."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import get_type_hints

import pytest

import tallystick.adapters
import tallystick.application
import tallystick.domain
from tallystick.adapters import memory, postgres
from tallystick.application.idempotency import ReplyStores
from tallystick.application.transactions import Stores, Transactions

PARTS_OF_STORES = {ReplyStores}
"""Protocols that narrow `Stores` for one use case: `Stores` has their members as fields, and no class names them."""


def classes_below(*packages: object) -> Iterator[type]:
    """Yield the classes that are written in the modules of these packages."""
    for package in packages:
        assert inspect.ismodule(package)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            for _, written in inspect.getmembers(module, inspect.isclass):
                if written.__module__ == module.__name__:
                    yield written


def is_protocol(written: type) -> bool:
    return bool(getattr(written, "_is_protocol", False))


def members(port: type) -> set[str]:
    """Return the names that a port declares, itself or by the ports that it extends."""
    return {name for each in port.__mro__ if is_protocol(each) for name in vars(each) if not name.startswith("_")}


PORTS = sorted(
    (
        port
        for port in classes_below(tallystick.domain, tallystick.application, tallystick.adapters)
        if is_protocol(port) and members(port) and port not in PARTS_OF_STORES
    ),
    key=lambda port: port.__name__,
)
"""Protocols that have methods; one with `__call__` alone describes a function."""

STORE_PORTS = sorted({*get_type_hints(Stores).values(), Transactions}, key=lambda port: port.__name__)

IMPLEMENTATIONS = [
    (port, written)
    for written in classes_below(tallystick.adapters, tallystick.application)
    for port in PORTS
    if port in written.__mro__ and not is_protocol(written)
]


def implementations(port: type, package: object) -> list[str]:
    assert inspect.ismodule(package)
    return [
        written.__name__
        for named, written in IMPLEMENTATIONS
        if named is port and written.__module__.startswith(f"{package.__name__}.")
    ]


def test_the_ports_of_the_stores_are_among_the_ports() -> None:
    assert set(STORE_PORTS) <= set(PORTS)


@pytest.mark.parametrize("port", STORE_PORTS, ids=lambda port: port.__name__)
def test_every_store_is_there_in_memory_and_on_postgres(port: type) -> None:
    assert implementations(port, memory) == [f"Memory{port.__name__}"]
    assert implementations(port, postgres) == [f"Postgres{port.__name__}"]


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_every_port_has_an_adapter_that_names_it(port: type) -> None:
    assert [written for named, written in IMPLEMENTATIONS if named is port]


@pytest.mark.parametrize(
    ("port", "written"),
    IMPLEMENTATIONS,
    ids=[f"{written.__name__}-{port.__name__}" for port, written in IMPLEMENTATIONS],
)
def test_no_method_is_inherited_from_the_port(port: type, written: type) -> None:
    """The body of a port's method is a docstring, and returns None without a word."""
    assert {name for name in members(port) if getattr(written, name) is getattr(port, name)} == set()
