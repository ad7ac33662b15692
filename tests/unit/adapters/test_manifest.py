"""The manifest as a file, and how it is compared with what a database has."""

import pytest

from tallystick.adapters.postgres.contract.comparison import LARGEST_LIST, manifest_faults
from tallystick.adapters.postgres.contract.manifest import Found, merged, shipped_manifest
from tallystick.adapters.postgres.violations import RACES

EXPECTED: Found = {
    "rewards": {
        "column cost": "bigint NOT NULL",
        "column name": "text NOT NULL",
        "grant SELECT": "granted",
        "grant UPDATE (name)": "granted",
        "row level security": "forced",
        "table": "LOGGED",
    },
    "users": {"column email": "text", "table": "LOGGED"},
}


def explained(found: Found) -> list[str]:
    return [fault.explained for fault in manifest_faults(EXPECTED, found)]


def rewards(**changes: str) -> Found:
    """Return what is expected, with changed items of rewards."""
    return {
        **EXPECTED,
        "rewards": {**EXPECTED["rewards"], **{name.replace("_", " "): changes[name] for name in changes}},
    }


class TestComparison:
    def test_what_is_as_expected_has_no_fault(self) -> None:
        assert explained(EXPECTED) == []

    def test_a_table_that_is_missing_is_named_without_its_columns(self) -> None:
        assert explained({"users": EXPECTED["users"]}) == ["the schema lacks: table rewards"]

    def test_an_item_that_is_missing_is_named_with_its_table(self) -> None:
        assert explained({**EXPECTED, "users": {"table": "LOGGED"}}) == ["the schema lacks: column email on users"]

    def test_another_definition_is_explained_by_both(self) -> None:
        assert explained(rewards(column_cost="integer")) == [
            "the schema has another definition of column cost on rewards: expected bigint NOT NULL, found integer"
        ]

    def test_row_level_security_has_a_sentence_of_its_own(self) -> None:
        assert explained(rewards(row_level_security="off")) == ["row level security is not forced on: rewards"]

    def test_what_only_the_database_has_is_no_fault(self) -> None:
        found = {
            **rewards(column_note="text NOT NULL", index_rewards_by_note="CREATE INDEX"),
            "reports": {"table": "UNLOGGED", "grant UPDATE": "granted", "row level security": "off"},
        }

        assert explained(found) == []

    @pytest.mark.parametrize(
        ("grant", "fault"),
        [
            ("grant UPDATE", "the service may change what is history: rewards"),
            ("grant UPDATE (cost)", "the service may change what is history: rewards"),
            ("grant TRUNCATE", "the service may change what is history: rewards"),
            ("grant DELETE", "the service may delete what is history: rewards"),
            ("grant TRIGGER", "the service has other rights than it needs: grant TRIGGER on rewards"),
            ("policy rewards_mine", "the service has other rights than it needs: policy rewards_mine on rewards"),
        ],
    )
    def test_a_right_that_the_service_must_not_have_is_a_fault(self, grant: str, fault: str) -> None:
        assert explained({**EXPECTED, "rewards": {**EXPECTED["rewards"], grant: "granted"}}) == [fault]

    def test_a_grant_on_the_table_covers_the_columns(self) -> None:
        found = {item: text for item, text in EXPECTED["rewards"].items() if item != "grant UPDATE (name)"}

        assert explained({**EXPECTED, "rewards": {**found, "grant UPDATE": "granted"}}) == [
            "the service may change what is history: rewards"
        ]

    def test_long_lists_are_cut(self) -> None:
        expected = {
            "users": {"table": "LOGGED", **{f"column {number:02}": "text" for number in range(LARGEST_LIST + 2)}}
        }

        (lacks,) = manifest_faults(expected, {"users": {"table": "LOGGED"}})
        differs = manifest_faults(expected, {"users": dict.fromkeys(expected["users"], "xml")})

        assert lacks.reason.endswith(f"column {LARGEST_LIST - 1} on users and 2 more")
        assert len(differs) == LARGEST_LIST + 1
        assert differs[-1].reason == "the schema has another definition of 3 more"


class TestChangedByAWaitingMigration:
    """A version serves the schema on both sides of such a migration."""

    BEFORE = rewards(column_word="text", column_cost="bigint", grant_DELETE="granted")
    AFTER = rewards(constraint_few="CHECK ((cost < 9))")
    MERGED = merged(BEFORE, AFTER)

    @pytest.mark.parametrize("found", [BEFORE, AFTER], ids=["before", "after"])
    def test_both_sides_are_served(self, found: Found) -> None:
        assert manifest_faults(self.MERGED, found) == []

    def test_a_third_definition_is_a_fault_that_names_both(self) -> None:
        (fault,) = manifest_faults(self.MERGED, rewards(column_cost="text"))

        assert fault.explained == (
            "the schema has another definition of column cost on rewards: "
            "expected bigint or bigint NOT NULL, found text"
        )

    def test_an_item_of_both_sides_is_still_needed(self) -> None:
        found = {**EXPECTED, "rewards": {k: v for k, v in EXPECTED["rewards"].items() if k != "column name"}}

        assert [fault.reason for fault in manifest_faults(self.MERGED, found)] == [
            "the schema lacks: column name on rewards"
        ]

    def test_a_table_that_goes_may_be_there_or_not(self) -> None:
        with_words: Found = {**EXPECTED, "words": {"table": "LOGGED", "column word": "text"}}

        for found in (EXPECTED, with_words):
            assert manifest_faults(merged(with_words, EXPECTED), found) == []


class TestFile:
    def test_every_table_is_logged_and_under_row_level_security(self) -> None:
        tables = {name: items for name, items in shipped_manifest().items() if "table" in items}

        assert {(items["table"], items["row level security"]) for items in tables.values()} == {("LOGGED", "forced")}
        assert all(any(item.startswith("policy ") for item in items) for items in tables.values())

    def test_nothing_in_it_is_invalid_or_disabled(self) -> None:
        definitions = [
            text for items in shipped_manifest().values() for text in items.values() if isinstance(text, str)
        ]

        assert [text for text in definitions if text.endswith(("INVALID", "NOT VALID", "DISABLED"))] == []

    def test_every_race_is_about_a_constraint_of_the_schema(self) -> None:
        names = {item.partition(" ")[2] for items in shipped_manifest().values() for item in items}

        assert names >= RACES
