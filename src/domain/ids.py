"""Ids that this service makes: UUIDv7, ordered by time."""

from datetime import datetime

RANDOM_BYTES = 10


def uuid_v7(at: datetime, random_bytes: bytes) -> str:
    """Return the UUIDv7 (RFC 9562) of a time and of 10 random bytes."""
    milliseconds = int(at.timestamp()) * 1000 + at.microsecond // 1000
    chance = int.from_bytes(random_bytes[:RANDOM_BYTES], "big")
    number = milliseconds << 80 | 0x7 << 76 | (chance >> 62 & 0xFFF) << 64 | 0b10 << 62 | chance & (1 << 62) - 1
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
