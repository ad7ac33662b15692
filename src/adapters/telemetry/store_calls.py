"""Every method of every store is measured and traced here: seconds, rows and errors, by store and method."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import fields
from time import perf_counter
from types import TracebackType
from typing import Any, get_args, get_origin, get_type_hints

from tallystick.application.ports import Metrics
from tallystick.application.tracing import Tracer
from tallystick.application.transactions import Stores, Transactions

_NEVER_NEGATIVE = frozenset({"ledger_accounts_never_negative", "ledger_entries_never_negative"})
_Rows = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], int]


class MeasuredTransactions(Transactions):
    """Transactions whose stores are measured and traced. The stores do not know of it.

    An operation is named `ledger.post`, by the field of `Stores` and by the method. A transaction has the operations
    `transactions.begin`, which waits for a connection, `transactions.commit` and `transactions.rollback`; a read has
    `transactions.reading` and `transactions.release`.
    """

    def __init__(self, inner: Transactions, metrics: Metrics, tracer: Tracer) -> None:
        self._inner, self.metrics, self.tracer = inner, metrics, tracer
        self.stores = _measured_stores(metrics, tracer)

    def begin(self) -> AbstractAsyncContextManager[Stores]:
        return _Unit(self, self._inner.begin(), "transactions.begin", "transactions.commit")

    def reading(self) -> AbstractAsyncContextManager[Stores]:
        return _Unit(self, self._inner.reading(), "transactions.reading", "transactions.release")

    def snapshot(self) -> AbstractAsyncContextManager[Stores]:
        return _Unit(self, self._inner.snapshot(), "transactions.reading", "transactions.release")


class _Unit(AbstractAsyncContextManager[Stores]):
    """One transaction or read. Written out, because a generator costs twice as much."""

    __slots__ = ("_entering", "_inner", "_leaving", "_metrics", "_stores", "_tracer")

    def __init__(
        self, around: MeasuredTransactions, inner: AbstractAsyncContextManager[Stores], entering: str, leaving: str
    ) -> None:
        self._metrics, self._tracer, self._stores = around.metrics, around.tracer, around.stores
        self._inner, self._entering, self._leaving = inner, entering, leaving

    async def __aenter__(self) -> Stores:
        call = _Call(self._metrics, self._tracer, self._entering)
        try:
            stores = await self._inner.__aenter__()
        except BaseException as error:
            call.fail(error)
            raise
        call.end()
        return self._stores(stores)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        call = _Call(self._metrics, self._tracer, self._leaving if error is None else "transactions.rollback")
        try:
            suppresses = await self._inner.__aexit__(kind, error, traceback)
        except BaseException as failure:
            if error is None:
                call.fail(failure)
            else:  # the call that failed was counted
                call.end()
            raise
        call.end()
        return suppresses


class _Call:
    """One call of a store, from its beginning on."""

    __slots__ = ("_metrics", "_operation", "_span", "_started")

    def __init__(self, metrics: Metrics, tracer: Tracer, operation: str) -> None:
        self._metrics, self._operation = metrics, operation
        caller = tracer.current()
        self._span = None if caller is None else caller.child(operation)
        self._started = perf_counter()

    def end(self) -> None:
        self._metrics.observe("store_call_seconds", perf_counter() - self._started, label=self._operation)
        if self._span is not None:
            self._span.end()

    def count(self, rows: int) -> None:
        """Count the rows, before the end of the call."""
        self._metrics.count("store_rows", rows, label=self._operation)
        if self._span is not None:
            self._span.note("tallystick.rows", rows)

    def fail(self, error: BaseException) -> None:
        """End the call with an error. The program and its packages have a fixed set of classes of errors."""
        name = type(error).__name__
        self._metrics.count("store_errors", label=name)
        if getattr(error, "constraint_name", None) in _NEVER_NEGATIVE:
            self._metrics.count("negative_balance_attempts")
        if self._span is not None:
            self._span.fail(name)
        self.end()


def _measured_stores(metrics: Metrics, tracer: Tracer) -> Callable[[Stores], Stores]:
    """Return a class of `Stores` that wraps a store when it is asked for: most transactions need few of them."""
    ports = get_type_hints(Stores)
    wrappers = {field.name: _wrapping(field.name, ports[field.name], metrics, tracer) for field in fields(Stores)}
    members: dict[str, Any] = {"__slots__": ("_inner",), "__init__": _keep, **wrappers}
    measured: Callable[[Stores], Stores] = type("MeasuredStores", (Stores,), members)
    return measured


def _wrapping(field: str, port: type, metrics: Metrics, tracer: Tracer) -> property:
    measured = {
        name: _measured(f"{field}.{name}", name, rows_of(method), metrics, tracer)
        for name, method in _methods(port).items()
    }
    members: dict[str, Any] = {"__slots__": ("_inner",), "__init__": _keep, **measured}
    wrapper = type(f"Measured{port.__name__}", (port,), members)
    return property(lambda stores: wrapper(getattr(stores._inner, field)))  # noqa: SLF001  of the same module


def _keep(self: Any, inner: object) -> None:
    object.__setattr__(self, "_inner", inner)  # `Stores` is frozen


def _methods(port: type) -> dict[str, Callable[..., Any]]:
    """Return the methods of a port and of the ports that it extends; TypeError for one that is not a coroutine."""
    found: dict[str, Callable[..., Any]] = {}
    for each in reversed(port.__mro__):
        if getattr(each, "_is_protocol", False):
            found |= {name: method for name, method in vars(each).items() if not name.startswith("_")}
    for name, method in found.items():
        if not inspect.iscoroutinefunction(method):
            raise TypeError(f"{port.__name__}.{name} is not a coroutine function, and cannot be measured")
    return found


def _measured(operation: str, name: str, rows: _Rows, metrics: Metrics, tracer: Tracer) -> Callable[..., Any]:
    async def measured(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = _Call(metrics, tracer, operation)
        try:
            result = await getattr(self._inner, name)(*args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        call.count(rows(result, args, kwargs))
        call.end()
        return result

    return measured


def rows_of(method: Callable[..., Any]) -> _Rows:
    """Return what counts the rows of a call.

    These are the items of the collection that the method returns; if it returns none, those of the first collection
    that it takes; if it takes none, 1 for any result but None.
    """
    hints = get_type_hints(method)
    returned = hints.pop("return")
    if _is_collection(returned):
        return lambda result, _args, _kwargs: len(result)
    for index, (name, hint) in enumerate(hints.items()):
        if _is_collection(hint):
            return _rows_taken(index, name)
    return lambda result, _args, _kwargs: result is not None


def _rows_taken(index: int, name: str) -> _Rows:
    return lambda _result, args, kwargs: len(args[index] if index < len(args) else kwargs.get(name, ()))


def _is_collection(hint: object) -> bool:
    origin = get_origin(hint)
    is_pair = origin is tuple and get_args(hint)[-1:] != (...,)
    return isinstance(origin, type) and issubclass(origin, Collection | Sequence) and not is_pair
