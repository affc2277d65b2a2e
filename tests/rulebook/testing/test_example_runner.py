"""The runner of rule tests: what it plays, and that a wrong example fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.rulebook.load import read_folder
from cds_service.rulebook.testing.example_runner import Difference, ExampleRunner
from cds_service.rulebook.testing.examples import Example, read_examples

SHIPPED = read_folder(Path(__file__).parents[3] / "rules")
NEEDED = ("alert-types.yaml", "valuesets/digoxin.yaml", "valuesets/heart-rate.yaml")
FILES = {
    "site.yaml": "format: 1\ntime_zone: America/New_York\nunapproved: serve\n",
    **{name: SHIPPED[name] for name in NEEDED},
}
"""A site, and of the shipped files what the rule rests on."""
RULE = "cardiology/digoxin-slow-heart.yaml"
FILE = "cardiology/digoxin-slow-heart.test.yaml"

SLOW_HEART = """\
format: 1
rule: digoxin-slow-heart
version: 1.0.0
title: Slow heart rate on digoxin
status: active
hooks: [patient-view]
params: { limit: { default: 50, unit: /min, min: 40, max: 60 } }
facts:
  digoxin: { medication: { in: digoxin } }
  heart_rate: { observation: { in: heart-rate, unit: /min, within: 2 days } }
when: { all: [digoxin: present, heart_rate: { latest: { below: $limit } }] }
card:
  severity: info
  summary: Heart rate {{ heart_rate.latest }} on {{ digoxin.name }}
  detail: The **latest** heart rate is slow.
  source: { label: Our hospital }
"""
PATIENT = """\
test: digoxin-slow-heart
now: 2026-11-22T12:00:00Z
patients:
  base:
    born: 1950-06-01
    medications: [{ code: rxnorm|3407, name: Digoxin, status: active }]
    observations: [{ code: loinc|8867-4, unit: /min, ends: 3 hours ago, values: 46 }]
cases:
  - """


def parse(case: str) -> Example:
    (file,), findings = read_examples({FILE: PATIENT + case})
    assert findings == ()
    (example,) = file.examples
    return example


def differences(case: str, **more: str) -> tuple[Difference, ...]:
    files = {**FILES, RULE: SLOW_HEART, **more}
    return ExampleRunner(files).differences(parse(case))


@pytest.mark.parametrize(
    "expect",
    [
        "{ card: info }",
        "{ card: info, summary: Heart rate 46 /min on Digoxin }",
        "{ card: info, summary: Heart rate 46 /min     on Digoxin }",
        "{ card: info, detail_contains: [heart rate is slow] }",
        "{ card: info, detail_lacks: [fast] }",
    ],
)
def test_what_a_rule_does_passes(expect: str) -> None:
    assert differences(f"{{name: a, patient: base, expect: {expect} }}") == ()


@pytest.mark.parametrize(
    ("expect", "what", "expected", "got"),
    [
        ("no card", "outcome", "no card", "a card"),
        ("unknown", "outcome", "unknown", "a card"),
        ("{ unknown_because: [digoxin] }", "outcome", "unknown", "a card"),
        ("{ card: warning }", "severity", "warning", "info"),
        (
            "{ card: info, summary: Heart rate 47 }",
            "summary",
            "Heart rate 47",
            "Heart rate 46 /min on Digoxin",
        ),
        (
            "{ card: info, summary: heart rate 46 /min on Digoxin }",
            "summary",
            "heart rate 46 /min on Digoxin",
            "Heart rate 46 /min on Digoxin",
        ),
        (
            "{ card: info, detail_contains: [heart rate is fast] }",
            "detail",
            "heart rate is fast",
            "The **latest** heart rate is slow.",
        ),
        ("{ card: info, detail_lacks: [slow] }", "detail", "", "slow"),
    ],
)
def test_a_wrong_example_fails(expect: str, what: str, expected: str, got: str) -> None:
    (found,) = differences(f"{{name: a, patient: base, expect: {expect} }}")

    assert (found.what, found.expected) == (what, expected)
    assert found.got.startswith(got)


def test_a_wrong_example_of_a_rule_that_is_silent_fails() -> None:
    case = "{name: a, patient: base, set: {medications: []}, expect: {card: info} }"

    (found,) = differences(case)

    assert (found.expected, found.got) == ("a card", "no card")


def test_a_wrong_reason_for_not_knowing_fails() -> None:
    unread = "{name: a, patient: base, set: {not_loaded: [Observation]}, expect: "

    right = differences(unread + "{unknown_because: [heart_rate]} }")
    (wrong,) = differences(unread + "{unknown_because: [digoxin]} }")

    assert right == ()
    assert (wrong.what, wrong.expected, wrong.got) == (
        "because",
        "digoxin",
        "heart_rate",
    )


def test_an_unknown_where_a_card_was_expected_says_why() -> None:
    case = "{name: a, patient: base, set: {observations: []}, expect: {card: info} }"

    (found,) = differences(case)

    assert found.got == "unknown because of heart_rate (not_recorded)"


def test_a_known_gap_passes_by_failing_and_fails_once_it_passes() -> None:
    gap = "{name: a, patient: base, todo: later, expect: no card}"
    closed = "{name: a, patient: base, todo: later, expect: {card: info} }"

    (found,) = differences(closed)

    assert differences(gap) == ()
    assert found.what == "todo"
    assert found.message == (
        "passes although it is marked `todo: later`; remove the mark"
    )


def test_a_known_gap_that_cannot_be_played_is_a_problem() -> None:
    case = "{name: a, todo: later, set: {fhir: ../jane.json}, expect: no card}"

    (found,) = differences(case)

    assert (found.what, found.message) == ("error", "there is no file jane.json")


ACTING = SLOW_HEART + """\
  system_actions:
    - description: Make a task
      create: {resourceType: Task, status: requested, intent: order}
    - {description: Stop the order, remove: digoxin}
"""
WORDS = "set: {medications: [{name: Digoxin}]}, "


@pytest.mark.parametrize(
    "case",
    [
        "expect: {card: info}",
        "expect: {card: info, system_actions: [Make a task, Stop the order]}",
        WORDS + "expect: {card: info, system_actions: []}",
    ],
)
def test_what_is_done_without_a_person_passes_before_anybody_approved_it(
    case: str,
) -> None:
    assert differences(f"{{name: a, patient: base, {case} }}", **{RULE: ACTING}) == ()


@pytest.mark.parametrize(
    ("case", "expected", "got"),
    [
        ("expect: {card: info, system_actions: []}", "none", "all"),
        ("expect: {card: info, system_actions: [Make a task]}", "Make a task", "all"),
        (
            "expect: {card: info, system_actions: [Stop the order, Make a task]}",
            "Stop the order; Make a task",
            "all",
        ),
        (
            WORDS + "expect: {card: info, system_actions: [Make a task]}",
            "Make a task",
            "none",
        ),
    ],
    ids=["none", "one", "another order", "in doubt"],
)
def test_a_wrong_example_of_what_is_done_without_a_person_fails(
    case: str, expected: str, got: str
) -> None:
    got = "Make a task; Stop the order" if got == "all" else got

    (found,) = differences(f"{{name: a, patient: base, {case} }}", **{RULE: ACTING})

    assert (found.what, found.expected, found.got) == ("system_actions", expected, got)
    assert found.message == f"expected the system actions {expected!r}, got {got!r}"


def test_a_param_is_tried() -> None:
    case = "{name: a, patient: base, params: {limit: 45}, expect: no card}"

    assert differences(case) == ()


def test_a_param_outside_its_bounds_is_a_problem() -> None:
    case = "{name: a, patient: base, params: {limit: 70}, expect: no card}"

    (found,) = differences(case)

    assert "does not compile" in found.message and "outside" in found.message


def test_a_rule_that_is_not_there_is_named() -> None:
    case = "{name: a, expect: no card}"
    (problem,) = ExampleRunner(FILES).problems(parse(case))

    assert problem == "there is no rule `digoxin-slow-heart`"


def test_a_rule_that_does_not_compile_is_a_problem_with_its_place() -> None:
    broken = SLOW_HEART.replace("digoxin: present", "digoxim: present")

    (found,) = differences("{name: a, expect: no card}", **{RULE: broken})

    assert f"{RULE}:11:" in found.message
    assert "digoxim" in found.message


def test_a_rule_of_the_wrong_shape_is_a_problem_with_its_place() -> None:
    broken = SLOW_HEART.replace("when:", "whem:")

    (found,) = differences("{name: a, expect: no card}", **{RULE: broken})

    assert f"{RULE}:11:1" in found.message


def test_a_value_set_with_a_mistake_is_a_problem_with_its_place() -> None:
    broken = {"valuesets/digoxin.yaml": "format: 1\n"}

    (found,) = differences("{name: a, expect: no card}", **broken)

    assert "valuesets/digoxin.yaml:1:1" in found.message


def test_another_rule_with_a_mistake_is_none_of_this_one() -> None:
    other = {"cardiology/other.yaml": "a: [", "other.test.yaml": "["}

    assert differences("{name: a, expect: no card}", **other) == ()


def test_what_a_site_tunes_changes_no_test() -> None:
    site = FILES["site.yaml"] + (
        "rules:\n  digoxin-slow-heart:\n"
        "    status: shadow\n    params: { limit: 41 }\n"
    )
    case = "{name: a, patient: base, expect: {card: info} }"

    assert differences(case, **{"site.yaml": site}) == ()


def test_a_rule_tested_before_it_takes_effect_is_told() -> None:
    early = SLOW_HEART + "governance: { effective: 2026-12-01 }\n"
    case = "{name: a, patient: base, expect: {card: info} }"

    (found,) = differences(case, **{RULE: early})

    assert found.message == ("the rule is not in force on 2026-11-22, the day of `now`")


def test_a_day_that_the_calendar_does_not_have_is_a_problem() -> None:
    alert = "{type: low-heart-rate, at: 2026-02-30}"
    case = f"{{name: a, set: {{wearable_alerts: [{alert}]}}, expect: unknown}}"

    (found,) = differences(case)

    assert found.what == "error"
    assert found.message.startswith("2026-02-30 is not a time")


JANE: dict[str, Any] = {
    "resourceType": "Bundle",
    "entry": [
        {"fullUrl": "urn:uuid:1"},
        {"resource": {"resourceType": "Patient", "id": "jane", "birthDate": "1940"}},
        {
            "resource": {
                "resourceType": "MedicationStatement",
                "status": "active",
                "medicationCodeableConcept": {"text": "Digoxin"},
            }
        },
        {
            "resource": {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                "effectiveDateTime": "2026-11-22T08:00:00Z",
                "valueQuantity": {"value": 44, "code": "/min"},
            }
        },
    ],
}
FROM_FILE = (
    "{name: a, set: {fhir: ../fhir/jane.json}, "
    "expect: {card: info, summary: Heart rate 44 /min on Digoxin}}"
)


def test_a_patient_may_be_taken_from_a_file_of_fhir() -> None:
    assert differences(FROM_FILE, **{"fhir/jane.json": json.dumps(JANE)}) == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "fhir/jane.json is no JSON"),
        ("[" * 50_000, "fhir/jane.json is no JSON"),
        ("[]", "fhir/jane.json contains neither a Bundle nor a resource"),
        ('{"entry": 7}', "expected a card, got no card"),
        ('{"entry": [7, {"resource": 8}]}', "expected a card, got no card"),
    ],
)
def test_a_file_of_fhir_that_is_none_is_a_problem(content: str, said: str) -> None:
    (found,) = differences(FROM_FILE, **{"fhir/jane.json": content})

    assert found.message.startswith(said)


def test_a_file_of_fhir_that_is_not_there_is_named() -> None:
    (found,) = differences(FROM_FILE)

    assert found.message == "there is no file fhir/jane.json"


def test_a_file_of_fhir_outside_of_the_folder_is_refused() -> None:
    case = FROM_FILE.replace("../fhir/", "../../")

    (found,) = differences(case)

    assert found.message == "../../jane.json is outside the rules folder"


def test_a_page_of_the_server_is_called_as_the_site_calls_it() -> None:
    case = "{ name: a, patient: base, expect: { card: info } }"
    rule = f"{SLOW_HEART}  links: [{{ type: smart, page: timeline }}]\n"
    site = FILES["site.yaml"] + "pages: { timeline: Readings }\n"

    assert differences(case, **{RULE: rule, "site.yaml": site}) == ()
