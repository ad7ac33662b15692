"""Settings of identity: secrets, several of one kind while they rotate, and the algorithms of tokens."""

import re
from pathlib import Path
from typing import Literal

from tallystick.adapters.identity.tokens import PUBLISHED_ALGORITHMS, SECRET_ALGORITHMS
from tallystick.adapters.webhooks.signatures import WebhookSecrets

OFF: Literal["off"] = "off"
MAX_SECRETS = 10
SHORTEST_SECRET = 16
"""In characters."""
_WORD = re.compile(r'"([^"]*)"|(\S+)')


def read_secrets(text: str) -> tuple[str, ...]:
    """Return the secrets of a setting, separated by white space; ValueError says what is wrong, without a secret.

    A secret that holds white space stands in double quotes. A text none of whose parts is long enough for a secret is
    one secret, a passphrase.
    """
    words = tuple(quoted or plain for quoted, plain in _WORD.findall(text))
    are_long = [len(word) >= SHORTEST_SECRET for word in words]
    if not any(are_long) and len(text) >= SHORTEST_SECRET:
        return (text,)
    if not all(are_long):
        raise ValueError(
            f"a secret needs at least {SHORTEST_SECRET} characters. White space separates several secrets; put one "
            "that holds white space in double quotes"
            if len(words) > 1
            else f"a secret needs at least {SHORTEST_SECRET} characters"
        )
    if len(words) > MAX_SECRETS:
        raise ValueError(f"at most {MAX_SECRETS} secrets are taken")
    return words


def read_algorithms(text: str) -> frozenset[str]:
    """Read the names of algorithms, separated by spaces or commas; ValueError says which there are."""
    named = frozenset(text.replace(",", " ").split())
    if not named <= SECRET_ALGORITHMS | PUBLISHED_ALGORITHMS:
        raise ValueError("HS256, RS256 and ES256 can be named")
    return named


def read_webhook_secrets(text: str) -> WebhookSecrets | Literal["off"]:
    """Read the secrets that deliveries are signed with, or `off`; ValueError says what is wrong, without a secret."""
    return OFF if text == OFF else WebhookSecrets.parse(text)


def read_secret_file(path: str) -> str:
    """Return what a file holds, without the white space around it; ValueError where it cannot be read as UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise ValueError("the file cannot be read") from None
