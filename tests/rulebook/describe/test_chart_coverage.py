"""What value sets make of medicines and problems."""

from typing import Any

from cds_service.rulebook.describe.chart_coverage import (
    Recognition,
    RecordEntry,
    Survey,
    Surveyor,
)

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"


def coded(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def medicine(concept: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "id": "secret-id",
        "medicationCodeableConcept": concept,
    }


def problem(concept: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": "secret-id", "code": concept}


def counted(verdicts: Any) -> dict[Recognition, dict[str, int]]:
    return {
        verdict: {f"{each.name} {each.code}".strip(): n for each, n in found.items()}
        for verdict, found in verdicts.items()
        if found
    }


def survey(rules: Any, chart: Any, *charts: Any) -> Survey:
    rules.verdict("dm: {condition: {in: diabetes}}", "dm: present", chart())
    surveyor = Surveyor(rules.compile().rulebook.valuesets)
    found = Survey()
    for each in charts:
        surveyor.take(each, found)
    return found


def test_medicines_are_counted_by_how_they_are_recognised(
    rules: Any, chart: Any
) -> None:
    by_name = medicine(coded(RXNORM, "866436", "Metoprolol ER"))
    statements = [
        medicine(coded(RXNORM, "6918", "Metoprolol")),
        by_name,
        by_name,
        medicine({"text": "Timolol ophthalmic"}),
        medicine({"text": "Eliquis"}),
        medicine(None),
    ]

    found = survey(rules, chart, chart(statements=statements), chart([], [by_name]))

    assert counted(found.medicines) == {
        Recognition.BY_CODE: {"Metoprolol rxnorm|6918": 1},
        Recognition.BY_NAME: {"Metoprolol ER rxnorm|866436": 3},
        Recognition.LEFT_OUT: {"Timolol ophthalmic": 1},
        Recognition.UNRECOGNISED: {"Eliquis": 1, "": 1},
    }


def test_problems_that_a_code_places_are_told_from_those_that_nothing_does(
    rules: Any, chart: Any
) -> None:
    conditions = [
        problem(coded(ICD, "E11.9", "Type 2 diabetes")),
        problem(coded(ICD, "J00", "Cold")),
        problem(coded("urn:oid:1.2.3", "T90", "Diabetes")),
        problem({"text": "Sugar\u202e"}),
    ]

    found = survey(rules, chart, chart(conditions=conditions))

    assert counted(found.problems) == {
        Recognition.BY_CODE: {"Type 2 diabetes icd10cm|E11.9": 1},
        Recognition.IN_NO_SET: {"Cold icd10cm|J00": 1},
        Recognition.UNRECOGNISED: {"Diabetes urn:oid:1.2.3|T90": 1, "Sugar": 1},
    }
    (entry,) = found.problems[Recognition.BY_CODE]
    assert entry == RecordEntry("Type 2 diabetes", "icd10cm|E11.9", ("diabetes",))
