"""Which texts are usernames, and which of them are the same name."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.domain.usernames import username_form, username_key

SPELLINGS = {
    "ada": ["ada", "Ada", "ADA", " ada", "ada ", "  ada  ", "\u3000ada\u00a0", "ａｄａ", "ＡＤＡ", "𝒶𝒹𝒶", "ⓐⓓⓐ"],
    "ada lovelace": ["ada lovelace", "Ada  Lovelace", "ada\u2003lovelace", "ada\u1680lovelace"],
    "josé": ["josé", "JOSÉ", "jose\u0301", "JOSE\u0301"],
    "strasse": ["strasse", "straße", "STRASSE", "STRAẞE"],
    "σοφος": ["σοφος", "ΣΟΦΟΣ", "σοφοσ", "Σοφος"],
    "fish": ["fish", "ﬁsh", "FISH"],
    "жанна": ["жанна", "ЖАННА", "Жанна"],
    "カ": ["カ", "ｶ"],
    "x²": ["x²", "x2", "X₂"],
    "💡": ["💡"],
}
INVISIBLE = {
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "zero width non-joiner": "\u200c",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "right-to-left override": "\u202e",
    "left-to-right mark": "\u200e",
    "isolate": "\u2066",
    "tag": "\U000e0041",
    "variation selector": "\ufe0f",
    "combining grapheme joiner": "\u034f",
    "hangul filler": "\u3164",
    "half-width hangul filler": "\uffa0",
    "braille blank": "\u2800",
    "mongolian vowel separator": "\u180e",
    "object replacement": "\ufffc",
    "musical null notehead": "\U0001d159",
    "khitan small script filler": "\U00016fe4",
    "null": "\x00",
    "newline": "\n",
    "tab": "\t",
    "delete": "\x7f",
    "next line": "\x85",
    "line separator": "\u2028",
    "unassigned": "\u0378",
    "noncharacter": "\uffff",
    "private": "\ue000",
    "surrogate": "\ud800",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_of_one_name_share_a_key(name: str) -> None:
    forms = [username_form(text) for text in SPELLINGS[name]]

    assert all(form is not None for form in forms)
    assert len({username_key(form) for form in forms if form is not None}) == 1


def test_different_names_have_different_keys() -> None:
    assert len({username_key(name) for name in SPELLINGS}) == len(SPELLINGS)


@pytest.mark.parametrize("character", INVISIBLE.values(), ids=INVISIBLE)
def test_a_name_with_a_character_that_cannot_be_seen_is_none(character: str) -> None:
    for text in (f"a{character}da", f"{character}ada", f"ada{character}", character):
        assert username_form(text) is None


@pytest.mark.parametrize("text", ["", " ", "\u3000", "x" * 129, "ﷺ" * 8, "\u0301ada", "ada \u0301x", "a" * 10_000])
def test_a_text_without_a_name_in_it_is_none(text: str) -> None:
    assert username_form(text) is None


@pytest.mark.parametrize("text", ["a", "x" * 128, "Ada L.", "ada_l-7", "ada@example.org", "日本", "à la carte"])
def test_names_are_kept_as_they_are_written(text: str) -> None:
    assert username_form(text) == text


@given(st.text(max_size=140))
def test_the_form_of_a_form_is_itself_and_its_key_stays(text: str) -> None:
    form = username_form(text)
    if form is None:
        return

    assert username_form(form) == form
    assert 1 <= len(form) <= 128
    assert username_key(form) == username_key(username_key(form))
    for other in (form.upper(), form.lower(), unicodedata.normalize("NFD", form), f"  {form} "):
        spelled = username_form(other)
        assert spelled is None or username_key(spelled) == username_key(form) or spelled.casefold() != form.casefold()
