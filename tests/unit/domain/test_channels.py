"""Names of channels: shown as they are written, in every script, and nothing that hides or turns other texts."""

import pytest

from tallystick.domain.channels import MAX_CHANNEL_NAME_LENGTH, is_channel_name

TAKEN = {
    "a word": "chess",
    "two words": "  Friday  night ",
    "right to left": "\u05e9\u05d7\u05de\u05d8",
    "a joiner that is no joiner of Persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "emoji in a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467 home",
    "a red heart": "\u2764\ufe0f",
    "accents": "E\u0301cole",
    "a wide space inside": "\u5c06\u3000\u68cb",
    "the longest": "x" * MAX_CHANNEL_NAME_LENGTH,
}
REFUSED = {
    "nothing": "",
    "spaces": "   ",
    "wide spaces": "\u3000\u2003",
    "joiners": "\u200d\ufe0f",
    "an empty braille pattern": "\u2800",
    "a zero-width space": "che\u200bss",
    **{f"bidi U+{code:04X}": f"che{chr(code)}ss" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200F)},
    **{f"control U+{code:04X}": f"che{chr(code)}ss" for code in (0x00, 0x07, 0x09, 0x0A, 0x1B, 0x7F, 0x85, 0x9B)},
    "a line separator": "a\u2028b",
    "half a character": "a\ud800",
    "unassigned": "a\u0378",
    "too long": "x" * (MAX_CHANNEL_NAME_LENGTH + 1),
}


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_a_name_that_is_seen_is_taken(text: str) -> None:
    assert is_channel_name(text)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_name_that_is_not_seen_or_turns_others_is_refused(text: str) -> None:
    assert not is_channel_name(text)
