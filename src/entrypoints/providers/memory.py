"""The stores in memory."""

from dishka import Provider, Scope, provide

from tallystick.adapters.identity.jwks import JwksCache
from tallystick.adapters.memory.stores.flags import SilentSignal
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application.ports import ChangeSignal, Clock, Metrics, Randomness, TopicSignal
from tallystick.application.reads import SlowReads
from tallystick.application.transactions import Transactions
from tallystick.entrypoints.http.routes.operations import ReadinessProbe


class MemoryStore(Provider):
    """The stores in memory."""

    scope = Scope.APP
    signal = provide(SilentSignal, provides=ChangeSignal)
    topic_signal = provide(SilentSignal, provides=TopicSignal)

    @provide
    def transactions(self) -> Transactions:
        return MemoryTransactions()

    @provide
    def slow_reads(self, transactions: Transactions, randomness: Randomness) -> SlowReads:
        return SlowReads(transactions, randomness)

    @provide
    def probe(self, clock: Clock, metrics: Metrics, published: JwksCache | None) -> ReadinessProbe:
        return ReadinessProbe([published.faults] if published is not None else [], clock, metrics)
