"""A Patient becomes a row, whatever its shape."""

import json
import os
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest

from cds_service.fhir.demographics import (
    COLUMNS,
    NoPatientId,
    choose_address,
    choose_contact,
    choose_name,
    read_demographics,
)

TODAY = date(2026, 11, 22)
SAMPLES = sorted(Path(os.environ.get("CDS_SAMPLE_DATA") or "/nowhere").glob("*/*.json"))

WHOLE = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [
        {"use": "nickname", "given": ["Annie"]},
        {
            "use": "official",
            "prefix": ["Dr."],
            "given": ["Anna", "Maria"],
            "family": "Müller",
            "suffix": ["PhD", "MPH"],
            "text": "Dr. Anna Maria Müller",
        },
    ],
    "birthDate": "1958-03-14",
    "gender": "female",
    "address": [
        {"use": "work", "line": ["1 Office Park"], "city": "Elsewhere"},
        {
            "use": "home",
            "line": ["12 High Street", "Flat 3", "Back door"],
            "city": "Boston",
            "state": "MA",
            "postalCode": "02115",
            "country": "US",
        },
    ],
    "telecom": [
        {"system": "fax", "value": "555-0000"},
        {"system": "phone", "value": "555-0101", "use": "work"},
        {"system": "phone", "value": "555-0102", "use": "home"},
        {"system": "email", "value": "anna@example.org"},
    ],
    "deceasedDateTime": "2026-01-02T03:04:05Z",
}
EMPTY = dict.fromkeys(COLUMNS, "")


def row(**members):
    return asdict(read_demographics({"id": "p1", **members}, TODAY))


def test_every_column_of_a_whole_patient_is_filled():
    assert asdict(read_demographics(WHOLE, TODAY)) == {
        "id": "p1",
        "prefix": "Dr.",
        "given": "Anna Maria",
        "family": "Müller",
        "suffix": "PhD MPH",
        "name_text": "Dr. Anna Maria Müller",
        "birth_date": "1958-03-14",
        "gender": "female",
        "address_line_1": "12 High Street",
        "address_line_2": "Flat 3, Back door",
        "city": "Boston",
        "state": "MA",
        "postal_code": "02115",
        "country": "US",
        "phone": "555-0102",
        "email": "anna@example.org",
        "deceased": "true",
        "deceased_date": "2026-01-02T03:04:05Z",
    }


def test_a_patient_of_whom_only_the_id_is_known_is_a_row():
    assert row() == EMPTY | {"id": "p1"}


@pytest.mark.parametrize("identifier", [None, "", "  ", [], ["p1"], {}, True])
def test_a_patient_without_an_id_is_none(identifier):
    with pytest.raises(NoPatientId):
        read_demographics({"id": identifier}, TODAY)


def test_an_id_that_is_a_number_is_taken_for_text():
    assert row(id=7)["id"] == "7"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([{"use": "usual", "text": "u"}, {"use": "official", "text": "o"}], "o"),
        ([{"text": "x"}, {"use": "usual", "text": "u"}], "u"),
        ([{"text": "first"}, {"text": "second"}], "first"),
        ([{"use": "old", "text": "x"}, {"use": "nickname", "text": "n"}], "n"),
        ([{"use": "maiden", "text": "m"}, {"text": "now"}], "now"),
        ([{"use": "old", "text": "only"}], "only"),
        (
            [
                {"use": "official", "text": "x", "period": {"end": "2020-01-01"}},
                {"use": "usual", "text": "u"},
            ],
            "u",
        ),
    ],
)
def test_the_official_name_then_the_usual_then_the_first_that_is_not_over(
    names, chosen
):
    assert choose_name(names, TODAY)["text"] == chosen


@pytest.mark.parametrize(
    ("end", "over"),
    [
        ("2026-11-21", True),
        ("2026-11-22", False),
        ("2026-11-21T23:00:00Z", True),
        ("2030", False),
        ("2026", False),
        ("2025", True),
        ("2026-11", False),
        ("2026-10", True),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_what_has_an_end_is_over_the_day_after_it(end, over):
    address = {"city": "Boston", "period": {"end": end}}

    assert (choose_address([address], TODAY) == {}) is over


@pytest.mark.parametrize(
    ("addresses", "city"),
    [
        ([{"use": "work", "city": "w"}, {"use": "home", "city": "h"}], "h"),
        ([{"use": "billing", "city": "b"}, {"city": "x"}], "x"),
        ([{"use": "billing", "city": "b"}], "b"),
        ([{"use": "temp", "city": "t"}, {"use": "work", "city": "w"}], "t"),
        ([{"type": "postal", "city": "p"}, {"type": "both", "city": "x"}], "x"),
        ([{"use": "old", "city": "o"}], ""),
    ],
)
def test_the_address_is_where_the_patient_lives_now(addresses, city):
    assert row(address=addresses)["city"] == city


@pytest.mark.parametrize(
    ("contacts", "phone"),
    [
        ([{"value": "1"}, {"value": "2", "rank": 1}], "2"),
        ([{"value": "1", "rank": 2}, {"value": "2", "rank": 1}], "2"),
        ([{"value": "1", "use": "mobile"}, {"value": "2", "use": "home"}], "2"),
        ([{"value": "1", "use": "old"}, {"value": "2", "use": "work"}], "2"),
        ([{"value": "1", "use": "old"}], ""),
        ([{"value": ""}, {"value": "2"}], "2"),
        ([{"value": None}], ""),
        ([{"value": "1", "rank": "first"}, {"value": "2", "rank": True}], "1"),
    ],
)
def test_the_phone_is_the_one_that_the_patient_prefers(contacts, phone):
    listed = [{"system": "phone", **each} for each in contacts]

    assert choose_contact(listed, "phone", TODAY) == phone


def test_an_address_of_one_text_stands_on_the_first_line():
    assert row(address=["12 High Street, Boston"]) == EMPTY | {
        "id": "p1",
        "address_line_1": "12 High Street, Boston",
    }


@pytest.mark.parametrize(
    ("deceased", "said"),
    [
        ({"deceasedBoolean": True}, ("true", "")),
        ({"deceasedBoolean": False}, ("false", "")),
        ({"deceasedBoolean": "true"}, ("true", "")),
        ({"deceasedBoolean": None}, ("", "")),
        ({"deceasedBoolean": [1]}, ("", "")),
        ({"deceasedDateTime": "2020"}, ("true", "2020")),
        ({"deceasedBoolean": False, "deceasedDateTime": "2020"}, ("true", "2020")),
        ({"deceasedDateTime": "2026-11-22"}, ("true", "2026-11-22")),
        ({"deceasedDateTime": "2026"}, ("true", "2026")),
        ({"deceasedDateTime": "in spring"}, ("true", "in spring")),
        # Not yet.
        ({"deceasedDateTime": "2026-11-23"}, ("", "2026-11-23")),
        ({"deceasedBoolean": False, "deceasedDateTime": "2027"}, ("false", "2027")),
        ({"_deceasedDateTime": {"extension": []}}, ("", "")),
    ],
)
def test_not_recorded_is_not_alive(deceased, said):
    read = row(**deceased)

    assert (read["deceased"], read["deceased_date"]) == said


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("Anna Müller", {"name_text": "Anna Müller"}),
        (["Anna Müller"], {"name_text": "Anna Müller"}),
        ({"family": "Müller"}, {"family": "Müller"}),
        (
            [{"family": ["van", "Dam"], "given": "Jo"}],
            {"family": "van Dam", "given": "Jo"},
        ),
        ([{"given": [None, "Jo", 7, {"x": 1}]}], {"given": "Jo 7"}),
        ([{"_family": {"extension": []}}], {}),
        ([None, 7, []], {}),
        (7, {}),
    ],
)
def test_a_name_of_an_odd_shape_is_read_as_far_as_it_goes(name, columns):
    assert row(name=name) == EMPTY | {"id": "p1"} | columns


def test_extensions_and_elements_that_nobody_knows_are_left_alone():
    odd = {
        "_birthDate": {"extension": [{"url": "http://x", "valueDateTime": "1958"}]},
        "extension": [{"url": "http://x"}],
        "gender": ["female"],
        "birthDate": {"year": 1958},
        "telecom": {"system": "email", "value": "a@example.org"},
        "contact": "nobody",
    }

    expected = {"id": "p1", "gender": "female", "email": "a@example.org"}
    assert row(**odd) == EMPTY | expected


def test_every_cell_is_one_line_of_text():
    read = row(name=[{"family": " Mül\r\nler\t\u2028 \x00X\x9d "}])

    assert read["family"] == "Mül ler X"


@pytest.mark.skipif(not SAMPLES, reason="set CDS_SAMPLE_DATA to a folder of Bundles")
def test_every_patient_that_others_wrote_is_a_row():
    patients = [
        entry["resource"]
        for file in SAMPLES
        for entry in json.loads(file.read_text("utf-8-sig")).get("entry", [])
        if entry.get("resource", {}).get("resourceType") == "Patient"
    ]

    rows = [read_demographics({"id": "x"} | each, TODAY) for each in patients]

    assert len(rows) >= len(SAMPLES)
    for patient, read in zip(patients, rows, strict=True):
        named = [
            read.name_text,
            read.family,
            read.given,
        ]
        assert any(named) or not patient.get("name")
        assert read.birth_date == (patient.get("birthDate") or "")
        assert read.gender == (patient.get("gender") or "")
