"""Which facts a resource belongs to, by code, by ingredient and by name."""

from typing import Any

import pytest

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"

BETA_BLOCKER = "bb: {medication: {in: beta-blockers}}"
DIABETES = "dm: {condition: {in: diabetes}}"
SYSTOLIC = "sbp: {observation: {in: systolic, unit: 'mm[Hg]', within: 7 days}}"


def request(concept: Any = None, **more: Any) -> dict[str, Any]:
    written = {} if concept is None else {"medicationCodeableConcept": concept}
    return {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        **written,
        **more,
    }


def coded(system: str, code: str, display: str = "") -> dict[str, Any]:
    coding = {"system": system, "code": code}
    return {"coding": [{**coding, "display": display} if display else coding]}


@pytest.mark.parametrize(
    ("medicine", "present"),
    [
        (request(coded(RXNORM, "6918")), True),
        (request(coded("urn:oid:2.16.840.1.113883.6.88", "6918")), True),
        (request(coded(ATC, "C07AB02")), True),
        (request(coded(RXNORM, "866436", "Metoprolol succinate ER 50 MG")), True),
        (request({"text": "METOPROLOL-RATIOPHARM 50 mg, 1-0-0"}), True),
        (request({"text": "METOPROLOL\u00a0SUCCINATE"}), True),
        (request({"text": "M\u00e9toprolol"}), True),
        (request({"text": "metopro\u00adlol"}), True),
        (request({"text": "Timolol 0.5 % ophthalmic solution"}), False),
        (request({"text": "Timolol 10 mg tablet"}), True),
        (
            request(
                {"text": "Timolol"},
                dosageInstruction=[{"route": {"text": "Ophthalmic"}}],
            ),
            False,
        ),
        (request({"coding": [{"display": "Metoprolol 25 mg"}]}), True),
        (request(medicationReference={"display": "Metoprolol"}), True),
        (
            request(
                medicationReference={"reference": "#d"},
                contained=[
                    {
                        "resourceType": "Medication",
                        "id": "d",
                        "code": coded(RXNORM, "6918"),
                    }
                ],
            ),
            True,
        ),
        (request(medicationReference={"reference": "Medication/combi"}), True),
        (request(coded(RXNORM, "29046")), False),
        (request({"text": "lisinopril 10 mg"}), False),
    ],
)
def test_a_medicine_is_found_by_code_ingredient_class_or_name(
    rules: Any, chart: Any, medicine: dict[str, Any], present: bool
) -> None:
    combination = {
        "resourceType": "Medication",
        "id": "combi",
        "code": {"text": "Combination tablet"},
        "ingredient": [
            {"itemCodeableConcept": coded(RXNORM, "5487")},
            {"itemCodeableConcept": coded(RXNORM, "6918")},
        ],
    }
    patient = chart(requests=[medicine], medications={"Medication/combi": combination})

    assert rules.verdict(BETA_BLOCKER, "bb: present", patient) is present
    assert rules.verdict(BETA_BLOCKER, "bb: absent", patient) is not present


@pytest.mark.parametrize(
    "medicine",
    [
        request({"text": "Eliquis 5 mg"}),
        request({"text": "metoprololish"}),
        request(coded("http://hl7.org/fhir/sid/ndc", "0003-0894-21")),
        request(coded(RXNORM, "1364447", "Eliquis 5 MG Oral Tablet")),
    ],
)
def test_a_medicine_that_nothing_recognises_may_be_any_where_rxnorm_is_not_imported(
    rules: Any, chart: Any, reasons: Any, medicine: dict[str, Any]
) -> None:
    patient = chart(requests=[medicine])

    absent = rules.verdict(BETA_BLOCKER, "bb: absent", patient)
    present = rules.verdict(BETA_BLOCKER, "bb: present", patient)

    assert reasons(absent) == reasons(present) == {"unresolved"}


def test_a_card_that_an_unknown_brand_may_have_raised_is_said_to_be_unchecked(
    rules: Any, chart: Any
) -> None:
    facts = BETA_BLOCKER + "\n" + DIABETES
    brand = [request({"text": "Toprol 50 mg"})]
    diabetes = [{"resourceType": "Condition", "id": "c", "code": coded(ICD, "E11.9")}]
    both = "all: [bb: present, dm: present]"

    (item,) = rules.evaluate(facts, both, chart(diabetes, brand)).items
    of_others = rules.evaluate(facts, both, chart([], brand)).items

    assert item.could_not_check
    assert item.reasons[0].names == ("Toprol 50 mg",)
    assert not any(each.could_not_check for each in of_others)


def test_a_brand_of_the_past_raises_no_doubt(rules: Any, chart: Any) -> None:
    patient = chart(requests=[request({"text": "Toprol 50 mg"}, status="stopped")])

    assert rules.verdict(BETA_BLOCKER, "bb: present", patient) is False
    assert rules.verdict(BETA_BLOCKER, "bb: absent", patient) is True


def test_a_site_may_ignore_what_is_not_recognised(rules: Any, chart: Any) -> None:
    rules.files["site.yaml"] += "unresolved: ignore\n"
    patient = chart(requests=[request({"text": "Eliquis 5 mg"})])

    assert rules.verdict(BETA_BLOCKER, "bb: absent", patient) is True
    assert "CDS013" in [finding.code for finding in rules.compile().findings]


def test_a_match_by_name_alone_is_told(rules: Any, chart: Any) -> None:
    by_name = chart(requests=[request({"text": "Metoprolol 50 mg"})])
    by_code = chart(requests=[request(coded(RXNORM, "6918", "Metoprolol"))])

    (named,) = rules.evaluate(BETA_BLOCKER, "bb: present", by_name).items
    (sure,) = rules.evaluate(BETA_BLOCKER, "bb: present", by_code).items

    assert (named.by_name, named.decided_by_name) == (("metoprolol",), True)
    assert (sure.by_name, sure.decided_by_name) == ((), False)


def test_a_match_by_name_that_no_condition_asks_for_decides_nothing(
    rules: Any, chart: Any
) -> None:
    facts = f"{BETA_BLOCKER}\nx: {{medication: {{in: other-drugs}}}}"
    named, coded_one = (
        request({"text": "Metoprolol 50 mg"}),
        request(coded(RXNORM, "29046", "Lisinopril")),
    )

    (item,) = rules.evaluate(
        facts, "x: present", chart(requests=[named, coded_one])
    ).items

    assert (item.by_name, item.decided_by_name) == (("metoprolol",), False)


PARTLY = """
    format: 1
    valueset: blood-thinners
    version: 1.0.0
    title: Blood thinners
    include:
      - {valueset: pills}
      - {system: rxnorm, ingredients: [{code: "67108", name: enoxaparin}]}
"""
PILLS = """
    format: 1
    valueset: pills
    version: 1.0.0
    title: Pills
    include:
      - {system: rxnorm, ingredients: [{code: "11289", name: warfarin}]}
      - {system: atc, under: [B01AA]}
"""
THINNER = "t: {medication: {in: blood-thinners}}"


@pytest.mark.parametrize(
    ("medicine", "absent"),
    [
        (request(coded(ATC, "B01AB05", "enoxaparin")), False),
        (request({**coded(ATC, "B01AB05"), "text": "Enoxaparin 40 mg"}), False),
        (request(coded(ATC, "B01AA03")), False),
        (request(coded(ATC, "B01AB05", "Clexane")), None),
        (request(coded(ATC, "B01AB05")), None),
        (request(coded(ATC, "C07AB02", "metoprolol")), True),
    ],
)
def test_a_code_of_a_system_that_reaches_only_a_part_of_a_set_settles_nothing(
    rules: Any, chart: Any, medicine: dict[str, Any], absent: bool | None
) -> None:
    rules.files["valuesets/pills.yaml"] = PILLS
    rules.files["valuesets/blood-thinners.yaml"] = PARTLY
    patient = chart(requests=[medicine])

    verdict = rules.verdict(THINNER, "t: absent", patient)

    assert (verdict if isinstance(verdict, bool) else None) is absent


@pytest.mark.parametrize(
    ("medicine", "absent"),
    [
        (request(coded(ATC, "M05BA04", "Fosamax")), True),
        (request(coded(ATC, "M05BA04")), True),
        (request(coded(RXNORM, "29046", "Prinivil")), True),
        (request(coded(ATC, "C", "a medicine of the heart")), None),
        (request(coded(ATC, "C07", "a beta-blocker")), False),
    ],
)
def test_a_code_of_another_class_or_ingredient_tells_what_a_medicine_is_not(
    rules: Any, chart: Any, medicine: dict[str, Any], absent: bool | None
) -> None:
    verdict = rules.verdict(BETA_BLOCKER, "bb: absent", chart(requests=[medicine]))

    assert (verdict if isinstance(verdict, bool) else None) is absent


def test_what_is_left_out_below_a_class_is_not_of_the_set(
    rules: Any, chart: Any
) -> None:
    rules.files["valuesets/opioids.yaml"] = """
        format: 1
        valueset: opioids
        version: 1.0.0
        title: Opioids
        include: [{system: atc, under: [N02A, N07BC]}]
        exclude: [{system: atc, codes: [N07BC04]}, {system: atc, under: [N02AG]}]
        """
    opioid = "o: {medication: {in: opioids}}"

    def present(code: str) -> Any:
        patient = chart(requests=[request(coded(ATC, code, "named"))])
        return rules.verdict(opioid, "o: present", patient)

    assert [present(code) for code in ("N07BC02", "N07BC04", "N02AG01")] == [
        *(True, False, False)
    ]


def test_a_set_whose_systems_disagree_in_reach_is_told_of(rules: Any) -> None:
    rules.files["valuesets/pills.yaml"] = PILLS
    rules.files["valuesets/blood-thinners.yaml"] = PARTLY

    found = [each for each in rules.compile().findings if each.code == "CDS240"]

    assert [(each.file, each.line, each.level.value) for each in found] == [
        ("valuesets/blood-thinners.yaml", 8, "warning"),
    ]


def test_an_ingredient_that_stands_in_atc_elsewhere_is_missed_here(rules: Any) -> None:
    rules.files["valuesets/pills.yaml"] = PILLS
    rules.files["valuesets/known.yaml"] = (
        PILLS.replace("pills", "known")
        .replace("      - {system: atc, under: [B01AA]}\n", "")
        .replace("name: warfarin", "name: warfarin, atc: [B01AA03]")
    )
    rules.files["valuesets/one.yaml"] = PILLS.replace("pills", "one").replace(
        "B01AA", "B01AB"
    )

    found = [each for each in rules.compile().findings if each.code == "CDS240"]

    assert [(each.file, each.line) for each in found] == [("valuesets/one.yaml", 7)]
    assert "B01AA03" in found[0].message


@pytest.mark.parametrize(
    ("code", "present"),
    [("E11", True), ("E11.9", True), ("e1165", True), ("E10.9", False), ("E1", False)],
)
def test_a_prefix_finds_every_code_below_it(
    rules: Any, chart: Any, code: str, present: bool
) -> None:
    condition = {"resourceType": "Condition", "id": "c", "code": coded(ICD, code)}

    verdict = rules.verdict(DIABETES, "dm: present", chart(conditions=[condition]))

    assert verdict is present


def test_a_concept_with_two_codes_of_one_system_matches_by_either(
    rules: Any, chart: Any
) -> None:
    both = {"coding": [{"system": ICD, "code": c} for c in ("N18.6", "E11.22")]}
    condition = {"resourceType": "Condition", "id": "c", "code": both}

    assert rules.verdict(DIABETES, "dm: present", chart(conditions=[condition])) is True


def test_a_component_of_a_panel_is_a_reading_of_its_own(rules: Any, chart: Any) -> None:
    def component(code: str, value: float) -> dict[str, Any]:
        quantity = {"value": value, "unit": "mmHg", "code": "mm[Hg]"}
        return {"code": coded("http://loinc.org", code), "valueQuantity": quantity}

    panel = {
        "resourceType": "Observation",
        "id": "bp",
        "status": "final",
        "code": coded("http://loinc.org", "85354-9"),
        "effectiveDateTime": "2026-11-22T10:00:00Z",
        "component": [component("8480-6", 182), component("8462-4", 95)],
    }
    patient = chart(observations=[panel])

    high = rules.verdict(SYSTOLIC, "sbp: {latest: {at_least: 180}}", patient)
    diastolic_is_not_systolic = rules.verdict(
        SYSTOLIC, "sbp: {min: {below: 100}}", patient
    )

    assert high is True
    assert diastolic_is_not_systolic is False
    service = rules.compile().rulebook.services["review", "patient-view"]
    (query,) = [each for each in service.queries if each.key == "observations"]
    assert "85354-9" in query.template


def test_a_product_that_comes_without_words_is_called_by_its_code(
    rules: Any, chart: Any
) -> None:
    patient = chart(requests=[request(coded(RXNORM, "686924"))])

    verdict = rules.verdict(BETA_BLOCKER, "bb: present", patient)

    assert verdict.reasons[0].names == ("rxnorm 686924",)
