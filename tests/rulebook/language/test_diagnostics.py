import pytest

from cds_service.rulebook.language.diagnostics import (
    Finding,
    Findings,
    Level,
    closest,
    quote,
    render,
    suggest,
)
from cds_service.rulebook.language.source import Document


def finding(
    line: int = 1, column: int = 1, help: str = "", file: str = "a.yaml"
) -> Finding:
    return Finding(file, line, column, "CDS302", Level.ERROR, "`x` is odd", help)


def test_a_finding_shows_its_line_a_caret_and_what_to_do() -> None:
    text = "a: 1\nb:\n  lastest: 3\n"

    rendered = render(finding(3, 3, "did you mean `latest`?"), text)

    assert rendered == (
        "a.yaml:3:3: error[CDS302]: `x` is odd\n"
        "     3 |   lastest: 3\n"
        "       |   ^\n"
        "       = help: did you mean `latest`?"
    )


def test_without_its_text_a_finding_is_one_line() -> None:
    assert render(finding(3, 3)) == "a.yaml:3:3: error[CDS302]: `x` is odd"


def test_the_caret_stands_under_its_character_in_a_line_with_tabs() -> None:
    assert render(finding(1, 3), "\t\tx").endswith("| \t\t^")


def test_of_a_long_line_only_the_part_around_the_caret_is_shown() -> None:
    _, line, caret = render(finding(1, 5001), "a" * 5000 + "!" + "b" * 5000).split("\n")

    assert len(line) < 150
    assert line[len(caret) - 1] == "!"


def test_a_file_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in render(finding(1, 1), "\x1b[2J")


def test_findings_read_out_by_place_and_each_once() -> None:
    findings = Findings()
    for each in (finding(9), finding(2), finding(2), finding(1, file="b.yaml")):
        findings.add(each)

    assert [(each.file, each.line) for each in findings] == [
        ("a.yaml", 2),
        ("a.yaml", 9),
        ("b.yaml", 1),
    ]


def test_only_an_error_keeps_a_rulebook_from_loading() -> None:
    findings, document = Findings(), Document("a.yaml", "", {})
    findings.warning(document, (), "CDS802", "odd")
    findings.note(document, (), "CDS605", "odd")
    harmless = findings.has_errors
    findings.error(document, (), "CDS101", "odd")

    assert not harmless
    assert findings.has_errors


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("lastest", "latest"),
        ("at-least", "at_least"),
        ("At Least", "at_least"),
        ("zzz", None),
        ("a" * 1_000_000, None),
    ],
)
def test_the_nearest_word_is_found(word: str, meant: str | None) -> None:
    assert closest(word, ["latest", "at_least", "mean"]) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("and", "all"),
        ("AND", "all"),
        ("both", "all"),
        ("or", "any"),
        ("either", "any"),
        ("not", "none"),
        ("Not", "none"),
        ("nor", "none"),
        ("neither", "none"),
        ("unless", "none"),
        ("except", "none"),
        ("not_any", "none"),
        ("xor", None),
        ("nand", None),
        ("not_all", None),
        ("if", None),
        ("al", "all"),
        ("nonne", "none"),
    ],
)
def test_a_suggestion_never_reverses_the_logic(word: str, meant: str | None) -> None:
    assert closest(word, ["all", "any", "none", "patient"]) == meant


@pytest.mark.parametrize(
    ("word", "options", "meant"),
    [
        ("not_present", ["present", "absent"], "absent"),
        ("missing", ["present", "absent"], "absent"),
        ("no", ["present", "absent"], "absent"),
        ("unpresent", ["present", "absent"], None),
        ("is_not_present", ["present", "absent"], None),
        ("abscent", ["present", "absent"], "absent"),
        ("oldest", ["latest", "earliest"], "earliest"),
        ("lowest", ["latest", "min"], "min"),
        ("over", ["above", "below"], "above"),
        ("under", ["above", "below"], "below"),
        ("not_above", ["above", "below", "at_most"], "at_most"),
        ("not_below", ["above", "below", "at_least"], "at_least"),
        ("not_above", ["above", "below"], None),
        ("unit", ["units", "within"], "units"),
        ("not_loded", ["not_loaded", "loaded"], "not_loaded"),
    ],
)
def test_a_suggestion_never_says_the_opposite(
    word: str, options: list[str], meant: str | None
) -> None:
    assert closest(word, options) == meant


def test_where_nothing_is_near_a_few_options_are_all_named() -> None:
    assert suggest("zzz", ["b", "a"]) == "allowed here: a, b"
    assert suggest("zzz", [f"x{n}" for n in range(100)]) == ""
    assert suggest("zzz", []) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("warn", "`warn`"),
        (None, "`null`"),
        (True, "`true`"),
        ({"a": 1}, "`{…}`"),
        ("a\nb", "`a b`"),
    ],
)
def test_a_value_is_quoted_as_it_was_written(value: object, shown: str) -> None:
    assert quote(value) == shown


def test_a_long_value_is_cut() -> None:
    assert len(quote("a" * 1000)) < 70


def test_a_finding_as_plain_data_says_everything() -> None:
    assert finding(3, 5, "help").as_json() == {
        "file": "a.yaml",
        "line": 3,
        "column": 5,
        "code": "CDS302",
        "level": "error",
        "message": "`x` is odd",
        "help": "help",
    }
