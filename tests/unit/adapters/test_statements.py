"""The loader of SQL files, and what the files and the stores owe each other."""

import ast
import re
from pathlib import Path

import pytest

import tallystick.adapters.postgres
from tallystick.adapters.postgres.statements import Statements

FOLDER = Path(str(tallystick.adapters.postgres.__file__)).parent
CAPABILITIES = sorted(path.stem for path in (FOLDER / "sql").glob("*.sql"))


def load(*lines: str) -> Statements:
    return Statements("\n".join(lines), source="words.sql")


class TestWhatIsRead:
    def test_a_block_is_found_by_its_name_without_its_comments_and_semicolon(self) -> None:
        statements = load("-- find(ids, limit) -> int", "-- A reason.", "SELECT $1,", "-- another", "  $2;", "")

        assert statements.find == "SELECT $1,\n  $2"

    def test_a_statement_may_have_no_parameters(self) -> None:
        assert load("-- count() -> int", "SELECT 1;").count == "SELECT 1"

    def test_a_parameter_may_be_used_twice_and_in_any_order(self) -> None:
        assert load("-- find(a, b) -> int", "SELECT $2, $1, $2;").find == "SELECT $2, $1, $2"

    def test_blocks_are_walked_in_the_order_of_the_file(self) -> None:
        statements = load("-- second() -> int", "SELECT 2;", "", "-- first() -> int", "SELECT 1;")

        assert list(statements) == [("second", "SELECT 2"), ("first", "SELECT 1")]

    def test_a_name_that_is_not_there_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="no statement is called lost"):
            _ = load("-- find() -> int", "SELECT 1;").lost


class TestWhatIsRefused:
    @pytest.mark.parametrize("header", ["-- find() -> int", "-- find(a) -> int", "-- find(a, b, c) -> int"])
    def test_a_header_that_names_more_or_fewer_parameters_than_are_used(self, header: str) -> None:
        with pytest.raises(ValueError, match=r"words\.sql: find names \d parameters and uses \[1, 2\]"):
            load(header, "SELECT $1, $2;")

    def test_a_gap_in_the_parameters(self) -> None:
        with pytest.raises(ValueError, match=r"find names 2 parameters and uses \[1, 3\]"):
            load("-- find(a, b) -> int", "SELECT $1, $3;")

    def test_two_statements_of_one_name(self) -> None:
        with pytest.raises(ValueError, match="two statements are called find"):
            load("-- find() -> int", "SELECT 1;", "-- find() -> int", "SELECT 2;")

    @pytest.mark.parametrize("header", ["-- find(a)", "-- find()"])
    def test_a_header_without_a_result(self, header: str) -> None:
        with pytest.raises(ValueError, match="the header of find names no result"):
            load("-- first() -> int", "SELECT 1;", header, "SELECT 1;")

    @pytest.mark.parametrize("line", ["SELECT 1;", "-- a comment about the file", "-- Find(ids)"])
    def test_text_before_the_first_header(self, line: str) -> None:
        with pytest.raises(ValueError, match="is before the first header"):
            load(line, "-- find() -> int", "SELECT 1;")

    @pytest.mark.parametrize("body", [("SELECT 1",), ("SELECT 1; SELECT 2",), ()])
    def test_a_block_that_does_not_end_with_a_semicolon(self, body: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match="find does not end with a semicolon"):
            load("-- find() -> int", *body)

    def test_the_last_block_as_well(self) -> None:
        with pytest.raises(ValueError, match="last does not end with a semicolon"):
            load("-- find() -> int", "SELECT 1;", "-- last() -> int", "SELECT 1")


class _Uses(ast.NodeVisitor):
    """The capabilities that a module loads, and the statements that it names or walks through."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.named: set[str] = set()
        self.walks = False

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "Statements.load":
            assert isinstance(node.args[0], ast.Constant)
            self.loaded.append(str(node.args[0].value))
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id == "_SQL":
            self.named.add(node.attr)
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self.walks = self.walks or (node.id == "_SQL" and isinstance(node.ctx, ast.Load))


def uses_by_capability() -> dict[str, _Uses]:
    found: dict[str, _Uses] = {}
    for path in sorted(FOLDER.rglob("*.py")):
        uses = _Uses()
        uses.visit(ast.parse(path.read_text(encoding="utf-8")))
        for capability in uses.loaded:
            assert capability not in found, f"{capability}.sql is loaded twice"
            assert len(uses.loaded) == 1, f"{path.name} loads more than one file"
            found[capability] = uses
    return found


class TestFilesAndStores:
    def test_every_file_is_loaded_by_one_module(self) -> None:
        assert sorted(uses_by_capability()) == CAPABILITIES

    @pytest.mark.parametrize("capability", CAPABILITIES)
    def test_every_statement_is_used_and_every_one_that_is_used_exists(self, capability: str) -> None:
        uses = uses_by_capability()[capability]
        written = {name for name, _ in Statements.load(capability)}

        assert (uses.named | written if uses.walks else uses.named) == written

    def test_no_store_reads_a_row_by_the_number_of_a_column(self) -> None:
        """Rows are unpacked whole, in the order that their header promises, or read by the names of columns."""
        by_number = re.compile(r"\brow\[[-\d:]")

        assert [path.name for path in FOLDER.rglob("*.py") if by_number.search(path.read_text(encoding="utf-8"))] == []

    @pytest.mark.parametrize("capability", CAPABILITIES)
    def test_no_statement_reads_the_clock(self, capability: str) -> None:
        clock = re.compile(r"\b(now\(|\w+_timestamp\b|current_(date|time)\b|localtime)", re.IGNORECASE)

        # The contract compares the database's clock with this machine's. The time of an event is read under the lock of
        # its topic, so that times have the order of numbers on every instance. The end of an overlay is one instant on
        # every instance, too.
        readers = {
            "contract": ["clock"],
            "topics": ["lock"],
            "overlays": ["claim_ended", "shown", "to_next_end"],
            "holdings": ["overlays"],
        }
        assert [name for name, sql in Statements.load(capability) if clock.search(sql)] == readers.get(capability, [])
