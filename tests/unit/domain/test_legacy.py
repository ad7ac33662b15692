"""Legacy records: every field is read without trust, and what cannot be used is named and never repeated."""

import math
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tallystick.domain.codes import normal_form
from tallystick.domain.ledger import MAX_BALANCE
from tallystick.domain.legacy import ABSENT_WORDS, COLUMNS, AbsentWords, MalformedRecord, read_record
from tallystick.domain.users import is_email, is_phone, is_plain, is_user_id

NOON = datetime(2024, 5, 31, 12, tzinfo=UTC)
FOREIGN: list[object] = [1.5, True, False, [], ["x"], {}, {"a": 1}, b"x"]
TEXTS = [column for column in COLUMNS if column not in {"created_at", "deleted_at", "phone_verified"}]


def read(**fields: object) -> object:
    """Return what becomes of the only field, or of all of them."""
    record = read_record(7, {"user_id": "ada"} | fields)
    return getattr(record, next(iter(fields)))


def refusal(**fields: object) -> str:
    with pytest.raises(MalformedRecord) as refused:
        read_record(7, {"user_id": "ada"} | fields)
    return str(refused.value)


def test_a_user_may_have_an_id_alone() -> None:
    record = read_record(7, {"user_id": "ada"})

    assert record == (7, "ada", "missing", None, None, None, None, None, None, False, None, None, None, False, 0, ())


def test_a_user_may_have_every_field() -> None:
    record = read_record(
        7,
        {
            "user_id": "auth0|Ada_1.2:3@x-y",
            "code": "ADA11111",
            "created_at": "2024-05-31T12:00:00Z",
            "email": "ada@example.com",
            "username": "ada",
            "display_name": "Ada Lovelace",
            "phone": "+45 12 34 56 78",
            "phone_verified": True,
            "referred_by": " ben-2222 ",
            "points": 40,
            "deleted_at": None,
        },
    )

    profile = ("ada@example.com", "ada", "Ada Lovelace", "+45 12 34 56 78", True)
    assert record == (
        *(7, "auth0|Ada_1.2:3@x-y", "kept", "ADA11111", NOON),
        *profile,
        *("ben-2222", "BEN2222", 40, False, 0, ()),
    )


@pytest.mark.parametrize("user_id", ["a", "x" * 128, 12, -5, 0, "0", "a|b:c@d.e-f_g"])
def test_a_text_or_a_number_names_a_user(user_id: object) -> None:
    assert read(user_id=user_id) == str(user_id)


@pytest.mark.parametrize(
    "user_id", [None, "", " ", " ada", "ada\n", "x" * 129, "a b", "ædå", "a/b", "a\x00", 10**128, *FOREIGN]
)
def test_a_value_that_cannot_name_a_user_is_no_record(user_id: object) -> None:
    assert refusal(user_id=user_id).startswith("user_id ")


@pytest.mark.parametrize(
    ("code", "state", "found"),
    [
        (None, "missing", None),
        ("", "empty", None),
        (" \t", "empty", None),
        ("\u2003", "empty", None),
        ("ADA1", "kept", "ADA1"),
        ("A" * 32, "kept", "A" * 32),
        ("OIL0", "kept", "OIL0"),
        ("ada1", "changed", "ADA1"),
        (" ADA1 ", "changed", "ADA1"),
        ("A-D-A-1", "changed", "ADA1"),
        (1234, "kept", "1234"),
        ("ADA", "formless", None),
        ("A" * 33, "formless", None),
        ("A" * 64, "formless", None),
        ("ADA_1", "formless", None),
        ("ıııı", "formless", None),
        ("ADA\u212a", "formless", None),
        ("ﬁﬁﬁﬁ", "formless", None),
        ("ß" * 4, "formless", None),
        ("----", "formless", None),
        (-123, "formless", None),
        ('{"a": 1}', "formless", None),
    ],
)
def test_a_code_is_kept_changed_or_none(code: object, state: str, found: str | None) -> None:
    record = read_record(7, {"user_id": "ada", "code": code})

    assert (record.code_state, record.code) == (state, found)


@pytest.mark.parametrize("column", TEXTS)
@pytest.mark.parametrize("value", FOREIGN)
def test_a_value_that_is_no_text_is_refused_by_its_name(column: str, value: object) -> None:
    assert refusal(**{column: value}).startswith(f"{column} has to be a text")


@pytest.mark.parametrize("column", TEXTS)
def test_a_nul_character_is_refused(column: str) -> None:
    assert refusal(**{column: "secret\x00"}) == f"{column} holds a NUL character"


@pytest.mark.parametrize("column", COLUMNS[1:])
@pytest.mark.parametrize("value", [None, ""])
def test_nothing_is_nothing_everywhere_else(column: str, value: object) -> None:
    with_it, without = read_record(7, {"user_id": "ada", column: value}), read_record(7, {"user_id": "ada"})

    assert with_it._replace(code_state="missing") == without


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2024-05-31T12:00:00Z", NOON),
        ("2024-05-31 14:00:00+02:00", NOON),
        ("2024-05-31T12:00:00", NOON),
        ("2024-05-31", NOON.replace(hour=0)),
        (NOON, NOON),
        (NOON.astimezone(timezone(timedelta(hours=2))), NOON),
        (NOON.replace(tzinfo=None), NOON),
        (None, None),
        ("", None),
        ("  ", None),
    ],
)
def test_a_time_is_utc_where_it_says_nothing_else(given: object, expected: datetime | None) -> None:
    found = read(created_at=given)

    assert found == expected
    assert not isinstance(found, datetime) or found.utcoffset() == timedelta(0)


def test_utc_is_not_the_time_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert read(created_at="2024-05-31T12:00:00") == NOON
        assert read(created_at=NOON.replace(tzinfo=None)) == NOON
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "given",
    [
        *("soon", "2024-13-01", "2024-02-30", "31.5.2024", "2024-05-31T25:00:00Z", "1717156800", "NULL", "\x00"),
        *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"),
        *(1717156800, 0, *FOREIGN),
    ],
)
@pytest.mark.parametrize("column", ["created_at", "deleted_at"])
def test_a_value_that_is_no_time_is_refused(column: str, given: object) -> None:
    assert refusal(**{column: given}) == f"{column} has to be a time as in 2024-05-31T08:30:00Z"


@pytest.mark.parametrize(("given", "is_deleted"), [("2024-05-31", True), (NOON, True), (None, False), (" ", False)])
def test_a_user_with_a_time_of_deletion_is_deleted(given: object, is_deleted: bool) -> None:
    assert read_record(7, {"user_id": "ada", "deleted_at": given}).is_deleted is is_deleted


@pytest.mark.parametrize(
    ("column", "usable", "useless"),
    [
        ("email", ["a@b", "x" * 250 + "@b.c"], ["ada", "a@", "@b", "a b@c", "a@b@c", "x" * 251 + "@b.c"]),
        ("username", ["a", "x" * 128, "Ada L."], ["x" * 129, "a\nb", "a\x7f", " ", "a\u200bb"]),
        ("display_name", ["A", "Å" * 128, 42], ["x" * 129, "\t"]),
        ("phone", ["123", "+45 12-34", 4512345678, "1" * 32], ["12", "none", "1" * 33, "123\n"]),
    ],
)
def test_a_profile_comes_without_what_cannot_be_used(column: str, usable: list[object], useless: list[object]) -> None:
    for value in usable:
        record = read_record(7, {"user_id": "ada", "code": "ADA1", column: value})
        assert (getattr(record, column), record.left_out, record.code) == (str(value), 0, "ADA1")
    for value in useless:
        record = read_record(7, {"user_id": "ada", "code": "ADA1", column: value})
        assert (getattr(record, column), record.left_out, record.code) == (None, 1, "ADA1")


def test_every_field_that_is_left_out_counts() -> None:
    useless = {"email": "ada", "username": "\n", "display_name": "\t", "phone": "1"}

    assert read_record(7, {"user_id": "ada"} | useless).left_out == 4


@pytest.mark.parametrize("word", [True, "true", "TRUE", " t ", "yes", "1", 1])
def test_words_for_true(word: object) -> None:
    assert read(phone_verified=word) is True


@pytest.mark.parametrize("word", [False, "false", "F", "no", "0", 0, "", " ", None])
def test_words_for_false(word: object) -> None:
    assert read(phone_verified=word) is False


@pytest.mark.parametrize("word", ["maybe", "2", 2, -1, 0.5, [], {}, "on", b"1", [[[]]]])
def test_words_for_neither(word: object) -> None:
    assert refusal(phone_verified=word) == "phone_verified has to be true or false"


@pytest.mark.parametrize(
    ("given", "found", "code"),
    [
        ("ben", "ben", None),
        (" BEN2 ", "BEN2", "BEN2"),
        ("ben-2222", "ben-2222", "BEN2222"),
        ("auth0|ben", "auth0|ben", None),
        (1234, "1234", "1234"),
        ("x" * 256, "x" * 256, None),
        ("  ", None, None),
    ],
)
def test_a_referral_is_kept_as_it_was_written(given: object, found: str | None, code: str | None) -> None:
    record = read_record(7, {"user_id": "ada", "referred_by": given})

    assert (record.referred_by, record.referred_code) == (found, code)


def test_a_referral_is_short() -> None:
    assert refusal(referred_by="x" * 257).startswith("referred_by has to be")


@pytest.mark.parametrize(
    ("given", "points"),
    [(0, None), ("0", None), ("", None), (" ", None), (1, 1), ("1", 1), (" 007 ", 7), (MAX_BALANCE, MAX_BALANCE)],
)
def test_points_are_whole_and_none_is_nothing_to_bring(given: object, points: int | None) -> None:
    assert read(points=given) == points


@pytest.mark.parametrize(
    "given", [-1, "-1", "+1", "1.0", "1e3", "١", "²", "1_000", "1 0", MAX_BALANCE + 1, 10**300, "x"]
)
def test_points_that_no_balance_holds_are_refused(given: object) -> None:
    assert refusal(points=given) == f"points has to be a whole number from 0 to {MAX_BALANCE}"


@pytest.mark.parametrize("column", ["user_id", "code", "phone_verified", "points", "email", "created_at"])
def test_a_number_that_is_longer_than_python_prints_is_refused(column: str) -> None:
    assert refusal(**{column: 10**5000}).startswith(f"{column} has to be ")


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.sampled_from(["ada", "ADA11111", "2024-05-31", "true", "a@b", "123", "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first text that is drawn makes its tables
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(COLUMNS, anything)), st.booleans())
@example({"points": 10**4000}, True)
@example({"phone": 10**4000}, True)
@example({"code": math.nan}, True)
@example({"created_at": datetime.max}, True)  # noqa: DTZ901  as an infinite time arrives
@example({"created_at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}, True)
def test_of_any_fields_the_record_is_in_bounds_or_refused(fields: dict[str, object], has_name: bool) -> None:
    given = fields | ({"user_id": "ada"} if has_name else {})
    try:
        record = read_record(7, given)
    except MalformedRecord:
        assert refusal(**{"user_id": None, **given}).split()[0] in COLUMNS
        return

    assert is_user_id(record.user_id)
    assert (record.code is None) == (record.code_state in {"missing", "empty", "formless"})
    assert record.code is None or normal_form(record.code) == record.code
    assert record.created_at is None or record.created_at.utcoffset() == timedelta(0)
    assert record.email is None or is_email(record.email)
    assert record.phone is None or is_phone(record.phone)
    for name in (record.username, record.display_name):
        assert name is None or is_plain(name, longest=128)
    assert record.referred_by is None or 0 < len(record.referred_by) <= 256
    assert record.points is None or 0 < record.points <= MAX_BALANCE
    assert 0 <= record.left_out <= 4


@pytest.mark.parametrize(
    ("time", "is_one"),
    [
        ("0001-12-31T23:59:59Z", False),
        ("0002-01-01T00:00:00Z", True),
        ("9998-12-31T23:59:59Z", True),
        ("9999-01-01T00:00:00Z", False),
    ],
)
def test_a_text_that_databases_take_for_infinity_is_no_time(time: str, is_one: bool) -> None:
    if is_one:
        assert read_record(1, {"user_id": "ada", "created_at": time}).created_at == datetime.fromisoformat(time)
    else:
        with pytest.raises(MalformedRecord, match="created_at"):
            read_record(1, {"user_id": "ada", "created_at": time})


@pytest.mark.parametrize(
    "word", [*ABSENT_WORDS, *map(str.lower, ABSENT_WORDS), *(f" {word}\t" for word in ABSENT_WORDS)]
)
def test_a_word_for_no_value_counts_as_missing_in_every_field(word: str) -> None:
    absent = AbsentWords(ABSENT_WORDS)
    columns = [column for column in COLUMNS if column != "user_id"]

    record = read_record(7, {"user_id": "ada"} | dict.fromkeys(columns, word), absent)

    assert record._replace(absent_words=()) == read_record(7, {"user_id": "ada"})
    assert record.absent_words == (word.strip(),) * len(columns)


@pytest.mark.parametrize("word", ABSENT_WORDS)
def test_a_word_for_no_value_names_no_user(word: str) -> None:
    with pytest.raises(MalformedRecord, match="user_id has to be"):
        read_record(7, {"user_id": word}, AbsentWords(ABSENT_WORDS))


@pytest.mark.parametrize("code", ["NULLA", "ANNULL", "N1LL", "NONE1", "UNDEFINED2"])
def test_a_code_that_only_resembles_such_a_word_is_a_code(code: str) -> None:
    assert read_record(7, {"user_id": "ada", "code": code}, AbsentWords(ABSENT_WORDS)).code == code


def test_the_words_can_be_replaced() -> None:
    own, none = AbsentWords(["nix"]), AbsentWords([" "])

    assert read_record(7, {"user_id": "ada", "code": "NIX", "username": "null"}, own).username == "null"
    assert read_record(7, {"user_id": "ada", "code": "Nix "}, own).code_state == "missing"
    assert read_record(7, {"user_id": "ada", "code": "NULL"}, none).code == "NULL"
    assert read_record(7, {"user_id": "ada", "code": ""}, none).code_state == "empty"
