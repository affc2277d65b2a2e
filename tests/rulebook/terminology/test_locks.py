"""What value sets held, and how it is told that they hold something else."""

from typing import Any

import pytest

from cds_service.rulebook.language.diagnostics import Findings, Level
from cds_service.rulebook.terminology.locks import (
    LockChange,
    changes,
    counts_of,
    entries_of,
    read_lock,
    write_lock,
)
from cds_service.rulebook.terminology.parts import Measure
from cds_service.rulebook.terminology.valuesets import ValueSet
from cds_service.units import Substance

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"

SETS = {
    "bb": ValueSet(
        "bb",
        version="1.0.0",
        codes={RXNORM: frozenset({"6918", "866436"}), ICD: frozenset({"I4891"})},
        prefixes={ICD: ("I10",)},
        names=("metoprolol",),
        excluded_codes={RXNORM: frozenset({"1923424"})},
        excluded_prefixes={ICD: ("I109",)},
        excluded_forms=("eye",),
        excluded_names=("dorzolamide",),
        excluded_words=("lock flush",),
        panels=frozenset({(LOINC, "85354-9")}),
        measure=Measure("mmol/L", (1.5, 10), Substance(180.16, 1, "mmol/L")),
    ),
    "a": ValueSet("a", version="2.0.0", codes={"urn:x": frozenset({"1"})}),
}


def test_everything_that_decides_a_match_is_a_line() -> None:
    entries = entries_of(SETS["bb"])

    assert sorted(entries) == [
        "! form|eye",
        "! icd10cm|I10.9*",
        "! name|dorzolamide",
        "! rxnorm|1923424",
        "! word|lock flush",
        "icd10cm|I10*",
        "icd10cm|I48.91",
        "name|metoprolol",
        "panel loinc|85354-9",
        "results|1 meq in a mmol",
        "results|molar mass 180.16 g/mol",
        "results|plausible 1.5 to 10 mmol/L",
        "rxnorm|6918",
        "rxnorm|866436",
    ]
    assert counts_of(entries) == {"icd10cm": 2, "rxnorm": 2}


def test_a_lock_is_sorted_and_reads_as_it_was_written() -> None:
    text = "".join(write_lock(SETS))
    findings = Findings()

    locked = read_lock(text, findings)

    assert locked is not None and list(findings) == []
    assert text.index("[a]") < text.index("[bb]")
    assert {name: each.entries for name, each in locked.items()} == {
        name: entries_of(each) for name, each in SETS.items()
    }
    assert (locked["bb"].version, locked["bb"].line) == ("1.0.0", 11)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("format\t1", "format\t9", 1),
        ("rxnorm|6918\n", "", 11),
        ("I48.91", "I48.92", 11),
        ("[bb]", "[a]", 11),
    ],
)
def test_a_lock_that_was_changed_by_hand_is_refused(
    old: str, new: str, line: int
) -> None:
    findings = Findings()

    assert read_lock("".join(write_lock(SETS)).replace(old, new), findings) is None
    (found,) = findings
    assert (found.code, found.line, found.level) == ("CDS218", line, Level.ERROR)


def test_changes_name_what_came_and_what_went() -> None:
    before = {"a": frozenset({"x|1", "x|2"}), "gone": frozenset({"x|9"})}
    after = {"a": frozenset({"x|2", "x|3"}), "new": frozenset({"x|8"})}

    assert changes(before, after) == (
        LockChange("a", ("x|3",), ("x|1",)),
        LockChange("gone", (), ("x|9",)),
        LockChange("new", ("x|8",), ()),
    )
    assert changes(after, after) == ()


def locked(rules: Any, chart: Any) -> Any:
    rules.verdict("dm: {condition: {in: diabetes}}", "dm: present", chart())
    sets = rules.compile().rulebook.valuesets
    rules.files["valuesets.lock"] = "".join(write_lock(sets))
    return rules


def test_value_sets_as_they_were_locked_are_no_news(rules: Any, chart: Any) -> None:
    found = locked(rules, chart).compile().findings

    assert not [each for each in found if each.file == "valuesets.lock"]


def test_a_set_that_differs_is_a_warning_that_counts(rules: Any, chart: Any) -> None:
    locked(rules, chart)
    name = "valuesets/diabetes.yaml"
    rules.files[name] = rules.files[name].replace("[E11]", "[E10, O24]")

    compiled = rules.compile()

    (found,) = [each for each in compiled.findings if each.file == "valuesets.lock"]
    assert (found.code, found.level) == ("CDS219", Level.WARNING)
    assert (
        "`diabetes` has changed since it was locked: 2 added, 1 removed"
        in found.message
    )
    assert compiled.rulebook is not None


def test_sets_on_one_side_only_are_warned_of(rules: Any, chart: Any) -> None:
    locked(rules, chart)
    rules.files["valuesets/new.yaml"] = rules.files["valuesets/systolic.yaml"].replace(
        "valueset: systolic", "valueset: new"
    )
    del rules.files["valuesets/systolic.yaml"]

    found = [each for each in rules.compile().findings if "lock" in each.file]

    assert [(each.code, each.message) for each in found] == [
        ("CDS220", "the value set `new` is not in the lock"),
        ("CDS220", "the value set `systolic` is in the lock only"),
    ]
