"""What was not measured is no reading; what cannot be known is one."""

from typing import Any

import pytest

from cds_service.rulebook.engine.rows.observations import absence_of
from cds_service.rulebook.values.truth import Unknown

HR = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
BP = "sbp: {observation: {in: systolic, unit: 'mm[Hg]', within: 7 days}}"
DONE = "hr: {observation: {in: heart-rate}}"
ABOVE = "hr: {latest: {above: 100}}"
R4 = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
STU3 = "http://hl7.org/fhir/data-absent-reason"
NULL = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
EXTENSION = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def because(code: str, system: str = R4) -> dict[str, Any]:
    return {
        "valueQuantity": None,
        "dataAbsentReason": {"coding": [{"system": system, "code": code}]},
    }


def extended(code: Any) -> dict[str, Any]:
    return {"extension": [{"url": EXTENSION, "valueCode": code}]}


NOT_MEASURED = [
    because("not-performed"),
    because("not-asked"),
    because("not-applicable"),
    because("asked-declined"),
    because("asked-unknown"),
    because(" Not-Performed "),
    because("not-performed", ""),
    because("not-asked", STU3),
    because("not-performed", STU3),
    because("asked", STU3),
    because("notasked", STU3),
    because("NASK", NULL),
    because("NA", NULL),
    because("ASKU", "http://hl7.org/fhir/v3/NullFlavor"),
    {"valueQuantity": None, "dataAbsentReason": {"text": "Not performed"}},
    {
        "valueQuantity": None,
        "dataAbsentReason": {
            "coding": [
                {"system": "urn:oid:1.2.3", "code": "REFUSED"},
                {"system": R4, "code": "asked-declined"},
            ]
        },
    },
    # One coding where a list belongs.
    {
        "valueQuantity": None,
        "dataAbsentReason": {"coding": {"system": R4, "code": "not-performed"}},
    },
    # A unit is no value.
    {**because("not-performed"), "valueQuantity": {"unit": "/min", "code": "/min"}},
    # The extension, on the value, on its number, or on a primitive value.
    {"valueQuantity": extended("not-performed")},
    {"valueQuantity": {"unit": "/min", "_value": extended("not-asked")}},
    {"valueQuantity": None, "_valueInteger": extended("not-performed")},
    {"valueQuantity": None, "_valueString": extended("asked-declined")},
    # Where a coded value belongs.
    {
        "valueQuantity": None,
        "valueCodeableConcept": {"coding": [{"system": R4, "code": "not-performed"}]},
    },
]


@pytest.mark.parametrize("reason", NOT_MEASURED, ids=str)
def test_what_was_not_measured_is_passed_over_and_the_earlier_value_counts(
    rules: Any, chart: Any, reading: Any, reasons: Any, reason: dict[str, Any]
) -> None:
    refused = reading(0, "1 hours", **reason)
    patient = chart(observations=[refused, reading(120, "3 hours")])

    assert rules.verdict(HR, ABOVE, patient) is True
    assert rules.verdict(HR, "hr: {count: {equals: 1}}", patient) is True


@pytest.mark.parametrize("reason", NOT_MEASURED, ids=str)
def test_only_what_was_not_measured_is_nothing_recorded(
    rules: Any, chart: Any, reading: Any, reasons: Any, reason: dict[str, Any]
) -> None:
    patient = chart(observations=[reading(0, "1 hours", **reason)])

    assert reasons(rules.verdict(HR, ABOVE, patient)) == {"not_recorded"}
    for facts in (HR, DONE):
        assert rules.verdict(facts, "hr: present", patient) is False
        assert rules.verdict(facts, "hr: absent", patient) is True


NOT_KNOWN = [
    because("unknown"),
    because("temp-unknown"),
    because("masked"),
    because("not-permitted"),
    because("unsupported"),
    because("as-text"),
    because("error"),
    because("not-a-number"),
    because("negative-infinity"),
    because("positive-infinity"),
    because("unknown", STU3),
    because("temp", STU3),
    because("astext", STU3),
    because("NaN", STU3),
    because("MSK", NULL),
    because("UNK", NULL),
    because("NI", NULL),
    because("some-local-reason"),
    because("not-performed", "urn:oid:1.2.3"),
    {"valueQuantity": None, "dataAbsentReason": {"text": "asleep"}},
    {"valueQuantity": None, "dataAbsentReason": {}},
    # Two that contradict one another.
    {
        "valueQuantity": None,
        "dataAbsentReason": {
            "coding": [
                {"system": R4, "code": "not-performed"},
                {"system": R4, "code": "masked"},
            ]
        },
    },
    # In a shape that FHIR does not know.
    {"valueQuantity": None, "dataAbsentReason": "not-performed"},
    {"valueQuantity": None, "dataAbsentReason": [{"text": "not-performed"}]},
    {"valueQuantity": extended(["not-performed"])},
    {"valueQuantity": extended("masked")},
    {"valueQuantity": {"unit": "/min", "_value": extended("error")}},
    # A value beside it: one of them is wrong.
    {**because("not-performed"), "valueQuantity": {"value": 60, "code": "/min"}},
    {**because("unknown"), "valueQuantity": {"value": 60, "code": "/min"}},
    {"valueQuantity": {"value": 60, "code": "/min", **extended("not-performed")}},
    {**because("not-performed"), "valueString": "60/min"},
    # Neither a value, nor a reason, nor a component.
    {"valueQuantity": None},
    {"valueQuantity": {}},
    {"valueQuantity": {"unit": "/min"}},
    {"valueQuantity": None, "component": []},
]


@pytest.mark.parametrize("reason", NOT_KNOWN, ids=str)
def test_what_was_measured_and_cannot_be_known_leaves_the_newest_unknown(
    rules: Any, chart: Any, reading: Any, reasons: Any, reason: dict[str, Any]
) -> None:
    withheld = reading(0, "1 hours", **reason)
    earlier = reading(120, "3 hours")
    later = reading(120, "0.5 hours")

    hidden = rules.verdict(HR, ABOVE, chart(observations=[withheld, earlier]))
    shown = rules.verdict(HR, ABOVE, chart(observations=[later, withheld]))

    assert reasons(hidden) == {"unusable"}
    assert shown is True


@pytest.mark.parametrize("reason", NOT_KNOWN, ids=str)
@pytest.mark.parametrize("facts", [HR, DONE], ids=["a number", "any result"])
def test_what_cannot_be_known_is_neither_present_nor_absent(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    facts: str,
    reason: dict[str, Any],
) -> None:
    patient = chart(observations=[reading(0, "1 hours", **reason)])

    assert reasons(rules.verdict(facts, "hr: present", patient)) == {"unusable"}
    assert reasons(rules.verdict(facts, "hr: absent", patient)) == {"unusable"}


def test_what_cannot_be_known_and_is_long_past_raises_no_doubt(
    rules: Any, chart: Any, reading: Any
) -> None:
    old = reading(0, "30 days", **because("masked"))
    unclear = reading(90, "30 days", status="?")

    assert rules.verdict(HR, "hr: absent", chart(observations=[old, unclear])) is True


LOINC = "http://loinc.org"
PANEL = {"coding": [{"system": LOINC, "code": "85354-9"}]}
SYSTOLIC = {"coding": [{"system": LOINC, "code": "8480-6"}]}
DIASTOLIC = {"coding": [{"system": LOINC, "code": "8462-4"}]}
LOW = {"valueQuantity": {"value": 120, "unit": "mm[Hg]"}}
MEASURED = {"valueQuantity": {"value": 190, "unit": "mmHg"}}


@pytest.mark.parametrize(
    ("whole", "part", "expected"),
    [
        ({}, MEASURED, True),
        ({}, because("not-performed"), {"not_recorded"}),
        ({}, because("asked", STU3), {"not_recorded"}),
        ({}, because("masked"), {"unusable"}),
        ({}, {}, {"unusable"}),
        ({}, {**because("not-performed"), **MEASURED}, {"unusable"}),
        # What the panel says of itself holds of a part that says nothing.
        (because("not-performed"), {}, {"not_recorded"}),
        (because("masked"), {}, {"unusable"}),
        (because("not-performed"), MEASURED, True),
        (because("not-performed"), because("masked"), {"unusable"}),
        (because("masked"), because("not-performed"), {"not_recorded"}),
    ],
    ids=str,
)
def test_a_part_of_a_panel_is_not_measured_by_its_own_word_or_the_panels(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    whole: dict[str, Any],
    part: dict[str, Any],
    expected: Any,
) -> None:
    made = {**reading(0, code=PANEL), "valueQuantity": None, **whole}
    panel = {**made, "component": [{"code": SYSTOLIC, **part}]}

    verdict = rules.verdict(
        BP, "sbp: {latest: {above: 180}}", chart(observations=[panel])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"valueString": "190/90"}, {"unusable"}),
        ({"valueQuantity": {"value": 190, "unit": "mm[Hg]"}}, {"unusable"}),
        ({"valueString": "190/90", "component": []}, {"unusable"}),
        ({"valueString": "190/90", "component": [{"code": DIASTOLIC}]}, {"unusable"}),
        ({"_valueString": {"extension": []}}, {"unusable"}),
        ({"valueString": "190/90", "status": "cancelled"}, False),
        ({"valueString": "190/90", "component": [{"code": SYSTOLIC, **LOW}]}, False),
        # Nothing is told, or another part.
        ({}, False),
        ({"component": [{"code": DIASTOLIC, **LOW}]}, False),
        ({"hasMember": [{"reference": "Observation/s"}]}, False),
    ],
    ids=str,
)
def test_a_panel_whose_own_value_may_hold_a_part_leaves_the_newest_unknown(
    rules: Any,
    chart: Any,
    reading: Any,
    reasons: Any,
    told: dict[str, Any],
    expected: Any,
) -> None:
    before = {**reading(0, "30 hours", code=SYSTOLIC), **LOW}
    panel = {**reading(0, "1 hours", code=PANEL), "valueQuantity": None, **told}

    verdict = rules.verdict(
        BP, "sbp: {latest: {above: 180}}", chart(observations=[before, panel])
    )

    assert expected == (verdict if isinstance(verdict, bool) else reasons(verdict))


def test_a_panel_that_may_hold_a_part_is_told_as_its_code_is_called(
    rules: Any, chart: Any, reading: Any
) -> None:
    (coding,) = PANEL["coding"]
    local = {"system": "urn:oid:1.2.3", "code": "BP", "display": "RR"}
    named = {"coding": [local, {**coding, "display": "Blood pressure panel"}]}
    panel = reading(0, code=named, valueQuantity=None, valueString="190/90")

    verdict = rules.verdict(
        BP, "sbp: {latest: {above: 180}}", chart(observations=[panel])
    )

    assert isinstance(verdict, Unknown)
    assert [each.names for each in verdict.reasons] == [("Blood pressure panel",)]


def test_what_was_not_measured_needs_no_code_to_be_passed_over(
    rules: Any, chart: Any, reading: Any
) -> None:
    nameless = reading(0, "1 hours", code=None, **because("not-performed"))

    assert rules.verdict(HR, "hr: absent", chart(observations=[nameless])) is True


def test_a_result_that_tells_of_itself_without_a_value_is_one(
    rules: Any, chart: Any, reading: Any
) -> None:
    normal = {"coding": [{"code": "N"}]}
    read = reading(0, valueQuantity=None, interpretation=[normal])

    assert rules.verdict(DONE, "hr: present", chart(observations=[read])) is True


def test_why_there_is_no_value_is_counted_by_its_reason(
    rules: Any, chart: Any, reading: Any
) -> None:
    results = [
        reading(0, "1 hours", id="a", **because("masked")),
        reading(0, "2 hours", id="b", **because("error")),
        reading(0, "3 hours", id="c", valueQuantity=None),
        reading(0, "4 hours", id="d", **because("not-performed")),
    ]

    case = rules.evaluate(HR, ABOVE, chart(observations=results)).case

    assert sorted(case.unusable()) == [
        ("Observation", "an error, or no number, in place of its value"),
        ("Observation", "its value is withheld"),
        ("Observation", "no value, and no reason why there is none"),
    ]


WITHHELD = "its value is withheld"
UNKNOWN = "its value is not known"
RATE = {"value": 70, "unit": "/min"}


@pytest.mark.parametrize(
    ("holder", "why"),
    [
        ({"valueQuantity": RATE}, ""),
        ({"valueInteger": 3}, ""),
        ({"valueString": "normal"}, ""),
        ({"note": [{"text": "asleep"}]}, ""),
        ({"component": [{}]}, ""),
        ({}, "no value, and no reason why there is none"),
        ({"valueString": ""}, "no value, and no reason why there is none"),
        ({"valueSampledData": []}, "no value, and no reason why there is none"),
        (
            {"valueQuantity": {"unit": "/min"}},
            "no value, and no reason why there is none",
        ),
        (
            {"valueQuantity": {"system": "x"}},
            "no value, and no reason why there is none",
        ),
        ({"valueQuantity": {"id": "x"}}, "no value, and no reason why there is none"),
        ({"_valueString": {"said": 1}}, "no value, and no reason why there is none"),
        # A word that may be a reason is a value where a value stands.
        ({"valueCodeableConcept": {"coding": [{"code": "masked"}]}}, ""),
        ({"valueCodeableConcept": {"text": "masked"}}, ""),
        (
            {"dataAbsentReason": {"coding": [{"system": R4, "code": "masked"}]}},
            WITHHELD,
        ),
        (
            {"dataAbsentReason": {"coding": [{"system": NULL, "code": "odd"}]}},
            "why it has no value cannot be read",
        ),
        ({"dataAbsentReason": {"text": "temp unknown"}}, UNKNOWN),
        ({"dataAbsentReason": "masked"}, "why it has no value cannot be read"),
        (
            {"valueQuantity": RATE, **because("masked") | {"valueQuantity": RATE}},
            "a value, and a reason why there is none",
        ),
        (
            {"valueQuantity": {**RATE, **extended("masked")}},
            "a value, and a reason why there is none",
        ),
        # Of several reasons the first of what was measured is told.
        (
            {**because("not-performed"), "_valueQuantity": extended("masked")},
            WITHHELD,
        ),
        ({"_valueQuantity": extended("masked")}, WITHHELD),
        (
            {"_valueQuantity": extended("something else")},
            "why it has no value cannot be read",
        ),
        ({"valueQuantity": {"_value": extended("masked")}}, WITHHELD),
        (
            {"valueQuantity": {"extension": extended("masked")["extension"][0]}},
            WITHHELD,
        ),
        # What an extension says of other things is no reason.
        (
            {
                "valueQuantity": {
                    **RATE,
                    "extension": [
                        7,
                        {"url": 7},
                        {"url": "http://example.org/seen", "valueCode": "masked"},
                    ],
                }
            },
            "",
        ),
    ],
    ids=str,
)
def test_why_an_observation_has_no_value_is_read_in_every_place_with_room_for_it(
    holder: dict[str, Any], why: str
) -> None:
    assert absence_of(holder, holder) == why


@pytest.mark.parametrize(
    ("part", "whole", "why"),
    [
        ({}, {}, ""),
        ({"valueQuantity": RATE}, because("masked"), ""),
        ({}, because("masked"), WITHHELD),
        (because("unknown"), because("masked"), UNKNOWN),
        ({}, {**because("masked"), "valueQuantity": RATE}, ""),
    ],
    ids=str,
)
def test_a_part_shares_the_reason_of_a_whole_that_has_no_value(
    part: dict[str, Any], whole: dict[str, Any], why: str
) -> None:
    assert absence_of(part, whole) == why
