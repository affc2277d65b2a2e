"""YAML that is valid, and probably not what its author meant."""

from typing import Any

import pytest

from cds_service.rulebook.language.diagnostics import Finding
from cds_service.rulebook.testing.examples import read_examples

FACTS = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
WHEN = "hr: {latest: {above: 100}}"


def slips(rules: Any, **more: str) -> list[Finding]:
    return [each for each in rules.compile().findings if each.code[:5] == "CDS13"]


def with_card(rules: Any, chart: Any, card: str) -> list[tuple[str, str, int]]:
    """Code, level and column of the slips of a rule with that summary."""
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("summary: It fires", card)
    return [(each.code, each.level, each.column) for each in slips(rules)]


@pytest.mark.parametrize(
    ("card", "column"),
    [
        ("summary: Check lead #2 first", 23),
        ("summary: Check the rate # of today", 27),
        ("summary: Check lead\t#2", 23),
        ("summary: It fires\n  detail: Room #4 calls", 16),
        ("summary: It fires\n  links:\n    - label: Guideline #2", 24),
        ("summary: It fires\n  limits: Not measured on lead #2", 32),
        ("summary: It fires\n  together: Draft order #1 and the call", 25),
    ],
)
def test_unquoted_text_is_told_to_be_cut_at_a_hash(
    rules: Any, chart: Any, card: str, column: int
) -> None:
    found = with_card(rules, chart, card)

    assert found == [("CDS130", "warning", column)]


@pytest.mark.parametrize(
    "card",
    [
        'summary: "Check lead #2 first"',
        "summary: 'Check lead #2 first'",
        "summary: Check lead#2 first",
        "summary: It fires\n  detail: |\n    Room #4 calls",
        "summary: It fires\n  # a comment of its own line",
        'summary: "It fires" # a comment behind quotes',
    ],
)
def test_text_that_is_whole_is_not_told(rules: Any, chart: Any, card: str) -> None:
    assert with_card(rules, chart, card) == []


@pytest.mark.parametrize(
    ("detail", "line"),
    [
        (">\n    **Act**\n    - one\n    - two", 3),
        (">-\n    **Act**\n    * one", 3),
        (">\n    **Act**\n    1. one", 3),
        (">\n    **Act**\n    ## Why", 3),
        (">\n    **Act**\n\n    Then:\n    - one", 5),
        ("Act\n    - one", 2),
        ('"Act\n    - one"', 2),
        ("'Act\n    - one'", 2),
        (">\n    | rate | day |\n    | --- | --- |", 3),
    ],
)
def test_a_list_that_is_folded_into_the_line_before_is_told(
    rules: Any, chart: Any, detail: str, line: int
) -> None:
    found = with_card(rules, chart, f"summary: It fires\n  detail: {detail}")
    place = rules.files["test.yaml"].splitlines().index("  summary: It fires") + 1

    assert [(code, level) for code, level, _ in found] == [("CDS133", "warning")]
    assert slips(rules)[0].line == place + line


@pytest.mark.parametrize(
    "detail",
    [
        "|\n    **Act**\n    - one\n    - two",
        "|-\n    **Act**\n    ## Why",
        ">\n    **Act**\n\n    - one\n\n    - two",
        ">\n    - one\n\n    - two",
        ">\n    **Act**\n      - kept, since it is indented\n      - kept too",
        ">\n    The rate is\n    -5 below that of yesterday",
        '"Act\\n- one\\n- two"',
        "Act now - or wait",
    ],
)
def test_a_list_that_stays_one_is_not_told(rules: Any, chart: Any, detail: str) -> None:
    assert with_card(rules, chart, f"summary: It fires\n  detail: {detail}") == []


def test_a_comment_behind_a_number_or_a_choice_is_one(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, WHEN, chart(), more="if_unknown: silent # on purpose")
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace(
        "severity: warning", "severity: warning #act"
    )

    assert slips(rules) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "level"),
    [
        ("services.yaml", "title: Review", "title: Review #1", "warning"),
        ("valuesets/diabetes.yaml", "title: Diabetes", "title: Diabetes #1", "warning"),
        (
            "site.yaml",
            "format: 1",
            "format: 1\npages:\n  card: This card #1",
            "warning",
        ),
        ("alert-types.yaml", "{title: Irr", "{title: “Irregular”} #", None),
        (
            "valuesets/other-drugs.yaml",
            '[{code: "29046", name: lisinopril}]',
            '\n          - {code: "29046", name: lisinopril #2\n            }',
            "warning",
        ),
    ],
)
def test_text_is_cut_in_other_files_as_well(
    rules: Any, chart: Any, file: str, old: str, new: str, level: str | None
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    assert old in rules.files[file]
    rules.files[file] = rules.files[file].replace(old, new)

    found = {(each.file, each.level) for each in slips(rules)}

    assert found == ({(file, level)} if level else {(file, "warning")})


def test_the_name_of_a_test_case_is_told_to_be_cut() -> None:
    text = """\
test: slow
now: 2026-11-22T12:00:00Z
cases:
  - name: bed #4
    todo: not yet #5
    expect: no card
"""
    _, found = read_examples({"slow.test.yaml": text})

    assert [(each.code, each.line) for each in found] == [("CDS130", 4), ("CDS130", 5)]


@pytest.mark.parametrize(
    ("card", "level"),
    [
        ("summary: “It fires”", "warning"),
        ("summary: ‘It fires’", "warning"),
        ("summary: „It fires“", "warning"),
        ("summary: The “rate” fires", None),
        ("summary: The patients’ rates’", None),
        ("“summary”: It fires", "error"),
        ("summary: It fires\n  severity: “info”", "error"),
        ("summary: It fires\n  override_reasons: [“other”]", "error"),
    ],
)
def test_curly_quotes_are_told_to_be_a_part_of_the_text(
    rules: Any, chart: Any, card: str, level: str | None
) -> None:
    found = with_card(rules, chart, card)

    assert [(code, how) for code, how, _ in found] == (
        [("CDS131", level)] if level else []
    )


def test_a_name_in_curly_quotes_would_match_nothing(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    file = "valuesets/other-drugs.yaml"
    rules.files[file] = rules.files[file].replace("lisinopril", "“lisinopril”")

    assert [(each.code, each.level) for each in slips(rules)] == [("CDS131", "error")]


@pytest.mark.parametrize(
    "card",
    [
        "summary: It fires\n  severity: info\u00a0",
        "summary: It fires\n  severity: \u202finfo",
        "summary: It fires\n  override_reasons: [other\u00a0]",
        "summary: It fires\n  links:\n    - label:\u00a0Guideline",
    ],
)
def test_a_no_break_space_in_the_place_of_a_plain_one(
    rules: Any, chart: Any, card: str
) -> None:
    found = with_card(rules, chart, card)

    assert [(code, level) for code, level, _ in found] == [("CDS132", "error")]


def test_a_card_may_hold_no_break_spaces(rules: Any, chart: Any) -> None:
    assert with_card(rules, chart, "summary: Rate of 100\u00a0/min for 5\u202fh") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hr: {latest: {above: 100}}", "hr: {latest:\u00a0{above: 100}}"),
        ("when:\n", "when:\u00a0\n"),
        ("hr: {obs", "hr:\u202f{obs"),
    ],
)
def test_a_no_break_space_between_key_and_value(
    rules: Any, chart: Any, old: str, new: str
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    assert old in rules.files["test.yaml"]
    rules.files["test.yaml"] = rules.files["test.yaml"].replace(old, new)

    (found,) = (each for each in rules.compile().findings if each.file == "test.yaml")

    assert found.code == "CDS006"
    assert "(U+" in found.message and found.help == "write an ordinary space"


@pytest.mark.parametrize("quotes", ["‘’", "“”"])
def test_curly_quotes_in_a_placeholder_are_named(
    rules: Any, chart: Any, quotes: str
) -> None:
    text = f"{{{{ hr.latest or {quotes[0]}none{quotes[1]} }}}}"
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["test.yaml"] = rules.files["test.yaml"].replace(
        "summary: It fires", f'summary: "{text}"'
    )

    (found,) = (each for each in rules.compile().findings if each.code == "CDS501")

    assert found.help.endswith("its quotes are curly")


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("100", "CDS103"),
        ("1.5", "CDS103"),
        ("true", "CDS103"),
        ("null", "CDS103"),
        ("yes", None),
        ("NO", None),
        ("on", None),
        ("2026-11-22", None),
        ("1:30", None),
    ],
)
def test_what_yaml_may_take_for_something_else_is_text_or_told(
    rules: Any, chart: Any, word: str, code: str | None
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("summary: It fires", f"summary: {word}")

    compiled = rules.compile()

    wrong = [each.code for each in compiled.findings if each.level == "error"]
    assert wrong == ([code] if code else [])
    if compiled.rulebook:
        assert compiled.rulebook.rules["test"].cards[0].summary == (word,)
