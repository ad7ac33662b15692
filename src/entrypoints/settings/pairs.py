"""Settings of the form `name=value; name=value`: their grammar, and the values that are made of them."""

import re
from collections.abc import Mapping

from limits import parse_many

from tallystick.application.limit_groups import LIMIT_GROUPS, LimitGroup
from tallystick.domain.bounds import BOUNDS, UserBounds
from tallystick.domain.flags import Flag, Pins
from tallystick.domain.loyalty import Tiers
from tallystick.domain.rating_slips import Game, Games

OFF = "off"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]+")
_NUMBERS_OF_A_GAME = 3
_MOST_DIGITS = 18
"""So that a number is below 2 ** 63, and is read at once however long the text is."""


def read_pairs(text: str, *, form: str) -> dict[str, str]:
    """Return the values by name, in the order of the text. Blanks around names and values do not count.

    ValueError, which repeats `form`, for a part of another form, and for a name that is given twice.
    """
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, value = (word.strip() for word in part.partition("="))
        if not name or not value:
            raise ValueError(f"{part!r}: {form} is needed")
        if name in pairs:
            raise ValueError(f"{name} is given twice")
        pairs[name] = value
    return pairs


def read_request_headers(text: str) -> dict[str, str]:
    """Read `name=value; name=value`, the headers of requests; ValueError says what is right, without a value."""
    try:
        pairs = read_pairs(text, form="")
    except ValueError:
        pairs = {"": ""}
    if not all(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value) for name, value in pairs.items()):
        raise ValueError("name=value; name=value is needed, each name once, in printable ASCII characters")
    return pairs


def read_tiers(text: str) -> Tiers:
    """Read `name=points; name=points`, the lowest tier first; ValueError says what is wrong."""
    form = "name=points, as in bronze=0; silver=1000,"
    return Tiers(tuple((name, _number(points, form)) for name, points in read_pairs(text, form=form).items()))


def read_games(text: str) -> Games:
    """Read `name=decisions an hour,house edge in bp,points per 100; ...`; ValueError says what is wrong."""
    form = "name=decisions an hour,house edge in bp,points per 100"
    games: dict[str, Game] = {}
    for name, value in read_pairs(text, form=form).items():
        numbers = value.split(",")
        if len(numbers) != _NUMBERS_OF_A_GAME:
            raise ValueError(f"{name}={value}: {form} is needed")
        games[name] = Game(*(_number(number.strip(), form) for number in numbers))
    return Games(games)


def read_bounds(text: str) -> UserBounds:
    """Read `name=number; name=number` over the defaults; ValueError says what is wrong."""
    form = f"name=number with a name of {', '.join(BOUNDS)}"
    pairs = read_pairs(text, form=form)
    for name in pairs:
        if name not in BOUNDS:
            raise ValueError(f"{name!r}: {form} is needed")
    return UserBounds(**{name: _number(number, form) for name, number in pairs.items()})


def read_limits(text: str) -> Mapping[LimitGroup, str]:
    """Read `group=expression; group=expression` over the defaults, or `off`; ValueError says what is wrong."""
    limits = {group: rule.default for group, rule in LIMIT_GROUPS.items()}
    if text.strip() == OFF:
        return {}
    form = f"group=expression with a group of {', '.join(LIMIT_GROUPS)}"
    for name, expression in read_pairs(text, form=form).items():
        group = next((group for group in LIMIT_GROUPS if group == name), None)
        if group is None:
            raise ValueError(f"{name!r}: {form} is needed")
        if expression == OFF:
            del limits[group]
            continue
        try:
            parse_many(expression)
        except ValueError:
            raise ValueError(f"{expression!r} is not a limit; write for example 120/minute") from None
        limits[group] = expression
    return limits


def read_pins(text: str) -> Pins:
    """Read `name=on; name=off`; ValueError says what is wrong."""
    form = f"name=on or name=off with a name of {', '.join(Flag)}"
    pins: dict[Flag, bool] = {}
    for name, state in read_pairs(text, form=form).items():
        if name not in {flag.value for flag in Flag} or state not in {"on", "off"}:
            raise ValueError(f"{name}={state}: {form} is needed")
        flag, is_on = Flag(name), state == "on"
        if is_on and flag.locked is not None:
            raise ValueError(flag.locked)
        pins[flag] = is_on
    return Pins(pins)


def _number(text: str, form: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise ValueError(f"{text!r} is not a whole number: {form} is needed")
    return int(text)
