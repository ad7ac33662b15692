"""Files of legacy users: a faulty line spoils no other one, and each is known by its number."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.adapters.legacy import files
from tallystick.adapters.legacy.files import FileFormat, FileSource
from tallystick.adapters.legacy.sources import LONGEST_LINE, read_mapping
from tallystick.domain.backfill import LISTED
from tallystick.domain.legacy import ABSENT_WORDS, AbsentWords, LegacyRecord
from tallystick.domain.legacy_sources import MalformedLine, SourceBatch, SourceError

NO_OBJECT_INSIDE = "code is a field of a JSON object, and the value is not a JSON object"
NOT_UTF8, NO_OBJECT = "the line is not UTF-8", "the line is not a JSON object"
TOO_LONG = f"the line is longer than {LONGEST_LINE} bytes"


class Reading:
    """A file that is read to its end."""

    def __init__(self, folder: Path, file_format: FileFormat) -> None:
        self.path, self.format = folder / f"users.{file_format}", file_format

    def source(self, *names: str) -> FileSource:
        return FileSource(self.path, self.format, read_mapping(names), AbsentWords(ABSENT_WORDS))

    async def __call__(self, content: bytes, *names: str) -> tuple[list[LegacyRecord], dict[int, str], FileSource]:
        """Return its records, the reasons of malformed lines by their numbers, and the source."""
        self.path.write_bytes(content)
        source = self.source(*names)
        batches = [batch async for batch in source.batches()]
        reasons = {line: reason for batch in batches for line, reason in batch.malformed}
        return [record for batch in batches for record in batch.records], reasons, source

    async def refused(self, content: bytes | None, *names: str) -> str:
        if content is not None:
            self.path.write_bytes(content)
        with pytest.raises(SourceError) as refused:
            _ = [batch async for batch in self.source(*names).batches()]
        return str(refused.value)


@pytest.fixture
def jsonl(tmp_path: Path) -> Reading:
    return Reading(tmp_path, "jsonl")


@pytest.fixture
def csv(tmp_path: Path) -> Reading:
    return Reading(tmp_path, "csv")


@pytest.fixture(params=["jsonl", "csv"])
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Reading:
    return Reading(tmp_path, request.param)


def places(records: list[LegacyRecord]) -> list[tuple[int, str, str | None]]:
    return [(record.line, record.user_id, record.code) for record in records]


def a_line(length: int) -> bytes:
    """Return a line of JSON that is so long."""
    empty = b'{"user_id":"ada","note":""}'
    return empty[:-2] + b"x" * (length - len(empty)) + b'"}'


class TestJsonLines:
    async def test_lines_keep_their_numbers(self, jsonl: Reading) -> None:
        records, malformed, _ = await jsonl(
            b'{"user_id": "ada", "code": "ADA11111"}\n\n   \r\n{"user_id": "ben", "code": "ben-2222"}\r\n'
            b'{\n{"user_id": 7}'
        )

        assert places(records) == [(1, "ada", "ADA11111"), (4, "ben", "BEN2222"), (6, "7", None)]
        assert malformed == {5: NO_OBJECT}

    async def test_a_byte_order_mark_belongs_to_no_line(self, jsonl: Reading) -> None:
        records, malformed, _ = await jsonl(b'\xef\xbb\xbf{"user_id": "ada"}\n\xef\xbb\xbf{"user_id": "ben"}\n')

        assert (places(records), malformed) == ([(1, "ada", None)], {2: NO_OBJECT})

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b"[]", NO_OBJECT),
            (b'"ada"', NO_OBJECT),
            (b"null", NO_OBJECT),
            (b"{'user_id': 'ada'}", NO_OBJECT),
            (b'{"user_id": "ada"} {"user_id": "ben"}', NO_OBJECT),
            (b'{"user_id": "ada"', NO_OBJECT),
            (b'{"user_id": NaN}', NO_OBJECT),
            (b'{"user_id": "ada", "points": 1e999}', NO_OBJECT),
            (b'{"user_id": "ada", "points": ' + b"9" * 5000 + b"}", NO_OBJECT),
            (b'{"user_id": "ada", "note": "\\ud800x"}', NO_OBJECT),
            (b'{"user_id": "ada", "note": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", NO_OBJECT),
            (b'{"user_id": "ada", "note": "\x00"}', NO_OBJECT),
            (b'{"user_id": "\xff"}', NOT_UTF8),
            (b'{"user_id": "ada", "\xff": 1}', None),
            (b'{"user_id": "ada", "note": "\xed\xa0\x80"}', NOT_UTF8),
            (b'{"user_id": "ada\\u0000"}', "user_id holds a NUL character"),
            (b'{"code": "ADA11111"}', "user_id has to be 1 to 128 of A-Z a-z 0-9 _ . : | @ -"),
            (b'{"user_id": "ada", "points": 1' + b"0" * 30 + b"}", "points has to be a whole number"),
        ],
    )
    async def test_a_line_that_cannot_be_read_stops_no_other(
        self, jsonl: Reading, line: bytes, reason: str | None
    ) -> None:
        records, malformed, _ = await jsonl(b'{"user_id": "zoe"}\n' + line + b'\n{"user_id": "yan"}\n')

        assert [(record.line, record.user_id) for record in records] == [(1, "zoe"), (3, "yan")]
        assert list(malformed) == [2]
        assert malformed[2].startswith(reason or NO_OBJECT) or malformed[2] == NOT_UTF8

    async def test_a_value_as_deep_as_it_can_be_read_is_refused_and_no_more(self, jsonl: Reading) -> None:
        """Where the parser stops depends on how deep its caller is."""
        reasons = set()
        for depth in range(880, 1010, 3):
            nested = b"[" * depth + b"]" * depth
            _, malformed, _ = await jsonl(b'{"user_id": "ada", "phone_verified": ' + nested + b"}\n")
            reasons.add(malformed[1])

        assert reasons == {NO_OBJECT, "phone_verified has to be true or false"}

    async def test_of_a_key_that_stands_there_twice_the_last_counts(self, jsonl: Reading) -> None:
        records, _, _ = await jsonl(b'{"user_id": "ada", "code": "ADA11111", "code": "ADA22222"}')

        assert places(records) == [(1, "ada", "ADA22222")]

    async def test_names_lead_into_objects(self, jsonl: Reading) -> None:
        records, malformed, source = await jsonl(
            b'{"id": "ada", "meta": {"ref": {"code": "ADA11111"}}}\n'
            b'{"id": "ben", "meta": {"ref": null}}\n'
            b'{"id": "cyd", "meta": {"ref": "CYD11111"}}\n'
            b'{"id": "dan", "meta": ""}\n'
            b'{"id": "eve", "meta.ref.code": "EVE11111"}\n'
            b'{"id": "fay", "meta": {"ref": {"code": {"x": 1}}}}\n',
            "user_id=id",
            "code=meta.ref.code",
        )

        assert [(record.user_id, record.code) for record in records] == [
            *(("ada", "ADA11111"), ("ben", None)),
            *(("dan", None), ("eve", None)),
        ]
        assert malformed == {3: NO_OBJECT_INSIDE, 6: "code has to be a text or a whole number"}
        assert source.ignored == ["meta.ref.code"]

    @pytest.mark.parametrize("inside", [b"[]", b"5", b"true", b'"[]"', b'"5"', b'"x"', b'"{"'])
    async def test_a_value_that_should_hold_an_object_and_does_not_is_reported(
        self, jsonl: Reading, inside: bytes
    ) -> None:
        _, malformed, _ = await jsonl(b'{"user_id": "ada", "meta": ' + inside + b"}\n", "code=meta.ref")

        assert malformed == {1: NO_OBJECT_INSIDE}

    async def test_an_object_may_be_written_as_text(self, jsonl: Reading) -> None:
        records, malformed, _ = await jsonl(
            rb'{"user_id": "ada", "meta": "{\"ref\": {\"code\": \"ADA11111\"}}"}' + b"\n"
            rb'{"user_id": "ben", "meta": {"ref": "{\"code\": \"BEN11111\"}"}}' + b"\n"
            b'{"user_id": "cyd", "meta": " "}\n{"user_id": "dan", "meta": null}\n',
            "code=meta.ref.code",
        )

        assert places(records) == [(1, "ada", "ADA11111"), (2, "ben", "BEN11111"), (3, "cyd", None), (4, "dan", None)]
        assert malformed == {}

    async def test_columns_that_are_not_used_are_reported(self, jsonl: Reading) -> None:
        _, _, source = await jsonl(
            b'{"user_id": "ada", "age": 3}\n{"user_id": "ben", "zip": 1, "age": 2, "code": ""}', "points=balance"
        )

        assert source.ignored == ["age", "zip"]


class TestCsv:
    async def test_lines_keep_their_numbers(self, csv: Reading) -> None:
        records, malformed, _ = await csv(
            b"\xef\xbb\xbfuser_id, code,note\r\nada,ADA11111,\r\n\r\nben,ben-2222,x\r\ncyd\r\ndan,DAN11111,x,y\r\n7,,"
        )

        assert places(records) == [(2, "ada", "ADA11111"), (4, "ben", "BEN2222"), (7, "7", None)]
        assert malformed == {
            5: "the line has 1 fields, the first line has 3",
            6: "the line has 4 fields, the first line has 3",
        }

    async def test_a_line_break_in_quotes_counts(self, csv: Reading) -> None:
        records, malformed, _ = await csv(
            b'user_id,display_name,code\nada,"a\nb\r\n\nc",ADA11111\nben,,BEN11111\n"cyd\n",,CYD11111\ndan,"""",DAN1\n'
        )

        assert places(records) == [(2, "ada", "ADA11111"), (6, "ben", "BEN11111"), (9, "dan", "DAN1")]
        assert list(malformed) == [7]
        assert [record.display_name for record in records] == [None, None, '"']

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b'ada,"ADA"11111', "the line is not CSV: "),
            (b"ada,A\rDA11111", "the line is not CSV: "),
            (b"ada,\xff", NOT_UTF8),
            (b"ada,ADA1\x00", "code holds a NUL character"),
            (b",ADA11111", "user_id has to be"),
            (b"ada," + b"x" * LONGEST_LINE, TOO_LONG),
            (b"ada," + b"x" * 3 * LONGEST_LINE, TOO_LONG),
        ],
    )
    async def test_a_line_that_cannot_be_read_stops_no_other(self, csv: Reading, line: bytes, reason: str) -> None:
        records, malformed, _ = await csv(b"user_id,code\nzoe,\n" + line + b"\nyan,\n")

        assert [(record.line, record.user_id) for record in records] == [(2, "zoe"), (4, "yan")]
        assert list(malformed) == [3]
        assert malformed[3].startswith(reason)

    async def test_the_rest_of_a_long_line_is_never_taken_for_a_line(self, csv: Reading) -> None:
        long = b"ada," + b"x" * (LONGEST_LINE // 2) + b"," + b"y" * (LONGEST_LINE // 2 - 9) + b",1234567"
        assert long[: LONGEST_LINE + 1].rpartition(b",")[2] == b"1234"

        records, malformed, _ = await csv(b"user_id,a,b,points\n" + long + b"\nben,,,5\n")

        assert [(record.line, record.points) for record in records] == [(3, 5)]
        assert malformed == {2: TOO_LONG}

    async def test_a_quote_that_nobody_closes_says_how_far_it_reaches(self, csv: Reading) -> None:
        head = b'user_id,code\nada,"ADA11111\nben,BEN11111\n'

        records, malformed, _ = await csv(head + b'cyd,"CYD11111"\ndan,DAN11111\n')
        to_the_end = await csv(head)

        assert (places(records), list(malformed)) == ([(5, "dan", "DAN11111")], [2])
        assert malformed[2].startswith("the text from here to line 4 is not CSV: ")
        assert (to_the_end[0], list(to_the_end[1])) == ([], [2])
        assert to_the_end[1][2].startswith("the text from here to line 3 is not CSV: ")

    async def test_columns_may_be_called_otherwise(self, csv: Reading) -> None:
        records, _, source = await csv(b"id,age,ref,code\nada,3,ADA11111,no\n", "user_id=id", "code=ref")

        assert places(records) == [(2, "ada", "ADA11111")]
        assert source.ignored == ["age", "code"]

    @pytest.mark.parametrize(
        ("content", "names", "reason"),
        [
            (b"", (), "the first line has no column user_id: name it by --map user_id=NAME"),
            (b"\n", (), "the first line has no column user_id"),
            (b"ada,ADA11111\n", (), "the first line has no column user_id"),
            (b"user-id;code\nada;ADA11111\n", (), "the first line has no column user_id"),
            (b"user_id:code\nada:ADA11111\n", (), "the first line has no column user_id"),
            (b"sep=;\nuser_id,code\nada,ADA11111\n", (), "the first line has no column user_id"),
            (b"sep=;\n", (), "the first line has no column user_id"),
            (b"user_id,code\n", ("user_id=id",), "the first line has no column id: name it by --map user_id=NAME"),
            (b"user_id,ref\n", ("code=reff",), "the first line has no column reff: name it by --map code=NAME"),
            (b"user_id,code,code\n", (), "the first line has two columns code"),
            (b"user_id,\xff\n", (), "the first line is not CSV in UTF-8"),
            (b'user_id,"a"b\n', (), "the first line is not CSV in UTF-8"),
            (b"user_id,code\rada,ADA11111\r", (), "the first line is not CSV in UTF-8"),
            (b"user_id," + b"x" * LONGEST_LINE, (), "the first line has no column user_id"),
        ],
    )
    async def test_the_first_line_has_to_name_the_columns(
        self, csv: Reading, content: bytes, names: tuple[str, ...], reason: str
    ) -> None:
        assert (await csv.refused(content, *names)).startswith(reason)

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("quote", [b"", b'"'])
    @pytest.mark.parametrize("delimiter", [b",", b";", b"\t", b"|"])
    @pytest.mark.parametrize("separator", ["none", "sep=", '"sep="', "SEP="])
    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    async def test_spreadsheets_separate_and_mark_as_they_like(
        self, csv: Reading, mark: bytes, quote: bytes, delimiter: bytes, separator: str, end: bytes
    ) -> None:
        rows = [[b"code", b"user_id", b"note"], [b"ADA11111", b"ada", b"a"], [b"", b"ben", b"b"]]
        lines = [delimiter.join(quote + value + quote for value in row) for row in rows]
        if separator != "none":
            lines.insert(0, separator.replace("=", "=" + delimiter.decode()).encode())
        first = len(lines) - 1

        records, malformed, source = await csv(mark + end.join(lines) + end)

        assert places(records) == [(first, "ada", "ADA11111"), (first + 1, "ben", None)]
        assert (malformed, source.ignored) == ({}, ["note"])

    async def test_a_header_with_a_line_break_in_quotes_is_one_row(self, csv: Reading) -> None:
        records, malformed, source = await csv(b'\xef\xbb\xbf"user_id","a\nb"\nada,x\n')

        assert (places(records), malformed, source.ignored) == ([(3, "ada", None)], {}, ["a\nb"])

    async def test_names_lead_into_objects_written_as_text(self, csv: Reading) -> None:
        records, malformed, source = await csv(
            b'id;meta;meta.age\nada;"{""ref"": {""code"": ""ADA11111""}}";1\nben;;2\ncyd;{};3\ndan;x;4\neve;NULL;5\n',
            *("user_id=id", "code=meta.ref.code", "points=meta.age"),
        )

        assert [(record.user_id, record.code, record.points) for record in records] == [
            *(("ada", "ADA11111", 1), ("ben", None, 2)),
            *(("cyd", None, 3), ("eve", None, 5)),
        ]
        assert (malformed, source.ignored) == ({5: NO_OBJECT_INSIDE}, [])

    async def test_utf16_is_named(self, either: Reading) -> None:
        for encoding in ("utf-16", "utf-16-be"):
            content = "\ufeff" * (encoding != "utf-16") + "user_id,code\nada,ADA11111\n"
            assert "UTF-16" in await either.refused(content.encode(encoding))

    async def test_columns_that_are_not_used_may_be_there_twice(self, csv: Reading) -> None:
        records, _, source = await csv(b"user_id,x,x,\nada,1,2,3\n")

        assert (places(records), source.ignored) == ([(2, "ada", None)], ["", "x"])


class TestEither:
    async def test_a_line_may_be_so_long_and_no_longer(self, jsonl: Reading, csv: Reading) -> None:
        lines = b"\n".join(a_line(length) for length in (LONGEST_LINE, LONGEST_LINE + 1, 200_000, LONGEST_LINE, 30))
        records, malformed, _ = await jsonl(lines)
        assert ([record.line for record in records], malformed) == ([1, 4, 5], {2: TOO_LONG, 3: TOO_LONG})

        row = b"ada," + b"x" * (LONGEST_LINE - 10) + b",12345"
        records, malformed, _ = await csv(b"user_id,x,y\n" + row + b"\n" + row + b"6\n" + row)
        assert ([record.line for record in records], malformed) == ([2, 4], {3: TOO_LONG})

    async def test_the_last_line_needs_no_end(self, jsonl: Reading, csv: Reading) -> None:
        assert len((await jsonl(b'{"user_id": "ada"}\n{"user_id": "ben"}'))[0]) == 2
        assert len((await csv(b"user_id\nada\nben"))[0]) == 2

    async def test_in_an_empty_file_nobody_is(self, jsonl: Reading, csv: Reading) -> None:
        assert (await jsonl(b""))[:2] == ([], {})
        assert (await csv(b"user_id"))[:2] == ([], {})

    async def test_a_folder_or_nothing_is_a_sentence(self, either: Reading) -> None:
        assert await either.refused(None) == "the file cannot be read: No such file or directory"
        with pytest.raises(SourceError, match="No such file"):
            _ = [share async for share in either.source().rehash()]
        either.path.mkdir()
        assert await either.refused(None) == "the file cannot be read: Is a directory"

    async def test_it_is_read_in_batches_and_reports_how_far_it_is(
        self, either: Reading, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "BATCH", 10)
        either.path.write_bytes(written(either, 25))

        batches = [batch async for batch in either.source().batches()]

        assert [len(batch.records) + len(batch.malformed) for batch in batches] == [10, 10, 5]
        shares = [batch.progress for batch in batches]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0

    async def test_it_is_found_again_by_its_whole_path(
        self, either: Reading, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)

        assert FileSource(Path(either.path.name), either.format, read_mapping(())).name == str(either.path)


def written(reading: Reading, users: int) -> bytes:
    """Return a file of some users, the third of whom cannot be read."""
    if reading.format == "csv":
        return b"user_id,code\n" + b"".join(b"user%d,\n" % n if n != 3 else b"\xff,\n" for n in range(users))
    return b"".join(b'{"user_id": "user%d"}\n' % n if n != 3 else b"{\n" for n in range(users))


class TestFingerprints:
    async def test_it_is_the_same_however_the_file_is_read(self, either: Reading) -> None:
        content = written(either, 50) + b"x" * 200_000 + b'\n"'
        _, _, read = await either(content)
        hashed, shares = either.source(), list[float]()
        shares = [share async for share in hashed.rehash()]

        assert read.fingerprint == hashed.fingerprint
        assert shares[-1] == 1.0
        again = either.source()
        for _ in range(2):
            _ = [batch async for batch in again.batches()]
        assert again.fingerprint == read.fingerprint

    @pytest.mark.parametrize("change", ["append", "cut", "swap", "case"])
    async def test_every_change_shows(self, either: Reading, change: str) -> None:
        content = written(either, 5)
        _, _, before = await either(content)
        lines = content.splitlines(keepends=True)
        changed = {
            "append": content + b"\n",
            "cut": content[:-1],
            "swap": b"".join([lines[0], lines[2], lines[1], *lines[3:]]),
            "case": content.replace(b"user4", b"User4"),
        }

        _, _, after = await either(changed[change])

        assert after.fingerprint != before.fingerprint

    @pytest.mark.parametrize("grows", [True, False])
    async def test_a_file_that_changes_while_it_is_read_is_not_the_one_that_is_there(
        self, either: Reading, grows: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "BATCH", 100)
        content = written(either, 20_000)
        either.path.write_bytes(content)
        source, batches = either.source(), list[SourceBatch]()

        async for batch in source.batches():
            if not batches:
                with either.path.open("r+b") as file:
                    file.seek(0, 2)
                    file.write(written(either, 1)) if grows else file.truncate(len(content) // 2)
            batches.append(batch)
        there, first = either.source(), either.path.read_bytes()
        either.path.write_bytes(content)
        _ = [share async for share in there.rehash()]

        assert (len(first) > len(content)) is grows
        assert source.fingerprint != there.fingerprint


@pytest.mark.parametrize("pair", ["code", "=x", "code=", "codes=x", "", "CODE=x"])
def test_a_mapping_names_a_column_and_its_name_in_the_file(pair: str) -> None:
    with pytest.raises(ValueError, match="column=name is needed"):
        read_mapping(("user_id=id", pair))


def test_a_column_that_is_not_mapped_keeps_its_name() -> None:
    names = read_mapping(("code=a=b", "user_id=id", "user_id=uid"))

    assert (names["code"], names["user_id"], names["points"]) == ("a=b", "uid", "points")


def every_malformed(batches: list[SourceBatch]) -> Iterator[MalformedLine]:
    for batch in batches:
        yield from batch.malformed


async def test_no_reason_repeats_what_stands_there(jsonl: Reading, csv: Reading) -> None:
    secret = "s3cret"
    values: list[object] = [secret, [secret], {secret: secret}, f"{secret}\x00"]
    columns = ("user_id", "code", "created_at", "phone_verified", "referred_by", "points", "deleted_at", "email")
    lines = [{"user_id": "ada", column: value} for column in columns for value in values]
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + secret.encode()
    _, of_json, _ = await jsonl(content)
    _, of_csv, _ = await csv(
        f'user_id,points\n{secret},{secret}\n{secret}\n{secret}"{secret},"\n{secret},"x"{secret}\n'.encode()
    )

    assert len(of_json) > 20
    assert len(of_csv) == 3
    assert [reason for reason in (*of_json.values(), *of_csv.values()) if secret in reason] == []


async def test_names_without_end_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_text(
        "".join(f'{{"user_id": "ada", "{"long" * 50}": 1, "name{number}": 1}}\n' for number in range(LISTED + 5)),
        encoding="utf-8",
    )
    source = FileSource(path, "jsonl", read_mapping(()))

    async for _ in source.batches():
        pass

    assert len(source.ignored) == LISTED
    assert max(map(len, source.ignored)) < 20
