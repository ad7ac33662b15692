"""The environment: the only place where variables are read, and where settings are made of them."""

import os
from collections.abc import Mapping
from typing import Literal, get_args, get_origin

import msgspec

from tallystick.entrypoints.settings.checks import check
from tallystick.entrypoints.settings.fields import HINTS, PREFIX, SETTINGS, Settings, SettingsError, variable
from tallystick.entrypoints.settings.secrets import read_secret_file

_FOR_TESTS = "TALLYSTICK_TEST_"


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the settings; SettingsError names the first that is unknown or wrong.

    A secret can be in a file: `TALLYSTICK_JWT_SECRET_FILE=/run/secrets/jwt`.
    """
    names = {variable(field): field for field in SETTINGS}
    files = {f"{variable(field)}_FILE": field for field, row in SETTINGS.items() if row.is_secret}
    ours = {name for name in environment if name.startswith(PREFIX) and not name.startswith(_FOR_TESTS)}
    for name in sorted(ours - set(names) - set(files)):
        raise SettingsError(f"{name} is not a setting; the settings are {', '.join(sorted(names))}")
    present = {name: value for name, value in environment.items() if value.strip()}
    given = {field: present[name] for name, field in names.items() if name in present}
    for name, field in files.items():
        if name in present:
            if field in given:
                raise SettingsError(f"{name} and {variable(field)} are both set; set one of them")
            if secret := _from_file(name, present[name]):
                given[field] = secret
    settings = msgspec.structs.replace(Settings(), **{field: _value(field, text) for field, text in given.items()})
    check(settings)
    return settings


def _from_file(name: str, path: str) -> str:
    try:
        return read_secret_file(path)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from None


def _value(field: str, text: str) -> object:
    """Return the value that a text stands for."""
    read = SETTINGS[field].read
    try:
        return read(text) if read is not None else msgspec.convert(text, HINTS[field], strict=False)
    except ValueError as error:  # of msgspec, too
        kind = get_args(HINTS[field])[0]
        right = f"one of {', '.join(get_args(kind))} is needed" if get_origin(kind) is Literal else str(error)
        raise SettingsError(f"{variable(field)}: {right}") from None
