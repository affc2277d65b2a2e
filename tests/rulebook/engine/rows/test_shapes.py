"""A member of a shape that FHIR does not know is unusable, and never guessed.

Each row is one member that rules go by, in every wrong shape: a list or an object where
a text belongs, a text where an object belongs, a number or a truth value for either.
"""

from typing import Any

import pytest

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"
METOPROLOL = {"coding": [{"system": RXNORM, "code": "6918"}]}
E11 = {"coding": [{"system": ICD, "code": "E11.9"}]}
SYSTOLIC = {"coding": [{"system": LOINC, "code": "8480-6"}]}

DM = "dm: {condition: {in: diabetes}}"
BB = "bb: {medication: {in: beta-blockers}}"
HR = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
BP = "sbp: {observation: {in: systolic, unit: 'mm[Hg]', within: 7 days}}"


def coded(code: Any) -> dict[str, Any]:
    return {"coding": [{"code": code}]}


NO_TEXT: list[Any] = [["x"], {"value": "x"}, 7, True]
"""Where a text belongs."""
NO_CONCEPT: list[Any] = [
    [coded("x")],
    7,
    True,
    {"coding": "x"},
    {"coding": ["x"]},
    {"coding": [7]},
    {"coding": [{"code": ["x"]}]},
    {"coding": [{"code": {"value": "x"}}]},
    {"coding": [{"code": True}]},
    {"coding": [{"code": "x", "system": ["y"]}]},
    {"text": ["x"]},
    {"text": 7},
]
"""Where a CodeableConcept belongs."""
NO_BOOLEAN: list[Any] = [[True], [False], {"value": True}, 1, 0, "yes", "no", ""]
NO_PERIOD: list[Any] = [[{"end": "2020"}], "2020", 2020, {"end": ["2020"]}, {"end": 20}]


def members(
    pairs: dict[str, list[Any]],
) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}-{value}")
        for name, values in pairs.items()
        for value in values
    ]


def of_problem(chart: Any, **more: Any) -> Any:
    resource = {"resourceType": "Condition", "id": "c", "code": E11, **more}
    return chart(conditions=[resource])


@pytest.mark.parametrize(
    ("member", "value"),
    members(
        {
            "clinicalStatus": NO_CONCEPT,
            "verificationStatus": [*NO_CONCEPT, ["refuted"], [coded("refuted")]],
            "code": [*NO_CONCEPT, "E11.9", ["E11.9"], [E11]],
            "abatementBoolean": NO_BOOLEAN,
        }
    ),
)
@pytest.mark.parametrize("test", ["present", "absent", "{count: {at_least: 1}}"])
def test_a_problem_with_a_member_of_the_wrong_shape_is_unusable(
    rules: Any, chart: Any, reasons: Any, test: str, member: str, value: Any
) -> None:
    patient = of_problem(chart, **{member: value})

    verdict = rules.verdict(DM, f"dm: {test}", patient)

    assert reasons(verdict) <= {"unusable", "uncertain"} and reasons(verdict)


@pytest.mark.parametrize(
    ("member", "value"),
    members(
        {
            "onsetDateTime": [["2026-11-01"], {"value": "2026-11-01"}, 2026, True],
            "onsetPeriod": [[{"start": "2026"}], "2026-11-01", 2026],
            "onsetAge": [[{"value": 68}], "68", 68],
        }
    ),
)
def test_a_problem_whose_time_has_the_wrong_shape_is_unusable_where_time_is_asked(
    rules: Any, chart: Any, reasons: Any, member: str, value: Any
) -> None:
    patient = of_problem(chart, **{member: value}, recordedDate="2026-11-01")
    within = "dm: {condition: {in: diabetes, onset_within: 4 weeks}}"

    assert reasons(rules.verdict(within, "dm: present", patient)) == {"unusable"}
    assert rules.verdict(DM, "dm: present", patient) is True


ORDER = {
    "resourceType": "MedicationRequest",
    "id": "r",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": METOPROLOL,
}
STATEMENT = {
    "resourceType": "MedicationStatement",
    "id": "s",
    "status": "active",
    "medicationCodeableConcept": METOPROLOL,
}


@pytest.mark.parametrize(
    ("member", "value"),
    members(
        {
            "status": NO_TEXT,
            "intent": NO_TEXT,
            "doNotPerform": NO_BOOLEAN,
            "medicationCodeableConcept": [*NO_CONCEPT, "6918", [METOPROLOL]],
        }
    ),
)
@pytest.mark.parametrize("test", ["present", "absent"])
def test_an_order_with_a_member_of_the_wrong_shape_is_unusable(
    rules: Any, chart: Any, reasons: Any, test: str, member: str, value: Any
) -> None:
    patient = chart(requests=[{**ORDER, member: value}])

    assert reasons(rules.verdict(BB, f"bb: {test}", patient)) == {"unusable"}


@pytest.mark.parametrize(
    ("member", "value"),
    members(
        {
            "medicationReference": [
                "Medication/1",
                ["Medication/1"],
                [{"reference": "Medication/1"}],
                {"reference": 7},
                {"reference": ["Medication/1"]},
                7,
            ],
            "medication": ["Metoprolol", [METOPROLOL], 7, {"concept": "6918"}],
        }
    ),
)
def test_a_reference_of_the_wrong_shape_is_unusable(
    rules: Any, chart: Any, reasons: Any, member: str, value: Any
) -> None:
    order = {k: v for k, v in ORDER.items() if k != "medicationCodeableConcept"}
    patient = chart(requests=[{**order, member: value}])

    for test in ("present", "absent"):
        verdict = rules.verdict(BB, f"bb: {test}", patient)
        assert reasons(verdict) == {"unusable"}


@pytest.mark.parametrize(
    ("member", "value"),
    members(
        {
            "status": NO_TEXT,
            "wasNotTaken": NO_BOOLEAN,
            "taken": [*NO_TEXT, "perhaps"],
            "effectivePeriod": NO_PERIOD,
            "medicationCodeableConcept": NO_CONCEPT,
        }
    ),
)
@pytest.mark.parametrize("test", ["present", "absent"])
def test_a_statement_with_a_member_of_the_wrong_shape_is_unusable(
    rules: Any, chart: Any, reasons: Any, test: str, member: str, value: Any
) -> None:
    patient = chart(statements=[{**STATEMENT, member: value}])

    assert reasons(rules.verdict(BB, f"bb: {test}", patient)) == {"unusable"}


@pytest.mark.parametrize("value", ["taking", [coded("taking")], 7, {}, {"code": []}])
def test_an_adherence_of_the_wrong_shape_is_unusable(
    rules: Any, chart: Any, reasons: Any, value: Any
) -> None:
    recorded = {**STATEMENT, "status": "recorded", "adherence": value}

    verdict = rules.verdict(BB, "bb: present", chart(statements=[recorded]))

    assert reasons(verdict) == {"unusable"}


@pytest.mark.parametrize(
    ("base", "member", "value"),
    [
        (ORDER, "authoredOn", ["2020-01-01"]),
        (ORDER, "authoredOn", {"value": "2020-01-01"}),
        (ORDER, "authoredOn", 2020),
        (
            {**ORDER, "authoredOn": "2020-01-01"},
            "dosageInstruction",
            [{"timing": {"repeat": {"boundsPeriod": {"start": ["2026-11-20"]}}}}],
        ),
        (STATEMENT, "effectiveDateTime", ["2020-01-01"]),
        (STATEMENT, "effectiveDateTime", 2020),
        (STATEMENT, "effectivePeriod", {"start": ["2020-01-01"]}),
    ],
    ids=str,
)
def test_a_start_of_the_wrong_shape_is_neither_long_ago_nor_recent(
    rules: Any, chart: Any, reasons: Any, base: Any, member: str, value: Any
) -> None:
    source = "requests" if base["resourceType"] == "MedicationRequest" else "statements"
    patient = chart(**{source: [{**base, member: value}]})

    for window in ("taken_for: 14 days", "started_within: 14 days"):
        facts = f"bb: {{medication: {{in: beta-blockers, {window}}}}}"
        assert reasons(rules.verdict(facts, "bb: present", patient)) == {"unusable"}
    assert rules.verdict(BB, "bb: present", patient) is True


@pytest.mark.parametrize(
    ("member", "value"),
    members(
        {
            "status": NO_TEXT,
            "code": [*NO_CONCEPT, "8867-4", ["8867-4"]],
            "effectiveDateTime": [["2026-11-22"], {"value": "2026-11-22"}, 2026, True],
            "valueQuantity": [
                [{"value": 120, "code": "/min"}],
                "120 /min",
                120,
                True,
                {"value": [120], "code": "/min"},
                {"value": {"value": 120}, "code": "/min"},
                {"value": True, "code": "/min"},
                {"value": "1,200", "code": "/min"},
                {"value": "120 /min", "code": "/min"},
                {"value": 120, "code": ["/min"]},
                {"value": 120, "code": {"value": "/min"}},
                {"value": 120, "unit": ["/min"]},
                {"value": 120, "unit": "/min", "code": ["/min"]},
                {"value": 120, "unit": ["/min"], "code": "/min"},
                {"value": 120, "unit": "/min", "code": "/min", "system": ["x"]},
                {"value": 120, "code": "/min", "comparator": [">"]},
                {"value": 120, "code": "/min", "comparator": 7},
            ],
            "dataAbsentReason": ["not-performed", ["not-performed"], 7, True],
            "component": ["8867-4", 7, [7], ["x"], [None], [{"code": "8867-4"}]],
        }
    ),
)
def test_a_result_with_a_member_of_the_wrong_shape_is_unusable(
    rules: Any, chart: Any, reading: Any, reasons: Any, member: str, value: Any
) -> None:
    whole = reading(120)
    if member == "component":
        whole = reading(120, code={"coding": [{"system": LOINC, "code": "85354-9"}]})
    patient = chart(observations=[{**whole, member: value}])

    for test in ("present", "absent", "{latest: {above: 100}}"):
        verdict = rules.verdict(HR, f"hr: {test}", patient)
        assert reasons(verdict) == {"unusable"}


@pytest.mark.parametrize(
    "value",
    [
        [{"low": {"value": 120, "unit": "/min"}}],
        "120-130",
        {"low": 120},
        {"low": [{"value": 120, "unit": "/min"}]},
        {"low": {"value": 120, "unit": "/min"}, "high": "130"},
    ],
    ids=str,
)
def test_a_range_of_the_wrong_shape_is_unusable(
    rules: Any, chart: Any, reading: Any, reasons: Any, value: Any
) -> None:
    result = {k: v for k, v in reading(0).items() if k != "valueQuantity"}
    patient = chart(observations=[{**result, "valueRange": value}])

    verdict = rules.verdict(HR, "hr: {latest: {above: 100}}", patient)

    assert reasons(verdict) == {"unusable"}


@pytest.mark.parametrize(
    "part",
    [
        {"code": SYSTOLIC, "valueQuantity": [{"value": 190, "unit": "mmHg"}]},
        {"code": SYSTOLIC, "valueQuantity": "190"},
        {"code": [SYSTOLIC], "valueQuantity": {"value": 190, "unit": "mmHg"}},
        {"code": "8480-6", "valueQuantity": {"value": 190, "unit": "mmHg"}},
    ],
    ids=str,
)
def test_a_part_of_a_panel_of_the_wrong_shape_is_unusable(
    rules: Any, chart: Any, reading: Any, reasons: Any, part: Any
) -> None:
    code = {"coding": [{"system": LOINC, "code": "85354-9"}]}
    panel = reading(0, code=code, valueQuantity=None, component=[part])

    for test in ("present", "absent", "{latest: {above: 180}}"):
        verdict = rules.verdict(BP, f"sbp: {test}", chart(observations=[panel]))
        assert reasons(verdict) == {"unusable"}


@pytest.mark.parametrize(
    ("facts", "source", "resource"),
    [
        (DM, "conditions", {"clinicalStatus": "active"}),
        (DM, "conditions", {"clinicalStatus": {"coding": {"code": "active"}}}),
        (DM, "conditions", {"verificationStatus": " Confirmed "}),
        (DM, "conditions", {"abatementBoolean": "false"}),
        (DM, "conditions", {"code": {"coding": E11["coding"][0]}}),
        (DM, "conditions", {"code": {"coding": [None, E11["coding"][0]]}}),
        (BB, "requests", {"doNotPerform": "false"}),
        (BB, "requests", {"status": " Active"}),
        (BB, "requests", {"modifierExtension": []}),
        (BB, "statements", {"wasNotTaken": "false"}),
        (BB, "statements", {"taken": "Y"}),
        (HR, "observations", {"valueQuantity": {"value": "120", "code": "/min"}}),
        (HR, "observations", {"status": "FINAL"}),
    ],
    ids=str,
)
def test_form_that_is_harmless_is_forgiven(
    rules: Any, chart: Any, reading: Any, facts: str, source: str, resource: Any
) -> None:
    base = {
        "conditions": {"resourceType": "Condition", "id": "c", "code": E11},
        "requests": ORDER,
        "statements": STATEMENT,
        "observations": reading(120),
    }[source]
    name = facts.split(":")[0]
    patient = chart(**{source: [{**base, **resource}]})

    assert rules.verdict(facts, f"{name}: present", patient) is True
