"""The words: names that were replaced stay away, and sentences have a named subject in front of their verb."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {"swagger_ui", "node_modules", "migrations", "test_words.py", "package-lock.json"}
"""Files of others, a migration, which never changes once it was shipped, and this file."""
COMMENT_MARKS = {".sql": "--", ".js": "//", ".sh": "#", ".yaml": "#", ".toml": "#", "": "#"}

REPLACED_NAMES = frozenset(
    {
        *(
            "_Book",
            "_File",
            "Arrival",
            "Arrived",
            "BITE",
            "Bought",
            "BringAlong",
            "Exchange",
            "Introduction",
            "Machine",
        ),
        *("Notice", "Place", "Question", "Roll"),
    }
)
"""Whole names that a term of the field has replaced; a part of another name may be such a word."""
REPLACED_PARTS = frozenset(
    {
        *("basket", "baskets", "bell", "depart", "desk", "doorbell", "doorbells", "leaver", "leavers", "lent", "noes"),
        *("rung", "settle", "settled", "settles", "standing", "standings", "talkative", "told"),
    }
)
"""Words that no name contains."""

_MAY_BE_REPLACED = re.compile("|".join((*REPLACED_NAMES, *REPLACED_PARTS, "tell_")), re.IGNORECASE)
_REPLACED_WORDS = re.compile(
    r"\b(?:told|noes|whoever|whomever|whosoever|may be no)\b"
    r"|, for (?:that|it|they|this|there|nobody|everybody) (?:is|are|was|were|has|have|had|can|could|would|must|does)\b",
    re.IGNORECASE,
)
_HEADLESS_SENTENCE = re.compile(r"(?:Who|Whom|Whoever|Whatever|What) [a-z`]")
_HEADLESS_CLAUSE = re.compile(r"; (?:who|whom|what|whatever) [a-z`]")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')*]*\s+")
_MAY_BE_FAULTY = re.compile(
    r"\b(?:told|noes|who(?:m|so)?ever|may\W+be\W+no)\b|(?-i:\b(?:Who|Whom|What|Whatever)\b)|[;,]\W+(?:who|whom|what|whatever|for)\b",
    re.IGNORECASE,
)
"""A quick look at a file, so that only some files are read word by word."""
_QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"")
_ITEM = re.compile(r"\s*(?:[-*]|\d+\.) ")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Passage(NamedTuple):
    """Sentences that belong together, and the line at which they begin."""

    line: int
    text: str


def files() -> Iterator[Path]:
    """Yield every file that people read."""
    for pattern in (
        "src/**/*",
        "tests/**/*",
        "bench/**/*",
        "drills/**/*",
        "tools/**/*",
        "docs/**/*.md",
        "docker/**/*",
        "*.md",
        "Makefile",
        ".ci/run",
    ):
        for file in sorted(ROOT.glob(pattern)):
            if file.is_file() and not SKIPPED & set(file.parts) and file.suffix in {".py", ".md", *COMMENT_MARKS}:
                yield file


def passages(file: Path) -> Iterator[Passage]:
    """Yield the prose of a file: comments, texts in quotes, paragraphs, cells of tables."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        yield from _of_python(text)
    elif file.suffix == ".md":
        yield from _of_markdown(text)
    else:
        lines = [
            (number, line.partition(COMMENT_MARKS[file.suffix])) for number, line in enumerate(text.splitlines(), 1)
        ]
        yield from _joined([(number, parts[2]) for number, parts in lines if parts[1]])


def _of_python(text: str) -> Iterator[Passage]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    yield from _joined([(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT])
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for paragraph in re.split(r"\n\s*\n|\n\s*- ", node.value):
                yield Passage(node.lineno, " ".join(paragraph.split()))


def _of_markdown(text: str) -> Iterator[Passage]:
    begun, words, is_code = 0, "", False
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        is_fence = line.startswith("```")
        is_code ^= is_fence
        is_prose = not (is_code or is_fence or not line.strip() or line.startswith(("#", "|", "<!--")))
        if words and (not is_prose or _ITEM.match(line)):
            yield Passage(begun, words)
            words = ""
        if line.startswith("|"):
            yield from (Passage(number, cell.strip()) for cell in line.split("|"))
        elif is_prose:
            begun, words = (begun if words else number), f"{words} {_ITEM.sub('', line).strip()}".strip()


def _joined(comments: Sequence[tuple[int, str]]) -> Iterator[Passage]:
    """Yield comments; comments in successive lines are one passage."""
    begun, words, last = 0, "", -1
    for line, comment in comments:
        if words and line != last + 1:
            yield Passage(begun, words)
            words = ""
        begun, words, last = (begun if words else line), f"{words} {comment.lstrip('# ')}".strip(), line
    if words:
        yield Passage(begun, words)


def faults_of(text: str) -> Iterator[str]:
    """Yield the sentences of a text that take two readings."""
    for sentence in _SENTENCE.split(_QUOTED.sub("`x`", text)):
        begins = sentence.lstrip("*(_ ")
        is_question = sentence.rstrip("\"')*").endswith("?")
        if _REPLACED_WORDS.search(sentence) or (
            not is_question and (_HEADLESS_SENTENCE.match(begins) or _HEADLESS_CLAUSE.search(sentence))
        ):
            yield sentence


def replaced_names(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines and names of Python code that contain a replaced name."""
    if _MAY_BE_REPLACED.search(text) is None:
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            words = {word.lower() for word in _WORD.findall(token.string)}
            if (
                {token.string, token.string.lstrip("_")} & REPLACED_NAMES
                or words & REPLACED_PARTS
                or token.string.startswith("tell_")
            ):
                yield token.start[0], token.string


@pytest.mark.parametrize(
    "text",
    [
        "Whoever looks sees it.",
        "A sentence. What is refused leaves no trace.",
        "It stays; what was sent is dropped.",
        "The caller is told so.",
        "Whom nothing names is 404, for that is a slip of the pen.",
        "It may be no superuser.",
        "**What is here** stays.",
        "Who cannot pay is refused.",
    ],
)
def test_a_sentence_that_takes_two_readings_is_found(text: str) -> None:
    assert len(list(faults_of(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "What is it? Who asks?",
        "Users who have no code get one; the answer says what to do.",
        'The quoted "Who is told" and `whoever` are names.',
        "A key for each purpose, for it and for the others.",
        "What",
        "see who acts, and whose code it is",
    ],
)
def test_a_plain_sentence_is_left_alone(text: str) -> None:
    assert list(faults_of(text)) == []


def test_names_are_found_whole_and_by_their_parts() -> None:
    code = (
        "def settle(told: Desk, _Place: int) -> None: PointsDesk, is_talkative, tell_users = told, untold, file.tell()"
    )

    assert [name for _, name in replaced_names(code)] == [
        *("settle", "told", "Desk", "_Place", "PointsDesk", "is_talkative", "tell_users", "told"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.py",
            '"""One\n\nTwo words."""\n# a\n# comment\nx = 1  # another\n',
            ["a comment another", "One", "Two words."],
        ),
        (
            "a.md",
            "# A title\n\nOne\ntwo.\n\n- three\n  four\n- five\n\n```\ncode\n```\n| a | b c |\n",
            ["One two.", "three four", "five", "a", "b c"],
        ),
        ("a.sql", "-- one\n-- two\nSELECT 1;\n-- three\n", ["one two", "three"]),
    ],
)
def test_prose_is_found(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")

    assert [passage.text for passage in passages(file) if passage.text] == expected


def test_every_sentence_has_a_named_subject() -> None:
    faults = [
        f"{file.relative_to(ROOT)}:{passage.line}: {sentence}"
        for file in files()
        if _MAY_BE_FAULTY.search(file.read_text(encoding="utf-8"))
        for passage in passages(file)
        for sentence in faults_of(passage.text)
    ]

    assert faults == []


def test_replaced_names_stay_away() -> None:
    faults = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in files()
        if file.suffix == ".py"
        for line, name in replaced_names(file.read_text(encoding="utf-8"))
    ]

    assert faults == []
