"""A name in a text is not always the patient's problem, nor a medicine that is taken.

The words are those of the shipped lexicon; the sets are small ones.
"""

from typing import Any

import pytest

from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.terminology.folding import words_of
from cds_service.rulebook.terminology.lexicon import Lexicon, Mention, build_lexicon

from .texts import BETA_BLOCKER, RXNORM, SHIPPED, SNOMED, add_lexicon, order

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
    add_lexicon(rules)
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
        "Atrial fibrillation not detected",
        "Mom: atrial fibrillation",
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
        "Metoprolol 50 mg, do not stop abruptly",
        "Metoprolol 50 mg, stop if the pulse is below 50",
        "Metoprolol 50 mg, do not take if the pulse is below 50",
        "Metoprolol 50 mg, do not take with grapefruit",
        "Metoprolol 50 mg, do not take more than two a day",
        "Metoprolol 50 mg, no interactions",
        "Metoprolol 50 mg, 1 Tablette unter die Zunge",
        "Metoprolol 50 mg, prend 1 comprimé le matin",
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
        "Doxycycline 100 mg (concomitant metoprolol)",
        "Doxycycline 100 mg (co-administered with metoprolol)",
        "Doxycycline 100 mg (also prescribed metoprolol)",
        "Doxycycline 100 mg (last took metoprolol yesterday)",
        "Metoprolol - STOP",
        "Metoprolol stop date 2025-01-01",
        "Metoprolol (do not take)",
        "Metoprolol: inactive",
        "Doxycyclin (nimmt auch Metoprolol)",
        "Doxycyclin (Patientin unter Metoprolol)",
        "Doxycycline (prend aussi du métoprolol)",
        "Doxiciclina (también toma metoprolol)",
        "Doxiciclina (assume anche metoprolol)",
        "Doxycycline (gebruikt ook metoprolol)",
        "Doxiciclina (doente em uso de metoprolol)",
        "Doxycyklin (tar även metoprolol)",
        "Doxycyclin (tager også metoprolol)",
        "Doksysyklin (bruker også metoprolol)",
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
