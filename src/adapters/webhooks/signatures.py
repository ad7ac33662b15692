"""Standard Webhooks: strict verification, with several secrets during a rotation.

Source: the Standard Webhooks specification; Svix sends the same under `svix-*` names.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

TOLERANCE = timedelta(minutes=5)
MAX_SIGNATURES = 20
MAX_SECRETS = 10
_ID = re.compile(r"[!-~]{1,255}\Z")
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,9}\Z")
_SHORTEST_KEY, _LONGEST_KEY = 16, 64


class SignatureInvalid(Exception):
    """The delivery has no valid signature, or is too old. The text of the error is for operators only."""


class Signed(msgspec.Struct, frozen=True):
    """The facts that a valid signature proves."""

    message_id: str
    sent_at: datetime


class WebhookSecrets(msgspec.Struct, frozen=True):
    """The secrets in use: the first one signs, and every one verifies."""

    keys: tuple[bytes, ...]

    @classmethod
    def parse(cls, text: str) -> "WebhookSecrets":
        """Read `whsec_...` and `v1,whsec_...`, separated by spaces; ValueError says what is wrong, without a secret."""
        words = text.split()
        if not 1 <= len(words) <= MAX_SECRETS:
            raise ValueError(f"1 to {MAX_SECRETS} secrets are needed")
        return cls(tuple(_key(word, number) for number, word in enumerate(words, start=1)))

    def sign(self, message_id: str, sent_at: datetime, body: bytes) -> str:
        """Return the signature header for a message, signed with the first secret."""
        timestamp = str(int(sent_at.timestamp()))
        return f"v1,{base64.b64encode(_digest(self.keys[0], message_id, timestamp, body)).decode()}"

    def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Signed:
        """Return what the headers prove; SignatureInvalid where they prove nothing. Header names are in lower case."""
        prefix = "webhook" if "webhook-id" in headers else "svix"
        message_id = headers.get(f"{prefix}-id", "")
        timestamp = headers.get(f"{prefix}-timestamp", "")
        if not _ID.match(message_id) or not _TIMESTAMP.match(timestamp):
            raise SignatureInvalid("webhook-id or webhook-timestamp (or the names of Svix) is missing or malformed")
        sent_at = datetime.fromtimestamp(int(timestamp), UTC)
        if abs(now - sent_at) > TOLERANCE:
            raise SignatureInvalid("its time is more than five minutes off: compare the clocks")
        given = _signatures(headers.get(f"{prefix}-signature", ""))
        expected = [_digest(key, message_id, timestamp, body) for key in self.keys]
        # Every pair is compared, so that the duration does not reveal which one nearly fits.
        if not sum(hmac.compare_digest(one, other) for one in given for other in expected):
            raise SignatureInvalid("no secret of TALLYSTICK_WEBHOOK_SECRETS signed this body")
        return Signed(message_id, sent_at)


def _digest(key: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)


def _signatures(header: str) -> list[bytes]:
    """Return the well-formed v1 signatures; malformed ones are skipped."""
    signatures: list[bytes] = []
    for entry in header.split(" ")[:MAX_SIGNATURES]:
        version, comma, encoded = entry.partition(",")
        if version == "v1" and comma:
            try:
                signatures.append(base64.b64decode(encoded, validate=True))
            except (binascii.Error, ValueError):
                continue
    return signatures


def _key(word: str, number: int) -> bytes:
    encoded = word.removeprefix("v1,")
    if not encoded.startswith("whsec_"):
        raise ValueError(f"secret {number} does not start with whsec_")
    encoded = encoded.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"secret {number} is not base64 behind whsec_") from None
    if not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY:
        raise ValueError(f"secret {number} holds {len(key)} bytes; {_SHORTEST_KEY} to {_LONGEST_KEY} are needed")
    return key
