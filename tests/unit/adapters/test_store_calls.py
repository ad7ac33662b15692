"""The measurement of the stores: every method of every port, its seconds, its rows and its errors."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from types import SimpleNamespace
from typing import Any, Protocol, cast, get_type_hints

import pytest

from tallystick.adapters.memory.ports import RecordedMetrics
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.adapters.telemetry import store_calls
from tallystick.adapters.telemetry.store_calls import MeasuredTransactions, rows_of
from tallystick.application.tracing import SILENT
from tallystick.application.transactions import CommitUncertain, Stores, Transactions
from tallystick.domain.users import UserId

PORTS = get_type_hints(Stores)
METHODS = [
    (field.name, name)
    for field in fields(Stores)
    for name, member in inspect.getmembers(PORTS[field.name], inspect.isfunction)
    if not name.startswith("_")
]


class BrokenStore(Exception):
    """The failure that a store is made to raise."""


class Answering(Transactions):
    """Transactions whose stores answer every call with one result, or raise it."""

    def __init__(self, answer: object) -> None:
        async def call(*args: object, **kwargs: object) -> object:
            if isinstance(answer, BaseException):
                raise answer
            return answer

        stores = {field: SimpleNamespace(**{name: call for each, name in METHODS if each == field}) for field in PORTS}
        self._stores = Stores(**cast("Any", stores))

    @asynccontextmanager
    async def begin(self) -> Any:
        yield self._stores

    reading = begin
    snapshot = begin


@pytest.mark.parametrize(("field", "name"), METHODS, ids=[f"{field}.{name}" for field, name in METHODS])
async def test_every_method_of_every_store_is_measured(field: str, name: str) -> None:
    metrics = RecordedMetrics()
    signature = inspect.signature(getattr(PORTS[field], name))
    given = dict.fromkeys(list(signature.parameters)[1:], ("x",))

    async with MeasuredTransactions(Answering({"one": 1, "two": 2}), metrics, SILENT).begin() as stores:
        answered = await getattr(getattr(stores, field), name)(**given)

    assert answered == {"one": 1, "two": 2}
    assert len(metrics.values["store_call_seconds", f"{field}.{name}"]) == 1
    assert metrics.counts["store_rows", f"{field}.{name}"] in {1, 2}


def test_stores_have_many_methods() -> None:
    assert len(METHODS) > 100


async def test_a_measured_store_is_the_port() -> None:
    async with MeasuredTransactions(MemoryTransactions(), RecordedMetrics(), SILENT).reading() as stores:
        for field, port in PORTS.items():
            assert port in type(getattr(stores, field)).__mro__, field


def test_a_method_that_cannot_be_measured_is_refused() -> None:
    class Port(Protocol):
        def pages(self) -> Sequence[int]: ...

    with pytest.raises(TypeError, match="pages is not a coroutine function"):
        store_calls._methods(Port)


def test_methods_of_the_ports_that_a_port_extends_are_among_its_methods() -> None:
    class Readable(Protocol):
        async def page(self) -> Sequence[int]: ...

    class Port(Readable, Protocol):
        async def add(self, items: Sequence[int]) -> None: ...

    assert list(store_calls._methods(Port)) == ["page", "add"]


async def find(keys: Collection[str]) -> dict[str, int]: ...  # type: ignore[empty-body]
async def record(at: int, items: Mapping[str, int]) -> None: ...
async def add(item: str, note: str = "") -> bool: ...  # type: ignore[empty-body]
async def seats(keys: Collection[str]) -> tuple[dict[str, int], set[str]]: ...  # type: ignore[empty-body]
async def count() -> Sequence[int]: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("method", "result", "args", "kwargs", "rows"),
    [
        (find, {"a": 1}, (["a", "b", "c"],), {}, 1),
        (find, {}, (["a"],), {}, 0),
        (record, None, (7, {"a": 1, "b": 2}), {}, 2),
        (record, None, (7,), {"items": {"a": 1, "b": 2}}, 2),
        (add, True, ("abc",), {}, 1),
        (add, None, ("abc",), {"note": "abc"}, 0),
        (seats, ({}, set()), (["a", "b"],), {}, 2),
        (count, (1, 2, 3), (), {}, 3),
    ],
)
def test_rows_are_those_of_the_result_or_else_of_the_arguments(
    method: Any, result: object, args: tuple[Any, ...], kwargs: dict[str, Any], rows: int
) -> None:
    assert int(rows_of(method)(result, args, kwargs)) == rows


async def test_a_call_that_fails_is_counted_by_the_class_of_its_error_and_has_no_rows() -> None:
    metrics = RecordedMetrics()

    with pytest.raises(BrokenStore):
        async with MeasuredTransactions(Answering(BrokenStore()), metrics, SILENT).begin() as stores:
            await stores.users.deleted([UserId("ada")])

    assert dict(metrics.counts) == {("store_errors", "BrokenStore"): 1}
    assert set(metrics.values) == {
        ("store_call_seconds", operation)
        for operation in ("transactions.begin", "users.deleted", "transactions.rollback")
    }


class NegativeBalance(BrokenStore):
    """The database refuses a row by a constraint, as its driver reports it."""

    constraint_name = "ledger_accounts_never_negative"


async def test_a_balance_that_the_database_keeps_from_being_negative_is_counted() -> None:
    metrics = RecordedMetrics()

    with pytest.raises(NegativeBalance):
        async with MeasuredTransactions(Answering(NegativeBalance()), metrics, SILENT).begin() as stores:
            await stores.users.deleted([UserId("ada")])

    assert metrics.total("negative_balance_attempts") == 1


class Uncertain(Answering):
    """Transactions whose connection is lost at the commit."""

    @asynccontextmanager
    async def begin(self) -> Any:
        yield self._stores
        raise CommitUncertain


async def test_a_commit_that_fails_is_counted() -> None:
    metrics = RecordedMetrics()

    with pytest.raises(CommitUncertain):
        async with MeasuredTransactions(Uncertain(None), metrics, SILENT).begin():
            pass

    assert dict(metrics.counts) == {("store_errors", "CommitUncertain"): 1}
    assert [len(metrics.values["store_call_seconds", f"transactions.{end}"]) for end in ("begin", "commit")] == [1, 1]


class Unreachable(Answering):
    """Transactions that get no connection."""

    is_reachable = False

    @asynccontextmanager
    async def begin(self) -> Any:
        if not self.is_reachable:
            raise BrokenStore
        yield self._stores


async def test_a_transaction_that_does_not_begin_is_counted() -> None:
    metrics = RecordedMetrics()

    with pytest.raises(BrokenStore):
        async with MeasuredTransactions(Unreachable(None), metrics, SILENT).begin():
            pass

    assert dict(metrics.counts) == {("store_errors", "BrokenStore"): 1}


async def test_a_read_ends_with_the_release_of_its_connection() -> None:
    metrics = RecordedMetrics()

    async with MeasuredTransactions(MemoryTransactions(), metrics, SILENT).reading() as stores:
        await stores.users.find([UserId("ada")])

    assert {operation for _, operation in metrics.values} == {
        *("transactions.reading", "users.find", "transactions.release")
    }
    assert metrics.counts["store_rows", "users.find"] == 0
