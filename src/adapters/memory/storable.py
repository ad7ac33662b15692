"""Values that PostgreSQL cannot keep, refused here as it refuses them."""

import msgspec

from tallystick.domain.refusals import InvalidText

_NUMBERS = range(-(2**63), 2**63)


def require_storable(value: object) -> None:
    """Raise InvalidText where a value holds a NUL, half of a surrogate pair, or a number of more than 64 bits."""
    if isinstance(value, str):
        if "\0" in value or not (value.isascii() or _is_unicode(value)):
            raise InvalidText
    elif isinstance(value, int):
        if value not in _NUMBERS:
            raise InvalidText
    elif isinstance(value, tuple):
        for part in value:
            require_storable(part)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            require_storable(getattr(value, field))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
