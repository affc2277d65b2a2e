"""Problems that words name and whose codes a set does not list."""

from typing import Any

import pytest

FLUTTER = "af: {condition: {in: flutter}}"
SET = """
format: 1
valueset: flutter
version: 1.0.0
title: Atrial fibrillation
words: [Atrial Fibrillation]
include:
  - {system: icd10cm, under: [I48]}
  - {system: snomed, codes: ["49436004"]}
"""
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"


@pytest.fixture
def rules(rules: Any) -> Any:
    """With a set that has one system whole and one as a list."""
    rules.files["valuesets/flutter.yaml"] = SET
    return rules


def problem(system: str, code: str, text: str) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": system, "code": code, "display": text}]},
    }


@pytest.mark.parametrize(
    "text",
    [
        "Paroxysmal atrial fibrillation",
        "ATRIAL FIBRILLATION",
        "Paroxysmal atrial\u00a0fibrillation",
        "Paroxysmal atrial  fibrillation",
        "atrial fibril\u00adlation",
        "atrial-fibrillation",
        "atrial\u2011fibrillation",
        "Atr\u0131al f\u0131br\u0131llat\u0131on",
        "atri\u0301al fibrillation",
    ],
)
def test_a_subtype_that_is_not_listed_may_be_meant(
    rules: Any, chart: Any, reasons: Any, text: str
) -> None:
    patient = chart(conditions=[problem(SNOMED, "282825002", text)])

    assert reasons(rules.verdict(FLUTTER, "af: absent", patient)) == {"unresolved"}
    assert reasons(rules.verdict(FLUTTER, "af: present", patient)) == {"unresolved"}


def test_what_is_listed_is_not_in_doubt_for_its_words(rules: Any, chart: Any) -> None:
    patient = chart(conditions=[problem(SNOMED, "49436004", "Atrial fibrillation")])

    assert rules.verdict(FLUTTER, "af: present", patient) is True
    assert rules.verdict(FLUTTER, "af: absent", patient) is False


def test_another_problem_of_the_same_system_is_settled(rules: Any, chart: Any) -> None:
    patient = chart(conditions=[problem(SNOMED, "38341003", "Hypertension")])

    assert rules.verdict(FLUTTER, "af: absent", patient) is True


def test_a_system_that_the_set_has_whole_needs_no_words(rules: Any, chart: Any) -> None:
    old = problem(ICD, "Z86.79", "History of atrial fibrillation")

    assert rules.verdict(FLUTTER, "af: absent", chart(conditions=[old])) is True


def test_words_of_an_included_set_count(rules: Any, chart: Any, reasons: Any) -> None:
    rules.files["valuesets/rhythm.yaml"] = """
        format: 1
        valueset: rhythm
        version: 1.0.0
        title: Rhythm
        include: [{valueset: flutter}]
        """
    patient = chart(conditions=[problem(SNOMED, "1", "Atrial fibrillation, chronic")])

    verdict = rules.verdict("af: {condition: {in: rhythm}}", "af: absent", patient)

    assert reasons(verdict) == {"unresolved"}


def test_a_code_without_words_cannot_be_judged_by_words(
    rules: Any, chart: Any, reasons: Any
) -> None:
    bare = problem(SNOMED, "282825002", "")
    del bare["code"]["coding"][0]["display"]
    patient = chart(conditions=[bare])

    assert reasons(rules.verdict(FLUTTER, "af: absent", patient)) == {"unresolved"}
    assert rules.verdict(FLUTTER, "af: present", patient) is False


def test_a_code_without_words_that_another_set_lists_is_that_problem(
    rules: Any, chart: Any
) -> None:
    rules.files["valuesets/diabetes.yaml"] = """
        format: 1
        valueset: diabetes
        version: 1.0.0
        title: Diabetes
        include: [{system: snomed, codes: ['73211009']}]
        """
    facts = FLUTTER + "\ndm: {condition: {in: diabetes}}"
    bare = problem(SNOMED, "73211009", "")

    assert rules.verdict(facts, "af: absent", chart(conditions=[bare])) is True


@pytest.mark.parametrize(
    ("word", "text", "meant"),
    [
        ("palliative", "Palliative treatment", True),
        ("palliative", "Nonpalliative surgery", False),
        ("palliativ*", "Palliativmedizinische Behandlung", True),
        ("*insuffizienz", "Chronische Herzinsuffizienz", True),
        ("insuffizienz", "Chronische Herzinsuffizienz", False),
        ("end-stage renal", "End stage renal disease", True),
        ("Fu\u00dfgangr\u00e4n", "FUSSGANGRAN", True),
    ],
)
def test_words_are_whole_words_unless_the_set_says_otherwise(
    rules: Any, chart: Any, reasons: Any, word: str, text: str, meant: bool
) -> None:
    rules.files["valuesets/flutter.yaml"] = SET.replace(
        "[Atrial Fibrillation]", f'["{word}"]'
    )
    patient = chart(conditions=[problem(SNOMED, "1", text)])

    verdict = rules.verdict(FLUTTER, "af: absent", patient)

    assert (reasons(verdict) == {"unresolved"}) is meant
    assert meant or verdict is True


def test_a_card_that_a_problem_in_words_may_have_raised_is_said_to_be_unchecked(
    rules: Any, chart: Any
) -> None:
    """Also where the rule is found by nothing but that problem."""
    patient = chart(conditions=[problem(SNOMED, "282825002", "Atrial fibrillation")])

    (item,) = rules.evaluate(FLUTTER, "af: present", patient).items

    assert item.could_not_check
    assert item.reasons[0].names == ("Atrial fibrillation",)


def test_a_code_that_is_broader_than_the_set_may_be_of_its_kind(
    rules: Any, chart: Any, reasons: Any
) -> None:
    rules.files["valuesets/flutter.yaml"] = SET.replace("[I48]", "[I48.2, I48.91]")
    broad = chart(conditions=[problem(ICD, "I48", "Atrial fibrillation and flutter")])
    other = chart(conditions=[problem(ICD, "I48.3", "Typical atrial flutter")])

    assert reasons(rules.verdict(FLUTTER, "af: absent", broad)) == {"unresolved"}
    assert reasons(rules.verdict(FLUTTER, "af: present", broad)) == {"unresolved"}
    assert rules.verdict(FLUTTER, "af: absent", other) is True


def test_a_problem_that_does_not_count_is_in_no_doubt(rules: Any, chart: Any) -> None:
    past = problem(SNOMED, "1", "Atrial fibrillation") | {
        "clinicalStatus": {"coding": [{"code": "resolved"}]}
    }

    assert rules.verdict(FLUTTER, "af: absent", chart(conditions=[past])) is True


def test_a_code_of_a_classification_needs_no_words_to_be_another_problem(
    rules: Any, chart: Any
) -> None:
    rules.files["valuesets/flutter.yaml"] = SET.replace("under: [I48]", "codes: [I48]")
    patient = chart(conditions=[problem(ICD, "J45.909", "")])

    assert rules.verdict(FLUTTER, "af: absent", patient) is True


@pytest.mark.parametrize(
    "code",
    [
        "I 48.91",
        "\u041648.91",
        "IMO0001",
        "427.31",
        "I\u00a048.91",
        "NoCode",
        "I4",
        "?",
    ],
)
def test_what_is_no_code_of_its_system_tells_nothing(
    rules: Any, chart: Any, reasons: Any, code: str
) -> None:
    patient = chart(conditions=[problem(ICD, code, "")])

    assert reasons(rules.verdict(FLUTTER, "af: absent", patient)) == {"unresolved"}


@pytest.mark.parametrize(
    "code", ["E11.9", "e11.9", "E11.-", "E11.-+", "E119", " E11.9 ", "I51"]
)
def test_a_code_of_something_else_settles_it_however_it_is_written(
    rules: Any, chart: Any, code: str
) -> None:
    patient = chart(conditions=[problem(ICD, code, "")])

    assert rules.verdict(FLUTTER, "af: absent", patient) is True


def test_another_code_that_can_be_read_settles_what_an_odd_one_does_not(
    rules: Any, chart: Any
) -> None:
    diabetes = problem(ICD, "IMO0001", "")
    diabetes["code"]["coding"].append({"system": ICD, "code": "E11.9"})
    patient = chart(conditions=[diabetes])

    assert rules.verdict(FLUTTER, "af: absent", patient) is True


@pytest.fixture
def denying(rules: Any) -> Any:
    """With words that deny a problem, and words that leave it in doubt."""
    rules.files["lexicon/english.yaml"] = """
        format: 1
        title: English
        mentions:
          denied:
            before: ["no", family history of, mother]
            after: [ruled out]
          doubtful:
            before: [history of]
            but_not: [family history of]
        """
    return rules


@pytest.mark.parametrize(
    "text",
    [
        "Family history of atrial fibrillation",
        "No atrial fibrillation",
        "Atrial fibrillation ruled out",
        "Mother: atrial fibrillation",
    ],
)
@pytest.mark.parametrize(("system", "code"), [(SNOMED, "49436004"), (ICD, "I48.91")])
def test_a_code_whose_words_deny_it_is_in_doubt(
    denying: Any, chart: Any, reasons: Any, system: str, code: str, text: str
) -> None:
    written = problem(system, code, "Atrial fibrillation")
    written["code"]["text"] = text
    patient = chart(conditions=[written])

    absent = denying.verdict(FLUTTER, "af: absent", patient)
    assert reasons(absent) == {"unresolved"}
    assert [each.names for each in absent.reasons] == [(text,)]
    assert reasons(denying.verdict(FLUTTER, "af: present", patient)) == {"unresolved"}


@pytest.mark.parametrize(
    "text",
    [
        "History of atrial fibrillation",
        "Atrial fibrillation, no anticoagulant",
        "Atrial fibrillation; family history of atrial fibrillation",
        "Family history of stroke",
        "AF",
    ],
)
def test_other_words_take_nothing_from_a_code(
    denying: Any, chart: Any, text: str
) -> None:
    written = problem(SNOMED, "49436004", text)
    patient = chart(conditions=[written])

    assert denying.verdict(FLUTTER, "af: present", patient) is True


def test_the_words_of_a_result_deny_nothing_of_its_code(
    denying: Any, chart: Any, reading: Any
) -> None:
    denying.files["valuesets/heart-rate.yaml"] += "words: [heart rate]\n"
    measured = reading(120)
    measured["code"]["text"] = "No heart rate alarm"
    fast = "hr: {observation: {in: heart-rate, unit: /min}}"

    verdict = denying.verdict(
        fast, "hr: {latest: {above: 100}}", chart(observations=[measured])
    )

    assert verdict is True


def test_a_denied_problem_that_is_refuted_or_over_is_no_doubt(
    denying: Any, chart: Any
) -> None:
    written = problem(SNOMED, "49436004", "No atrial fibrillation")
    written["clinicalStatus"] = {"coding": [{"code": "resolved"}]}

    absent = denying.verdict(FLUTTER, "af: absent", chart(conditions=[written]))

    assert absent is True


def told(code: str, display: str, text: str) -> dict[str, Any]:
    """A problem of a classification, with what the clinician called it."""
    written = problem(ICD, code, display)
    written["code"]["text"] = text
    return written


CIRCULATORY = "Personal history of other diseases of the circulatory system"


@pytest.mark.parametrize(
    "text",
    [
        "History of atrial fibrillation",
        "Atrial fibrillation, ablated 2019",
        "Rule out atrial fibrillation",
    ],
)
def test_what_a_text_says_beyond_a_code_of_something_wider_may_be_meant(
    denying: Any, chart: Any, reasons: Any, text: str
) -> None:
    patient = chart(conditions=[told("Z86.79", CIRCULATORY, text)])

    assert reasons(denying.verdict(FLUTTER, "af: absent", patient)) == {"unresolved"}
    assert reasons(denying.verdict(FLUTTER, "af: present", patient)) == {"unresolved"}


@pytest.mark.parametrize(
    ("display", "text"),
    [
        (CIRCULATORY, "Family history of atrial fibrillation"),
        (CIRCULATORY, "History of endocarditis"),
        # What the code is called says it as well, and the set leaves it out.
        ("Other atrial fibrillation", "Atrial fibrillation of another kind"),
        # A text that may be no more than what the code is called.
        ("", "Atrial fibrillation"),
    ],
)
def test_a_code_of_a_classification_says_what_its_title_says(
    denying: Any, chart: Any, display: str, text: str
) -> None:
    patient = chart(conditions=[told("Z86.79", display, text)])

    assert denying.verdict(FLUTTER, "af: absent", patient) is True
