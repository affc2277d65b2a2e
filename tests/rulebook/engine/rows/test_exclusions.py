"""What a set rules out: a dose form, a route, a partner in a combination, a word.

The words are those of the shipped lexicon; the sets are small ones.
"""

from typing import Any

import pytest

from .texts import BETA_BLOCKER, RXNORM, SNOMED, add_lexicon, order

ATC = "http://www.whocc.no/atc"
V2_ROUTE = "http://terminology.hl7.org/CodeSystem/v2-0162"
V3_ROUTE = "http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration"


@pytest.fixture
def rules(rules: Any) -> Any:
    """With the shipped lexicon."""
    add_lexicon(rules)
    return rules


def form(text: str) -> dict[str, Any]:
    """An order of a contained Medication with a coded form."""
    medication = {
        "resourceType": "Medication",
        "id": "d",
        "code": {"text": "Timolol"},
        "form": {"text": text},
    }
    return order(
        "",
        medicationCodeableConcept=None,
        medicationReference={"reference": "#d"},
        contained=[medication],
    )


def route(member: str = "dosageInstruction", **concept: Any) -> dict[str, Any]:
    return {member: [{"route": concept}]}


def at(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


EYE = [
    order("Timolol 0.5 % eye drops"),
    order("Timolol 0.5% ophthalmic solution"),
    order("TIMOLOL MALEATE 0.5 % OPHTH SOLN"),
    order("Timolol colirio 0,5 %"),
    order("Timolol oogdruppels 5 mg/ml"),
    order("Timolol collirio 0,5 %"),
    order("Timolol ögondroppar 5 mg/ml"),
    order("Timolol", **route(text="Ojo derecho")),
    order("Timolol", **route(text="Ophthalmic")),
    order("Timolol", **route(text="Both Eyes")),
    order("Timolol 0.5 %", **route(**at(SNOMED, "54485002"))),
    order("Timolol 0.5 %", **route(**at(SNOMED, "372472002"))),
    order("Timolol 0.5 %", **route(**at(V2_ROUTE, "OP"))),
    order("Timolol", dosageInstruction=[{"site": {"text": "Left eye"}}]),
    order("Timolol", **route(**at(V3_ROUTE, "OPTHALTA"))),
    form("Eye drops"),
    form("Ophthalmic Solution"),
    order(
        "",
        medicationCodeableConcept={
            "coding": [{"system": ATC, "code": "S01ED01", "display": "timolol"}]
        },
    ),
]


@pytest.mark.parametrize("medicine", EYE, ids=range(len(EYE)))
def test_a_drug_at_the_eye_is_not_the_drug_by_mouth(
    rules: Any, chart: Any, medicine: dict[str, Any]
) -> None:
    patient = chart(requests=[medicine])

    assert rules.verdict(BETA_BLOCKER, "bb: present", patient) is False
    assert rules.verdict(BETA_BLOCKER, "bb: absent", patient) is True


def test_the_route_of_a_statement_counts_as_that_of_an_order(
    rules: Any, chart: Any
) -> None:
    statement = {
        "resourceType": "MedicationStatement",
        "id": "m",
        "status": "active",
        "medicationCodeableConcept": {"text": "Timolol"},
        **route("dosage", **at(SNOMED, "54485002")),
    }

    patient = chart(statements=[statement])

    assert rules.verdict(BETA_BLOCKER, "bb: present", patient) is False


MOUTH = [
    order("Timolol 10 mg tablet"),
    order("Timolol", dosageInstruction=[{"text": "1 tablet. Keep an eye on pulse"}]),
    order("Timolol", dosageInstruction=[{"text": "not into the eye, ophthalmic"}]),
    order("Timolol", **route(**at(SNOMED, "26643006"))),
    order("Timolol 10 mg", **route(text="Oral")),
    form("Oral Tablet"),
    order("Timolol", dosageInstruction=[{"route": {"text": "Oral"}}, {"route": {}}]),
    order(
        "Timolol",
        dosageInstruction=[
            {"route": {"text": "Oral"}},
            {"route": {"text": "Ophthalmic"}},
        ],
    ),
]


@pytest.mark.parametrize("medicine", MOUTH, ids=range(len(MOUTH)))
def test_a_sentence_to_the_patient_is_no_dose_form(
    rules: Any, chart: Any, medicine: dict[str, Any]
) -> None:
    patient = chart(requests=[medicine])

    assert rules.verdict(BETA_BLOCKER, "bb: present", patient) is True


def dosed(text: str, name: str = "Timolol", **more: Any) -> dict[str, Any]:
    return order(name, dosageInstruction=[{"text": text, **more}])


DROPS = [
    dosed("1 drop in both eyes twice a day"),
    dosed("Instil one drop into the left eye; wait; then the other eye drops"),
    order("Timolol", dosageInstruction=[{"patientInstruction": "Both eyes, daily"}]),
]


@pytest.mark.parametrize("medicine", DROPS, ids=range(len(DROPS)))
def test_a_dosage_that_tells_of_the_eye_alone_leaves_open_what_it_is(
    rules: Any, chart: Any, reasons: Any, medicine: dict[str, Any]
) -> None:
    patient = chart(requests=[medicine])

    for asked in ("bb: present", "bb: absent"):
        verdict = rules.verdict(BETA_BLOCKER, asked, patient)
        assert reasons(verdict) == {"unresolved"}


BY_MOUTH = [
    dosed("1 tablet by mouth; put the eye drops in before"),
    dosed("Both eyes", name="Timolol 10 mg tablet"),
    dosed("Both eyes", route={"text": "Oral"}),
    dosed("Both eyes", name="Metoprolol oral solution"),
    dosed("no eye drops any more"),
    dosed("twice a day"),
    order("Timolol", dosageInstruction=[{"text": ["Both eyes"]}, "Both eyes"]),
]


@pytest.mark.parametrize("medicine", BY_MOUTH, ids=range(len(BY_MOUTH)))
def test_a_dosage_does_not_gainsay_a_form_that_is_told_elsewhere(
    rules: Any, chart: Any, medicine: dict[str, Any]
) -> None:
    patient = chart(requests=[medicine])

    assert rules.verdict(BETA_BLOCKER, "bb: present", patient) is True


def test_a_dose_in_drops_leaves_open_whether_it_is_swallowed(
    rules: Any, chart: Any, reasons: Any
) -> None:
    rules.files["valuesets/beta-blockers.yaml"] = rules.files[
        "valuesets/beta-blockers.yaml"
    ].replace("ophthalmic", "ophthalmic, drop, drp")

    def ask(quantity: Any) -> Any:
        doses = ["?", {"doseQuantity": quantity}, {"doseQuantity": {"unit": "time"}}]
        dosage = {"doseAndRate": doses}
        patient = chart(requests=[order("Timolol", dosageInstruction=[dosage])])
        return rules.verdict(BETA_BLOCKER, "bb: present", patient)

    assert reasons(ask({"value": 1, "unit": "drop"})) == {"unresolved"}
    assert reasons(ask({"value": 1, "code": "[drp]"})) == {"unresolved"}
    assert ask({"value": 1, "unit": "tablet"}) is True
    assert ask("1 drop") is True


@pytest.mark.parametrize(
    ("text", "present"),
    [
        ("Ibuprofen 200 mg softgel", True),
        ("Ibuprofen 200 mg soft gel capsule", True),
        ("Advil Liqui-Gels (ibuprofen)", True),
        ("Ibuprofen in gelatin capsules", True),
        ("Ibuprofen 5 % gel", False),
        ("Ibuprofen GEL 5 %", False),
    ],
)
def test_a_dose_form_is_a_word_of_the_form(
    rules: Any, chart: Any, text: str, present: bool
) -> None:
    rules.files["valuesets/nsaids.yaml"] = """
        format: 1
        valueset: nsaids
        version: 1.0.0
        title: NSAIDs
        include: [{system: rxnorm, ingredients: [{code: "5640", name: ibuprofen}]}]
        exclude: [{dose_forms: [gel]}]
        """
    patient = chart(
        requests=[order(text, dosageInstruction=[{"text": "Take 1 softgel, no gel"}])]
    )

    verdict = rules.verdict("x: {medication: {in: nsaids}}", "x: present", patient)

    assert verdict is present


@pytest.mark.parametrize(
    ("display", "present"),
    [
        ("patchouli cream 20 MG Oral Capsule", True),
        ("patchouli 20 MG/ML Topical Cream", False),
        ("patchouli Topical Cream", False),
    ],
)
def test_in_names_of_rxnorm_the_form_stands_after_the_strength(
    rules: Any, chart: Any, display: str, present: bool
) -> None:
    rules.files["valuesets/scents.yaml"] = """
        format: 1
        valueset: scents
        version: 1.0.0
        title: Scents
        include: [{system: rxnorm, ingredients: [{code: "1", name: patchouli}]}]
        exclude: [{dose_forms: [cream]}]
        """
    coding = {"system": RXNORM, "code": "999", "display": display}
    concept = {"coding": [coding], "text": display}
    patient = chart(requests=[order("", medicationCodeableConcept=concept)])

    verdict = rules.verdict("x: {medication: {in: scents}}", "x: present", patient)

    assert verdict is present


COMBINED = """
    format: 1
    valueset: beta-blockers
    version: 1.0.0
    title: Beta-blockers
    include:
      - system: rxnorm
        ingredients:
          - {code: "10600", name: timolol}
          - {code: "1202", name: atenolol}
    exclude:
      - system: rxnorm
        ingredients: [{code: "60207", name: dorzolamide, also: [Cosopt]}]
      - words: [for glaucoma]
"""


@pytest.mark.parametrize(
    ("text", "present"),
    [
        ("atenolol / chlorthalidone 50 mg", True),
        ("Cosopt (dorzolamide / timolol)", False),
        ("dorzolamide-timolol 2-0.5 %", False),
        ("Product containing dorzolamide and timolol", False),
        ("Timolol for glaucoma", False),
        ("Atenolol 50 mg (patient is also on dorzolamide)", True),
    ],
)
def test_a_partner_rules_a_combination_out(
    rules: Any, chart: Any, text: str, present: bool
) -> None:
    rules.files["valuesets/beta-blockers.yaml"] = COMBINED
    patient = chart(requests=[order(text)])

    assert rules.verdict(BETA_BLOCKER, "bb: present", patient) is present
    assert rules.verdict(BETA_BLOCKER, "bb: absent", patient) is not present


def test_what_an_included_set_rules_out_stays_out_unless_another_part_has_it(
    rules: Any, chart: Any
) -> None:
    rules.files["valuesets/beta-blockers.yaml"] = COMBINED
    rules.files["valuesets/drops.yaml"] = """
        format: 1
        valueset: drops
        version: 1.0.0
        title: Eye drops
        include: [{system: rxnorm, ingredients: [{code: "60207", name: dorzolamide}]}]
        """
    for name, parts in (
        ("one", "[{valueset: beta-blockers}]"),
        ("both", "[{valueset: beta-blockers}, {valueset: drops}]"),
    ):
        rules.files[f"valuesets/{name}.yaml"] = f"""
            format: 1
            valueset: {name}
            version: 1.0.0
            title: A set of sets
            include: {parts}
            """
    patient = chart(requests=[order("dorzolamide / timolol")])

    one = rules.verdict("x: {medication: {in: one}}", "x: present", patient)
    both = rules.verdict("x: {medication: {in: both}}", "x: present", patient)

    assert (one, both) == (False, True)
