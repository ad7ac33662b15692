"""The normal form of codes, and how candidates are drawn."""

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.adapters.memory.ports import SeededRandomness
from tallystick.domain.codes import CROCKFORD, MAX_CANDIDATES, draw_candidates, normal_form

FORM = re.compile(r"[0-9A-Z]{4,32}\Z")
DECORATION = " \t\n\r\v\f-"


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("ABCD2345", "ABCD2345"),
        ("abcd2345", "ABCD2345"),
        ("  ab-cd 23\t45\r\n", "ABCD2345"),
        ("----ABCD----", "ABCD"),
        ("1234", "1234"),
        ("0O1IL", "0O1IL"),
        ("a" * 32, "A" * 32),
    ],
)
def test_a_typed_code_has_one_form(typed: str, normal: str) -> None:
    assert normal_form(typed) == normal


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "---",
        "ABC",
        "A" * 33,
        "ABCD_234",
        "ABCD+234",
        "ABCD\x00234",
        "ABCD234\x7f",
        "ABCD\x1c2345",
        "ABCD\u00a02345",
        "ABCD\u20112345",
        "abcdı234",
        "abcdſ234",
        "abcd\u212a234",
        "straße99",
        "ﬁsh1234",
        "ＡＢＣＤ1234",
        "АВСD1234",
        "ABCD２345",
        "\ud800ABCD",
    ],
)
def test_a_text_that_is_no_code_has_no_form(typed: str) -> None:
    assert normal_form(typed) is None


def test_megabytes_have_a_form_or_none() -> None:
    assert normal_form("-" * 1_000_000 + "ABCD") == "ABCD"
    assert normal_form("A" * 1_000_000) is None


@given(st.text())
@example("ı" * 8)
def test_a_form_is_the_form_of_itself(text: str) -> None:
    normal = normal_form(text)

    assert normal is None or (FORM.match(normal) and normal_form(normal) == normal)


@given(
    st.from_regex(FORM, fullmatch=True),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(DECORATION))),
    st.booleans(),
)
def test_decoration_and_case_change_nothing(code: str, decoration: list[tuple[int, str]], lower: bool) -> None:
    typed = code.lower() if lower else code
    for place, mark in decoration:
        typed = typed[:place] + mark + typed[place:]

    assert normal_form(typed) == code


@given(st.text(min_size=1))
def test_a_text_with_anything_beyond_ascii_has_no_form(text: str) -> None:
    assert text.isascii() or normal_form(f"ABCD{text}") is None


def test_a_mint_has_eight_candidates_in_normal_form() -> None:
    candidates = draw_candidates(SeededRandomness().bytes)

    assert len(candidates) == MAX_CANDIDATES
    assert all(len(code) == 8 and normal_form(code) == code for code in candidates)
    assert not set("".join(candidates)) & set("ILOU")


@pytest.mark.parametrize("alphabet", [CROCKFORD, "ABC", "0123456789", "ABCDEFGHJKMNPQRSTVWXYZ"])
def test_every_byte_counts_for_every_symbol_alike(alphabet: str) -> None:
    """Fed with every byte once, an unbiased draw yields every symbol equally often; a modulo would not."""
    stream = iter(bytes(range(256)) * 40)

    def every_byte(count: int) -> bytes:
        return bytes(next(stream) for _ in range(count))

    cycle = 256 - 256 % len(alphabet)
    drawn = ""
    while len(drawn) < cycle:
        drawn += "".join(draw_candidates(every_byte, alphabet=alphabet, length=16))

    counts = Counter(drawn[:cycle])
    assert len(set(counts.values())) == 1
    assert set(counts) == set(alphabet)


def test_symbols_are_spread_evenly() -> None:
    randomness = SeededRandomness(3)
    counts = Counter("".join(code for _ in range(2000) for code in draw_candidates(randomness.bytes)))

    expected = 2000 * MAX_CANDIDATES * 8 / 32
    assert all(abs(count - expected) < 0.1 * expected for count in counts.values())
    assert len(counts) == 32


def test_bytes_past_the_last_whole_round_of_the_alphabet_are_thrown_away() -> None:
    """With ten symbols, 250 to 255 would make the first six of them likelier."""
    drawn: list[int] = []

    def random_bytes(count: int) -> bytes:
        drawn.append(count)
        return bytes([255, 250, *range(10)])[:count] if len(drawn) == 1 else bytes([7] * count)

    candidates = draw_candidates(random_bytes, alphabet="0123456789", length=4)

    assert "".join(candidates).startswith("0123456789" + "7" * 10)


def test_a_second_draw_asks_only_for_the_symbols_that_are_missing() -> None:
    """255 is thrown away with ten symbols, so one symbol is missing after the first draw."""
    asked: list[int] = []

    def draw(count: int) -> bytes:
        asked.append(count)
        return bytes([255] + [0] * (count - 1)) if len(asked) == 1 else bytes(count)

    draw_candidates(draw, alphabet="0123456789", length=4)

    assert asked == [4 * MAX_CANDIDATES, 1]
