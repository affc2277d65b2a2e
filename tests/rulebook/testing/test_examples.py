"""Test files as they are read: cases, and what is wrong with those that are none."""

import pytest

from cds_service.rulebook.engine.evaluate import Outcome
from cds_service.rulebook.testing.examples import (
    Example,
    fhir_file,
    fhir_files,
    read_examples,
)

FILE = "cardiology/slow.test.yaml"


def written(*cases: str, now: str = "2026-11-22T12:00:00Z") -> str:
    listed = "".join(f"  - {case}\n" for case in cases)
    return f"""\
test: slow
now: {now}
patients:
  base: {{ born: 1949-01-20, sex: female }}
cases:
{listed}"""


def read(*cases: str, now: str = "2026-11-22T12:00:00Z") -> tuple[Example, ...]:
    (file,), findings = read_examples({FILE: written(*cases, now=now)})
    assert findings == ()
    return file.examples


def told(*cases: str, now: str = "2026-11-22T12:00:00Z") -> list[tuple[int, int, str]]:
    """Line, column and code of what is wrong with a test file."""
    _, findings = read_examples({FILE: written(*cases, now=now)})
    return [(each.line, each.column, each.code) for each in findings]


def test_a_case_takes_its_patient_and_replaces_parts_of_it() -> None:
    (example,) = read(
        "{name: a, patient: base, set: {born: 2001-02-03}, expect: no card}"
    )

    assert example.patient == {"born": "2001-02-03", "sex": "female"}
    assert example.expect.outcome is Outcome.NO
    assert example.id == "slow: a"
    assert (example.file, example.line, example.column) == (FILE, 6, 5)


def test_a_patient_who_is_not_in_the_file_is_named_where_it_stands() -> None:
    files = {FILE: written("{name: a, patient: bsae, expect: unknown}")}

    (file,), (finding,) = read_examples(files)

    assert file.examples == ()
    assert (finding.line, finding.column, finding.code) == (6, 24, "CDS707")
    assert finding.message == "there is no patient `bsae` in this file"
    assert finding.help == "did you mean `base`?"


def test_a_case_that_cannot_be_played_leaves_the_others() -> None:
    files = {
        FILE: written(
            "{name: a, patient: bsae, expect: unknown}",
            "{name: b, patient: base, expect: unknown}",
        )
    }

    (file,), _ = read_examples(files)

    assert [each.name for each in file.examples] == ["b"]


def test_a_moment_that_the_calendar_does_not_have_is_refused() -> None:
    case = "{name: a, expect: unknown}"

    assert told(case, now="2026-02-30T12:00:00Z") == [(2, 6, "CDS707")]
    assert told("{name: a, now: 2026-02-30T12:00:00Z, expect: unknown}") == [
        (6, 20, "CDS707")
    ]


def test_a_moment_without_its_offset_is_refused() -> None:
    assert told("{name: a, expect: unknown}", now="2026-11-22T12:00:00") == [
        (2, 6, "CDS105")
    ]


def test_two_cases_of_one_name_are_told_apart_by_nobody() -> None:
    case = "{name: a, expect: unknown}"

    assert told(case, case) == [(7, 12, "CDS709")]


def test_what_is_done_without_a_person_is_expected_of_a_card_alone() -> None:
    (said,) = read("{name: a, expect: {card: info, system_actions: [Stop it]}}")
    (nothing,) = read("{name: a, expect: {card: info, system_actions: []}}")
    (unsaid,) = read("{name: a, expect: {card: info}}")

    expected = [each.expect.system_actions for each in (said, nothing, unsaid)]
    assert expected == [("Stop it",), (), None]
    assert told("{name: a, expect: {unknown_because: [x], system_actions: []}}") == [
        (6, 46, "CDS108")
    ]


def test_a_file_with_a_mistake_hides_no_other() -> None:
    files = {
        FILE: written("{name: a, expect: unknown}"),
        "b.test.yaml": "test: [",
        "c.test.yaml": "tests: c\n",
        "d.yaml": "not: [a test",
    }

    read, findings = read_examples(files)

    assert [each.document.file for each in read] == [FILE]
    assert {each.file for each in findings} == {"b.test.yaml", "c.test.yaml"}


def test_a_file_of_fhir_is_looked_for_from_where_the_test_stands() -> None:
    assert fhir_file("cardiology/a.test.yaml", "../fhir/jane.json") == "fhir/jane.json"
    assert fhir_file("cardiology/a.test.yaml", "jane.json") == "cardiology/jane.json"
    assert fhir_file("a.test.yaml", "jane.json") == "jane.json"


def test_a_file_of_fhir_outside_of_the_folder_is_none() -> None:
    assert fhir_file("a.test.yaml", "../jane.json") is None
    assert fhir_file("cardiology/a.test.yaml", "../../jane.json") is None
    assert fhir_file("a.test.yaml", "/etc/passwd") is None
    assert fhir_file("a.test.yaml", "..") is None


def test_the_files_of_fhir_that_tests_name_are_found() -> None:
    tests = written("{name: a, set: {fhir: ../jane.json}, expect: unknown}") + (
        "  - {name: b, set: {fhir: ../../joe.json}, expect: unknown}\n"
    )

    files = {FILE: tests, "broken.test.yaml": "fhir: [", "rule.yaml": "fhir: a.json"}

    assert fhir_files(files) == {"jane.json"}


@pytest.mark.parametrize(
    "wish",
    [
        *(
            "fires",
            "alert",
            "card",
            "none",
            "silent",
            "warning",
            "true",
            "false",
            "yes",
        ),
        *("{fires: true}", "{card: true}", "{card: no}", "{fires: warning}"),
        *("{no card: true}", "{unknown: true}", "{outcome: fires}"),
    ],
)
def test_a_wish_is_answered_with_what_can_stand_there(wish: str) -> None:
    text = "test: x\nnow: 2026-11-22T12:00:00Z\ncases: [{name: a, expect: %s}]\n"

    _, found = read_examples({"x.test.yaml": text % wish})

    assert len(found) == 1
    assert "warning" in found[0].help and "no card" in found[0].help
    assert "did you mean `no card`" not in found[0].help
