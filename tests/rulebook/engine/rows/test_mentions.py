"""A name in a text is not always the patient's problem, nor a medicine that is taken.

The words are those of the shipped lexicon; the sets are small ones.
"""

from pathlib import Path
from typing import Any

import pytest

from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.load import read_folder
from cds_service.rulebook.terminology.folding import words_of
from cds_service.rulebook.terminology.lexicon import Lexicon, Mention, build_lexicon

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED = "http://snomed.info/sct"
ATC = "http://www.whocc.no/atc"
V2_ROUTE = "http://terminology.hl7.org/CodeSystem/v2-0162"
V3_ROUTE = "http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration"
RULES = Path(__file__).parents[4] / "rules"
SHIPPED = {
    name: text
    for name, text in read_folder(RULES).items()
    if name.startswith("lexicon/")
}

BETA_BLOCKER = "bb: {medication: {in: beta-blockers}}"
OTHER = "x: {medication: {in: other-drugs}}"
FLUTTER = "af: {condition: {in: flutter}}"


def shipped() -> Lexicon:
    parsed = [parse_yaml(text, name, Findings()) for name, text in SHIPPED.items()]
    return build_lexicon([each for each in parsed if each], ["snomed"])


LEXICON = shipped()


def said_of(name: str, text: str) -> Mention:
    """What a text says of the first place where it has *name*."""
    words, wanted = words_of(text), words_of(name)
    first, *_ = [
        index
        for index in range(len(words))
        if words[index : index + len(wanted)] == wanted
    ]
    return LEXICON.listen(text).says(range(first, first + len(wanted)))


@pytest.fixture
def rules(rules: Any) -> Any:
    """With the shipped lexicon, and a set of problems listed without a hierarchy."""
    rules.files.update(SHIPPED)
    rules.files["site.yaml"] += "overlays: [snomed]\n"
    rules.files["valuesets/flutter.yaml"] = """
        format: 1
        valueset: flutter
        version: 1.0.0
        title: Atrial fibrillation
        words: [atrial fibrillation]
        include: [{system: snomed, codes: ["49436004"]}]
        """
    rules.files["valuesets/digoxin.yaml"] = """
        format: 1
        valueset: digoxin
        version: 1.0.0
        title: Digoxin
        include: [{system: rxnorm, ingredients: [{code: "3407", name: digoxin}]}]
        """
    return rules


def order(text: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": text},
        **more,
    }


def problem(text: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": "c",
        "code": {
            "coding": [{"system": SNOMED, "code": "160303001", "display": "x"}],
            "text": text,
        },
    }


@pytest.mark.parametrize(
    "text",
    [
        "Family history of atrial fibrillation",
        "FAMILY HX OF ATRIAL FIBRILLATION",
        "family\u00a0history of atrial fibrillation",
        "Mother: atrial fibrillation",
        "No atrial fibrillation",
        "no history of atrial fibrillation",
        "Denies atrial fibrillation",
        "Hypertension without atrial fibrillation",
        "Negative for atrial fibrillation",
        "Screening for atrial fibrillation",
        "Atrial fibrillation screening",
        "Atrial fibrillation ruled out",
    ],
)
def test_a_problem_that_a_text_denies_or_gives_to_another_is_not_the_patients(
    rules: Any, chart: Any, text: str
) -> None:
    patient = chart(conditions=[problem(text)])

    assert rules.verdict(FLUTTER, "af: present", patient) is False
    assert rules.verdict(FLUTTER, "af: absent", patient) is True


@pytest.mark.parametrize(
    "text",
    [
        "Atrial fibrillation",
        "Chronic atrial fibrillation, no stroke",
        "Rule out atrial fibrillation",
        "r/o atrial fibrillation",
        "History of atrial fibrillation",
        "Suspected atrial fibrillation",
        "No stroke, atrial fibrillation",
        "No known drug allergies. Atrial fibrillation",
        "Atrial fibrillation; family history of stroke",
    ],
)
def test_a_problem_that_may_be_meant_is_neither_there_nor_not(
    rules: Any, chart: Any, reasons: Any, text: str
) -> None:
    patient = chart(conditions=[problem(text)])

    assert reasons(rules.verdict(FLUTTER, "af: present", patient)) == {"unresolved"}
    assert reasons(rules.verdict(FLUTTER, "af: absent", patient)) == {"unresolved"}


@pytest.mark.parametrize(
    "text",
    [
        "Metoprolol 25 mg",
        "metoprolol succinate ER (Toprol XL) 50 mg, 1-0-0",
        "Toprol XL (metoprolol succinate)",
        "Lisinopril 10 mg / metoprolol 25 mg",
        "Metoprolol 25 mg; allergic to penicillin",
        "Penicillin allergy; metoprolol 25 mg",
        "Metoprolol 25 mg (lisinopril was stopped)",
        "Metoprolol 25 mg, take with food",
        "Metoprolol 25 mg for hypertension, no known allergies",
        "Metoprolol 50 mg statt 25 mg",
        "Métoprolol 50 mg, ne pas arrêter",
        "Metoprolol 50 mg; stopped smoking",
        "Metoprolol, allergies reviewed",
        "Lisinopril and metoprolol for blood pressure",
        "Lisinopril 10 mg per 5 mL / metoprolol 25 mg per 5 mL",
        "Metoprolol 25 mg, no contraindications",
        "Metoprolol 25 mg given for lisinopril cough",
        "Metoprolol 50 mg, no suspender sin consultar",
        "Metoprolol 50 mg, niet stoppen zonder overleg",
    ],
)
def test_a_medicine_that_is_named_is_taken(rules: Any, chart: Any, text: str) -> None:
    patient = chart(requests=[order(text)])

    assert rules.verdict(BETA_BLOCKER, "bb: present", patient) is True


@pytest.mark.parametrize(
    "text",
    [
        "Doxycycline 100 mg (patient also takes metoprolol)",
        "Doxycycline 100 mg (while on metoprolol)",
        "Doxycycline 100 mg. Patient is on metoprolol.",
        "Doxycycline instead of metoprolol",
        "Stop metoprolol",
        "Metoprolol (stopped 2024)",
        "Metoprolol - discontinued",
        "metoprolol, not taking",
        "Previously metoprolol",
        "Drug X to replace metoprolol",
        "Metoprolol (patient is allergic)",
        "Metoprolol: the patient's wife takes it",
        "No atenolol, metoprolol",
        "D/C metoprolol",
        "Metoprolol, last taken 2019",
        "Fluoxetine 20 mg, caution: on metoprolol",
        "Doxycycline, metoprolol not tolerated",
        "Doxycycline 100 mg [metoprolol co-prescribed]",
        "Paracetamol, taken with metoprolol in the morning",
        "Doxycyclin statt Metoprolol",
        "Doxycyclin (Metoprolol abgesetzt)",
        "Doxycycline à la place du métoprolol",
        "Métoprolol arrêté",
        "Metoprolol - patient refuses",
        "Metoprolol (wife's)",
        "Patient declined metoprolol",
        "Metoprolol withheld",
        "Metoprolol paused until the review",
        "Metoprolol contraindicated",
        "Metoprolol - entered in error",
        "Metoprolol or placebo",
        "Lipid emulsion for metoprolol poisoning",
        "Bradycardia due to metoprolol",
        "Plan: metoprolol 25 mg",
        "Diltiazem in lieu of metoprolol",
        "Avoid beta blockers, e.g. metoprolol",
        "Z.n. Metoprolol",
        "Metoprolol kontraindiziert",
        "Métoprolol contre-indiqué",
        "Metoprolol suspendido",
        "Ramipril en lugar de metoprolol",
        "Metoprolol sospeso",
        "Metoprolol gestaakt",
        "Metoprolol seponeret",
        "Metoprolol suspenso",
    ],
)
def test_a_medicine_that_is_only_mentioned_is_neither_taken_nor_not(
    rules: Any, chart: Any, reasons: Any, text: str
) -> None:
    patient = chart(requests=[order(text)])

    assert reasons(rules.verdict(BETA_BLOCKER, "bb: present", patient)) == {
        "unresolved"
    }
    assert reasons(rules.verdict(BETA_BLOCKER, "bb: absent", patient)) == {"unresolved"}


@pytest.mark.parametrize(
    "text",
    [
        "Allergic to metoprolol",
        "Metoprolol allergy",
        "metoprolol intolerance",
        "wife takes metoprolol",
        "no metoprolol",
        "alergia a metoprolol",
        "alérgico al metoprolol",
        "allergia al metoprolol",
        "allergisch voor metoprolol",
        "overgevoelig voor metoprolol",
        "alergia ao metoprolol",
        "allergi mot metoprolol",
        "allergisch auf Metoprolol",
    ],
)
def test_a_medicine_that_is_denied_is_never_taken(
    rules: Any, chart: Any, text: str
) -> None:
    lisinopril = order("Lisinopril 10 mg (" + text + ")")

    verdict = rules.verdict(BETA_BLOCKER, "bb: present", chart(requests=[order(text)]))

    assert verdict is not True
    beside = chart(requests=[lisinopril])
    assert rules.verdict(BETA_BLOCKER, "bb: present", beside) is not True
    assert rules.verdict(OTHER, "x: present", beside) is True


@pytest.mark.parametrize(
    "text",
    [
        "Lisinopril 10 mg given for metoprolol cough",
        "Lisinopril because metoprolol made the patient tired",
        "Lisinopril 10 mg increases metoprolol",
        "Lisinopril, while metoprolol is being titrated",
    ],
)
def test_what_is_said_of_a_medicine_in_the_text_of_another_leaves_it_in_doubt(
    rules: Any, chart: Any, reasons: Any, text: str
) -> None:
    patient = chart(requests=[order(text)])

    assert reasons(rules.verdict(BETA_BLOCKER, "bb: present", patient)) == {
        "unresolved"
    }
    assert rules.verdict(OTHER, "x: present", patient) is True


def test_a_mention_in_the_text_of_a_medicine_that_a_code_tells_is_of_no_account(
    rules: Any, chart: Any
) -> None:
    coding = {"system": RXNORM, "code": "29046", "display": "lisinopril"}
    concept = {"coding": [coding], "text": "lisinopril, to replace metoprolol"}
    patient = chart(requests=[order("", medicationCodeableConcept=concept)])

    assert rules.verdict(BETA_BLOCKER, "bb: absent", patient) is True
    assert rules.verdict(OTHER, "x: present", patient) is True


@pytest.mark.parametrize(
    "text",
    [
        "digoxin immune fab 40 MG Injection",
        "Digoxin Immune Fab (ovine)",
        "digoxin antibody",
        "digoxin-specific antibody fragments",
        "anti-digoxin",
        "digoxin level",
        "antidote to digoxin",
    ],
)
def test_what_a_drug_s_name_is_a_part_of_is_not_the_drug(
    rules: Any, chart: Any, text: str
) -> None:
    digoxin = "d: {medication: {in: digoxin}}"
    patient = chart(requests=[order(text)])

    assert rules.verdict(digoxin, "d: present", patient) is False
    assert rules.verdict(digoxin, "d: absent", patient) is True


@pytest.mark.parametrize(
    ("name", "text", "mention"),
    [
        ("heparin", "heparin lock flush 100 unit/mL", Mention.OTHER_THING),
        ("heparin", "heparin sodium flush", Mention.OTHER_THING),
        ("heparin", "heparin sodium 5000 unit/mL", Mention.MEANT),
        ("insulin", "insulin pen needle 31G", Mention.OTHER_THING),
        ("insulin", "insulin syringe-needle U-100", Mention.OTHER_THING),
        ("insulin", "Insulin syringes 0.5 mL", Mention.OTHER_THING),
        ("enoxaparin", "enoxaparin 40 mg/0.4 mL syringe", Mention.MEANT),
        ("enoxaparin", "enoxaparin prefilled syringe", Mention.MEANT),
        ("naloxone", "naloxone challenge", Mention.OTHER_THING),
        ("naloxone", "naloxone 4 mg nasal spray", Mention.MEANT),
        ("morphine", "morphine allergy", Mention.DENIED),
        ("codeine", "Tylenol no. 3 with codeine", Mention.MEANT),
        ("diphenhydramine", "diphenhydramine allergy relief 25 mg", Mention.MEANT),
        ("warfarin", "wife takes warfarin", Mention.DENIED),
        ("warfarin", "warfarin: refused", Mention.DOUBTFUL),
        ("warfarin", "avoid anticoagulants, e.g. warfarin", Mention.DOUBTFUL),
        ("warfarin", "warfarin or placebo", Mention.DOUBTFUL),
        ("norethindrone", "norethindrone 1 mg (21) / placebo (7)", Mention.MEANT),
        ("sennosides", "Ex-Lax (sennosides 15 mg)", Mention.MEANT),
        ("levonorgestrel", "Plan B One-Step (levonorgestrel 1.5 mg)", Mention.MEANT),
        ("warfarin", "Heparin stopped. Warfarin 5 mg", Mention.MEANT),
    ],
)
def test_what_a_text_says_of_a_name(name: str, text: str, mention: Mention) -> None:
    assert said_of(name, text) is mention


@pytest.mark.parametrize(
    "text",
    [
        "Pen needles 31G x 5 mm",
        "Blood glucose test strips",
        "Insulin syringe",
        "No known current medications",
    ],
)
def test_what_is_no_medicine_is_in_no_doubt(rules: Any, chart: Any, text: str) -> None:
    patient = chart(requests=[order(text)])

    assert rules.verdict(BETA_BLOCKER, "bb: absent", patient) is True


def test_a_site_adds_the_words_of_its_language(
    rules: Any, chart: Any, reasons: Any
) -> None:
    text = "Metoprolol lopetettu"
    patient = chart(requests=[order(text)])
    assert rules.verdict(BETA_BLOCKER, "bb: present", patient) is True

    rules.files["lexicon/finnish.yaml"] = """
        format: 1
        title: Finnish
        mentions: {doubtful: {after: [lopetettu]}}
        """

    verdict = rules.verdict(BETA_BLOCKER, "bb: present", patient)
    assert reasons(verdict) == {"unresolved"}
    english = rules.verdict(
        BETA_BLOCKER, "bb: present", chart(requests=[order("Metoprolol stopped")])
    )
    assert reasons(english) == {"unresolved"}


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
        dosage = {"doseAndRate": [{"doseQuantity": quantity}]}
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


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("Chronic atrial fibrillation, unspecified", "chronic atrial fibrillation, "),
        ("Essential (primary) hypertension", "essential (primary) hypertension"),
        ("Type 2 diabetes mellitus", "type 2 diabetes mellitus"),
        ("Syncope", "syncope"),
        ("Syncope, cardiogenic", "syncope, cardiogenic"),
        ("Left-sided heart failure with reduced EF", "left-sided heart failure with "),
        # A name, an abbreviation, another language, a title: as the record has it.
        ("Wolff-Parkinson-White syndrome", "Wolff-Parkinson-White syndrome"),
        ("Parkinson's disease", "Parkinson's disease"),
        ("Chronic Chagas disease", "Chronic Chagas disease"),
        ("COPD", "COPD"),
        ("TIA of 2019", "TIA of 2019"),
        ("HFrEF", "HFrEF"),
        ("ATRIAL FIBRILLATION", "ATRIAL FIBRILLATION"),
        ("Atrial Fibrillation", "Atrial Fibrillation"),
        ("Vorhofflimmern", "Vorhofflimmern"),
        ("Diabetes mellitus Typ 2", "Diabetes mellitus Typ 2"),
        ("chronic cough", "chronic cough"),
        ("", ""),
    ],
)
def test_only_a_word_that_is_no_name_loses_its_capital_within_a_sentence(
    name: str, within: str
) -> None:
    assert LEXICON.within_sentence(name).startswith(within)


def test_a_card_speaks_of_a_problem_within_its_sentence(rules: Any, chart: Any) -> None:
    known = {"system": SNOMED, "code": "49436004"}
    concept = {"coding": [known], "text": "Paroxysmal atrial fibrillation"}
    patient = chart(conditions=[{**problem(""), "code": concept}])

    (found,) = rules.evaluate(FLUTTER, "af: present", patient).items
    shown = found.text("af", "name")

    assert (shown.text, shown.within) == (
        "Paroxysmal atrial fibrillation",
        "paroxysmal atrial fibrillation",
    )


LONG = "no metoprolol, " * 20_000
"""Looked at name by name, with all that is said beside each, it would take minutes."""


def test_a_text_that_names_more_than_a_name_would_means_it_or_not(
    rules: Any, chart: Any, reasons: Any
) -> None:
    patient = chart(requests=[order(LONG)])

    assert reasons(rules.verdict(BETA_BLOCKER, "bb: present", patient)) == {
        "unresolved"
    }
    assert reasons(rules.verdict(BETA_BLOCKER, "bb: absent", patient)) == {"unresolved"}


def test_a_problem_is_neither_there_nor_not_where_a_text_has_it_again_and_again(
    rules: Any, chart: Any, reasons: Any
) -> None:
    patient = chart(conditions=[problem("No atrial fibrillation. " * 20_000)])

    assert reasons(rules.verdict(FLUTTER, "af: present", patient)) == {"unresolved"}
    assert reasons(rules.verdict(FLUTTER, "af: absent", patient)) == {"unresolved"}
