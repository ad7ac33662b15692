"""Fingerprints of requests: keyed hashes under a key that is stored beside the replies."""

import hashlib
import hmac

from tallystick.application.ports import Randomness
from tallystick.application.reads import Reads, run_with_retries
from tallystick.application.transactions import Transactions

KEY_BYTES = 32


class Fingerprints:
    """Hashes requests under one key for all instances; the key does not depend on any other secret.

    The hash is keyed because a body may hold a password: without the key, passwords cannot be tried on a stored
    fingerprint.
    """

    def __init__(self, transactions: Transactions, reads: Reads, randomness: Randomness, *, earlier_key: bytes) -> None:
        """`earlier_key` is the key of older versions; it stays the key where their fingerprints are stored."""
        self._transactions, self._reads, self._randomness = transactions, reads, randomness
        self._earlier_key = earlier_key
        self._key: bytes | None = None

    async def __call__(self, request: bytes) -> bytes:
        """Return the fingerprint of a request; Overloaded where the key is not loaded yet and cannot be read."""
        if self._key is None:
            self._key = await self._reads(lambda stores: stores.fingerprint_keys.find()) or await self._first_key()
        return hmac.digest(self._key, request, hashlib.sha256)

    async def _first_key(self) -> bytes:
        drawn = self._randomness.bytes(KEY_BYTES)

        async def store() -> bytes:
            async with self._transactions.begin() as stores:
                await stores.fingerprint_keys.keep(drawn, where_replies_are_stored=self._earlier_key)
                return await stores.fingerprint_keys.find() or drawn

        return await run_with_retries(store, self._randomness)
