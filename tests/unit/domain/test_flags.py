"""The description of each flag."""

from datetime import UTC, datetime

import pytest

from tallystick.domain.flags import Flag, FlagNotFound, FlagState, Pins, Switch, flag_named, state_of, switch

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_flag_has_a_default_and_a_line_that_says_what_it_does() -> None:
    assert all(isinstance(flag.default, bool) for flag in Flag)
    assert all(flag.meaning.endswith(".") and "\n" not in flag.meaning for flag in Flag)


def test_a_locked_flag_is_off_and_the_reason_names_it() -> None:
    locked = [flag for flag in Flag if flag.locked is not None]

    assert locked == [Flag.MINT_IN_REFERRAL_API]
    for flag in locked:
        assert not flag.default
        assert str(flag.locked).startswith(flag)


@pytest.mark.parametrize("flag", Flag)
def test_a_flag_is_found_by_its_name_alone(flag: Flag) -> None:
    assert flag_named(flag.value) is flag
    for name in (flag.value.upper(), flag.name, f"{flag.value} ", ""):
        with pytest.raises(FlagNotFound, match=flag.value):
            flag_named(name)


def test_a_switch_stands_over_the_default_and_a_pin_over_both() -> None:
    off = Switch(Flag.POINTS_ENABLED, False, NOW, "ada")

    assert state_of(off.flag, None, Pins({})) == FlagState(off.flag, True, False, None, None)
    assert state_of(off.flag, off, Pins({})) == FlagState(off.flag, False, False, NOW, "ada")
    assert state_of(off.flag, off, Pins({off.flag: True})) == FlagState(off.flag, True, True, None, None)


def test_a_switch_that_changes_something_is_the_new_one() -> None:
    off, on = (Switch(Flag.POINTS_ENABLED, enabled, NOW, "ada") for enabled in (False, True))

    assert switch(on, None, Pins({})) is on
    assert switch(on, off, Pins({})) is on
    assert switch(Switch(on.flag, True, NOW, "bob"), on, Pins({})) is on
