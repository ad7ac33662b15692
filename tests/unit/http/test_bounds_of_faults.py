"""Bounds of what a refusal looks at and names: parameters of a query, names of known fields."""

import msgspec

from tallystick.entrypoints.http.faults import faults_of
from tests.http.services import Caller


async def test_a_query_of_32_parameters_is_read_and_one_more_is_refused_as_a_whole(anyone: Caller) -> None:
    ada = anyone.named("ada")

    read = (await ada.get("/api/leaderboard?" + "&".join(f"name{n}=1" for n in range(32)))).json()
    refused = (await ada.get("/api/leaderboard?" + "&".join(f"name{n}=1" for n in range(33)))).json()

    assert len(read["errors"]) == 32
    (fault,) = refused["errors"]
    assert (fault["in"], fault["name"]) == ("query", "")
    assert fault["message"].startswith("at most 32 parameters")


def test_at_most_20_known_names_are_listed_for_an_unknown_one() -> None:
    fields = [(f"field_{number:02}", int, 0) for number in range(25)]
    known = msgspec.defstruct("Known", fields, forbid_unknown_fields=True)

    (fault,) = faults_of({"unknown": 1}, known)

    assert "field_19" in fault.message
    assert "field_20" not in fault.message
