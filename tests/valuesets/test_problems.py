"""What each set of problems takes in and what it leaves out, case by case."""

from typing import Any

import pytest

from cds_service.rulebook.engine.rows.matching import CodeIndex
from cds_service.rulebook.engine.rulebook import Rulebook

IN = {
    "anaemia": "D50.9 D55.0 D56.1 D57.1 D59.9 D61.810 D62 D63.1 D64.9 O99.012",
    "anxiety": "F40.10 F41.0 F41.1 F41.9",
    "atrial-fibrillation-flutter": "I48.0 I48.11 I48.20 I48.3 I48.91",
    "bradycardia": "R00.1",
    "cardiac-pacing-device": "Z45.010 Z45.018 Z45.02 Z95.0 Z95.810",
    "chronic-kidney-disease": "E08.22 E11.22 I12.9 I13.10 N18.30 N18.9 Z49.31 Z99.2",
    "conduction-disease": "I44.1 I44.2 I44.30 I44.39 I45.2 I45.3 I45.5 I45.9 I49.5"
    " Q24.6",
    "copd": "J41.0 J42 J43.9 J44.1 J44.81",
    "diabetes": "E08.9 E09.65 E10.9 E11.A E11.9 E13.9 O24.011 O24.119 O24.32 O24.811",
    "end-stage-kidney-disease": "N18.6 Z49.01 Z91.151 Z99.2",
    "heart-failure": "I09.81 I11.0 I13.0 I13.2 I50.9 I50.22 I97.130",
    "hypertension": "H35.033 I10 I11.9 I12.0 I13.10 I15.0 I16.1 I1A.0 I67.4 O10.011"
    " O11.1",
    "hyperthyroidism": "E05.00 E05.90",
    "hypoventilation": "E66.2 G47.34 G47.35 G47.36 J96.11 J96.22",
    "long-term-anticoagulant-use": "Z79.01",
    "orthostatic-tachycardia": "G90.A",
    "palliative-care": "Z51.5",
    "prosthetic-heart-valve": "T82.01XA T82.6XXD Z95.2",
    "pulmonary-embolism": "I26.99 I27.82 O88.211",
    "rheumatic-mitral-stenosis": "I05.0 I05.2",
    "sleep-apnoea": "G47.30 G47.31 G47.33 G47.37 G47.39",
    "stroke-or-tia": "G45.0 G45.3 G45.8 G45.9 I63.9 I69.351 I97.810 I97.821 Z86.73",
    "syncope": "G90.01 R55",
    "systemic-embolism": "I74.3 I74.9",
    "vascular-disease": "E08.51 E11.51 E13.52 I21.4 I22.1 I25.2 I70.0 I70.211 I73.9"
    " Z95.820 Z98.62",
}
OUT = {
    # traits and variants; in the past; another disease of the marrow
    "anaemia": "D56.3 D56.4 D57.3 D58.2 D46.9 Z86.2",
    # obsessions; reactions to stress; a symptom
    "anxiety": "F42.9 F43.10 R45.0",
    # other rhythms
    "atrial-fibrillation-flutter": "I47.10 I49.9",
    # loop recorders; a device that broke down
    "cardiac-pacing-device": "T82.110A Z95.818",
    # acute; unsaid; damage without a stage; transplanted
    "chronic-kidney-disease": "E11.21 E11.29 N17.9 N19 Z94.0",
    # first degree; one bundle
    "conduction-disease": "I44.0 I44.4 I44.7 I45.0 I45.10",
    # asthma; bronchiectasis; unsaid
    "copd": "J40 J45.909 J47.9 J98.2",
    # before it shows; gestational; a reading; a drug
    "diabetes": "E10.A1 O24.410 O24.919 R73.03 Z79.4",
    # stage 5, or stage 5 or end stage
    "end-stage-kidney-disease": "I12.0 I13.11 I13.2 N18.5",
    # without failure; the muscle; shock; an assist device
    "heart-failure": "I11.9 I13.10 I13.11 I42.0 I51.81 O90.3 R57.0 Z95.811",
    # of the lungs; of the eye; a reading; ends with the pregnancy
    "hypertension": "H40.051 I27.20 O13.1 O14.90 O16.9 R03.0",
    # thyroiditis; under-active after treatment
    "hyperthyroidism": "E03.9 E06.3 E89.0",
    # acute, or nobody said how long
    "hypoventilation": "J96.00 J96.90",
    # platelet inhibitors; bleeding
    "long-term-anticoagulant-use": "D68.32 T45.515A Z79.02",
    # low pressure on standing
    "orthostatic-tachycardia": "I95.1",
    # no resuscitation is not palliative; chemotherapy
    "palliative-care": "Z51.11 Z66",
    # of tissue; unsaid
    "prosthetic-heart-valve": "Z95.3 Z95.4",
    # in the past; no embolism; of air, of amniotic fluid
    "pulmonary-embolism": "I82.401 O88.011 O88.111 Z86.711",
    # regurgitation; calcified
    "rheumatic-mitral-stenosis": "I05.1 I34.2",
    # newborns; high altitude
    "sleep-apnoea": "G47.32 P28.3",
    # bleeding; narrowing; amnesia; a cause that nobody said
    "stroke-or-tia": "G45.4 I61.9 I65.2 I66.01 I69.151 I69.851 I69.951",
    # dizziness; low pressure on standing; heat
    "syncope": "I95.1 R42 T67.1XXA",
    "systemic-embolism": "I75.011",
    # no infarction; vessels that are not atherosclerotic; aneurysm
    "vascular-disease": "I25.10 I71.40 I73.00 I73.1 I77.6",
}


def cases(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, code) for name, codes in table.items() for code in codes.split()]


@pytest.mark.parametrize("name,code", cases(IN))
def test_it_is_one(holds: Any, icd10cm: Any, name: str, code: str) -> None:
    assert icd10cm.is_valid_item(code)
    assert holds(name, f"icd10cm|{code}")


@pytest.mark.parametrize("name,code", cases(OUT))
def test_it_is_something_else(holds: Any, icd10cm: Any, name: str, code: str) -> None:
    assert icd10cm.is_valid_item(code)
    assert not holds(name, f"icd10cm|{code}")


@pytest.mark.parametrize("name", ["anaemia", "pulmonary-embolism", "hyperthyroidism"])
def test_a_cause_of_a_fast_heart_is_each_of_them(holds: Any, name: str) -> None:
    for code in IN[name].split():
        assert holds("causes-of-tachycardia", f"icd10cm|{code}")


@pytest.mark.parametrize("code", ["D56.3", "D58.2"])
def test_a_trait_explains_no_fast_heart(holds: Any, code: str) -> None:
    assert not holds("causes-of-tachycardia", f"icd10cm|{code}")


@pytest.mark.parametrize(
    "name", ["sleep-apnoea", "hypoventilation", "copd", "chronic-kidney-disease"]
)
def test_an_opioid_is_riskier_with_each_of_them(holds: Any, name: str) -> None:
    for code in IN[name].split():
        assert holds("respiratory-depression-risks", f"icd10cm|{code}")


IN_WORDS = [
    ("atrial-fibrillation-flutter", "PAF on apixaban"),
    ("atrial-fibrillation-flutter", "A-fib w/ RVR"),
    ("atrial-fibrillation-flutter", "AF"),
    ("atrial-fibrillation-flutter", "Vorhofflimmern, paroxysmal"),
    ("atrial-fibrillation-flutter", "Fibrillation auriculaire permanente"),
    ("heart-failure", "CHF NYHA III"),
    ("heart-failure", "HFpEF"),
    ("heart-failure", "Chronische Linksherzinsuffizienz"),
    ("heart-failure", "Insuffisance cardiaque gauche"),
    ("copd", "COPD GOLD 2"),
    ("copd", "BPCO post-tabagique"),
    ("diabetes", "T2DM"),
    ("diabetes", "Diabète de type 2"),
    ("hypertension", "HTN"),
    ("stroke-or-tia", "Prior TIA 2019"),
    ("palliative-care", "Palliativmedizinische Betreuung"),
    ("palliative-care", "Soins palliatifs à domicile"),
    ("palliative-care", "Comfort measures only"),
    ("cardiac-pacing-device", "Herzschrittmacher seit 2019"),
    ("cardiac-pacing-device", "Stimulateur cardiaque"),
    ("pregnancy", "Schwangerschaft 20. SSW"),
    ("pregnancy", "Grossesse en cours"),
    ("atrial-fibrillation-flutter", "Fibrilación auricular paroxística"),
    ("atrial-fibrillation-flutter", "Fibrillazione atriale permanente"),
    ("atrial-fibrillation-flutter", "Boezemfibrilleren"),
    ("atrial-fibrillation-flutter", "Fibrilhação auricular"),
    ("atrial-fibrillation-flutter", "Förmaksflimmer"),
    ("atrial-fibrillation-flutter", "Atrieflimren"),
    ("atrial-fibrillation-flutter", "Atrial fibrillation (mother of two)"),
]
NOT_IN_WORDS = [
    ("atrial-fibrillation-flutter", "Ventricular fibrillation"),
    ("atrial-fibrillation-flutter", "Familienanamnese: Vorhofflimmern"),
    ("atrial-fibrillation-flutter", "Mutter: Vorhofflimmern"),
    ("atrial-fibrillation-flutter", "Vorhofflimmern ausgeschlossen"),
    ("atrial-fibrillation-flutter", "Pas de fibrillation auriculaire"),
    ("atrial-fibrillation-flutter", "Fam hx: atrial fibrillation"),
    ("atrial-fibrillation-flutter", "FHx: AF"),
    ("atrial-fibrillation-flutter", "AFP raised"),
    ("atrial-fibrillation-flutter", "Dad had a fib"),
    ("atrial-fibrillation-flutter", "First-degree relative with atrial fibrillation"),
    ("atrial-fibrillation-flutter", "Family member: atrial fibrillation"),
    ("atrial-fibrillation-flutter", "Atrial fibrillation: negative"),
    ("atrial-fibrillation-flutter", "Never had atrial fibrillation"),
    ("atrial-fibrillation-flutter", "Familiäre Belastung mit Vorhofflimmern"),
    ("atrial-fibrillation-flutter", "Antecedentes familiares de fibrilación auricular"),
    ("heart-failure", "keine Herzinsuffizienz"),
    ("heart-failure", "Renal failure"),
    ("diabetes", "Diabetes insipidus"),
]


def may_be_meant(rulebook: Rulebook, name: str, text: str) -> bool:
    """Return whether a problem that is called *text* may be one of the set."""
    index = CodeIndex({0: name}, rulebook.valuesets, rulebook.lexicon)
    return index.worded([text]) == {0}


@pytest.mark.parametrize("name,text", IN_WORDS)
def test_a_problem_in_words_may_be_one(
    rulebook: Rulebook, name: str, text: str
) -> None:
    assert may_be_meant(rulebook, name, text)


@pytest.mark.parametrize("name,text", NOT_IN_WORDS)
def test_words_that_deny_or_only_look_alike_raise_no_doubt(
    rulebook: Rulebook, name: str, text: str
) -> None:
    assert not may_be_meant(rulebook, name, text)
