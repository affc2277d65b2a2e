import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.rulebook.authoring.format import NotPlain, format_text, says_the_same
from cds_service.rulebook.authoring.layout import write_layout
from cds_service.rulebook.authoring.layout_reader import comments, read_layout
from cds_service.rulebook.compile.compiler import kind_of
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.document import Document
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.load import read_folder

RULES = read_folder(Path(__file__).parents[3] / "rules")

UNTIDY = """\
# yaml-language-server: $schema=../rule.schema.json
# Kept at the top.

# Why it is a draft.
status:    draft
rule: slow-heart   # the id
title: 'Slow heart'
format: 1


version: 1.0.0
facts:
    # The drug.
    drug: {medication: {status: current, in: digoxin}}
    rate:
        observation: # in the chart
            unit: /min
            in: heart-rate
    # Nothing else is read.
hooks:
- patient-view
# At the end of the list, about what follows.
when: {all: [drug: present, {rate: {latest: {below: 50}}}]}
card:
    summary: >-
        Slow
        heart

    # Who says so.
    source: {label:   Us,
             url: https://example.org}
    detail: |
        One.

          Two.
    severity: info
# The end.
"""

TIDY = """\
# yaml-language-server: $schema=../rule.schema.json
# Kept at the top.

format: 1
rule: slow-heart # the id

version: 1.0.0
title: 'Slow heart'
# Why it is a draft.
status: draft
hooks:
  - patient-view
facts:
  # The drug.
  drug: { medication: { status: current, in: digoxin } }
  rate:
    observation: # in the chart
      in: heart-rate
      unit: /min
  # Nothing else is read.
# At the end of the list, about what follows.
when: {all: [drug: present, {rate: {latest: {below: 50}}}]}
card:
  severity: info
  summary: >-
    Slow
    heart
  detail: |
    One.

      Two.

  # Who says so.
  source: {label:   Us,
           url: https://example.org}
# The end.
"""

VALUESET = """\
format: 1
valueset: odd-codes
version: 2026.11.0
title: on
include:
  - codes: [1E5, 012, NO, on, 1:30, 0x1F, 1_000, ~, 2026-11-22]
    system: "snomed"
"""


def formatted(text: str, kind: str = "rule") -> str:
    written, findings = format_text(text, "a.yaml", kind)
    assert findings == ()
    return written


def parsed(text: str) -> Document:
    document = parse_yaml(text, "a.yaml", Findings())
    assert document is not None, text
    return document


def test_keys_stand_in_the_order_of_the_grammar_and_comments_go_with_them() -> None:
    assert formatted(UNTIDY) == TIDY


@pytest.mark.parametrize("card", ["card", "card_defaults"])
def test_what_is_done_without_a_person_stands_after_what_a_person_chooses(
    card: str,
) -> None:
    text = TIDY if card == "card" else f"{TIDY}card_defaults:\n"
    actions = "  system_actions: [{ remove: drug, description: Stop it }]\n"
    untidy = text.replace(f"{card}:\n", f"{card}:\n{actions}  selection: any\n")

    keys = list(parsed(formatted(untidy)).data[card])

    assert keys[-2:] == ["selection", "system_actions"]


def test_what_is_in_order_stays_as_it_is() -> None:
    assert formatted(TIDY) == TIDY


@pytest.mark.parametrize("file", RULES)
def test_every_shipped_file_is_in_order(file: str) -> None:
    assert formatted(RULES[file], kind_of(file)) == RULES[file]


def test_codes_that_look_like_something_else_stay_as_they_are() -> None:
    written = formatted(VALUESET, "valueset")

    assert written.splitlines()[5:] == [
        '  - system: "snomed"',
        "    codes: [1E5, 012, NO, on, 1:30, 0x1F, 1_000, ~, 2026-11-22]",
    ]


def test_lines_end_with_a_line_feed_and_the_file_with_one() -> None:
    assert formatted(TIDY.replace("\n", "\r\n") + "\r\n\r\n") == TIDY


def test_a_file_with_errors_is_left_as_it_is() -> None:
    text = UNTIDY.replace("severity:", "severty:")

    written, findings = format_text(text, "a.yaml", "rule")

    assert written == text
    assert [each.code for each in findings] == ["CDS102"]


def test_a_file_that_is_no_yaml_is_left_as_it_is() -> None:
    written, findings = format_text("a: [", "a.yaml", "rule")

    assert (written, len(findings)) == ("a: [", 1)


@pytest.mark.parametrize(
    "text", [TIDY.replace("rule: ", "? rule\n: "), '{"format": 1, "fact": "a"}']
)
def test_what_cannot_be_moved_is_said(text: str) -> None:
    kind = "rule" if "rule" in text else "fact"
    text = (
        text.replace('"a"', '"a", "use": "b"')
        if kind == "rule"
        else ('{"format": 1, "fact": "a", "condition": {"in": "b"}}')
    )
    with pytest.raises(NotPlain):
        format_text(text, "a.yaml", kind)


def test_a_text_keeps_its_own_indentation_and_last_lines() -> None:
    text = "a:\n- |2+\n   x\n\n    y\n\n\n- >-\n  z\n\n\nb: 1\n"

    assert (
        arranged(text) == "a:\n  - |2+\n     x\n\n      y\n\n\n  - >-\n    z\n\nb: 1\n"
    )


def test_a_text_that_says_its_indentation_keeps_saying_it() -> None:
    text = "a:\n    b: |4\n            x\n          y\n"

    assert arranged(text) == "a:\n  b: |4\n          x\n        y\n"
    assert parsed(arranged(text)).data == parsed(text).data


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("b: 1 # c\na: x\n", True),
        ("a: x # c\nb: 1\n", True),
        ("a: x\nb: 1\n", False),
        ("a: x # c\n# c\nb: 1\n", False),
        ('a: x # c\nb: "1"\n', False),
        ("a: x # c\nb: 1.0\n", False),
        ("a: x # c\n", False),
        ("a: [ # c\n", False),
    ],
)
def test_whether_a_text_says_the_same_is_told(written: str, same: bool) -> None:
    assert says_the_same(parsed("a: x # c\nb: 1\n"), written) is same


def arranged(text: str) -> str:
    head, block = read_layout(parsed(text))
    return write_layout(head, block)


def test_a_hash_in_a_text_is_no_comment() -> None:
    text = (
        "# 1\n\"a # b\": 'c # d' # 2\n'# e': |  # 3\n  # text\n  x # y\n"
        "f: x#y\ng: [1, # 4\n  2] # 5\nh: >\n\n  # z\n# 6\n"
    )
    assert comments(parsed(text)) == [f"# {n}" for n in range(1, 7)]


WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=5)
KEYS = WORDS | st.builds('"{} # x"'.format, WORDS) | st.builds("'{}: y'".format, WORDS)
PLAIN = st.sampled_from(
    [
        "x", "1E5", "012", "NO", "on", "1", "1.0", "true", "", "x#y", "a:b", "x y  z",
        "2026-11-22", "'it''s'", '"\\u00e9 \\" # "', "[1, 2]", "{a: 1, b: [x]}", "[]",
        "{}", "'multi\n\n          line'", "plain\n          text",
        "[1,\n          2 # c\n          ]",
    ]
)  # fmt: skip
BLOCKS = st.lists(
    st.sampled_from(["text", "", "  deeper", "# no comment", "{{ x }}", "key: x"]),
    max_size=4,
)
NOTES = st.sampled_from(["", "", "", " # note", "   #   far"])
GAPS = st.lists(st.sampled_from(["", "# said", "      # deep"]), max_size=2)


@st.composite
def block_texts(draw: st.DrawFn, indent: int) -> list[str]:
    header = draw(st.sampled_from(["|", ">", "|-", ">+", "|+"]))
    body = [(" " * (indent + 3) + each) if each else "" for each in draw(BLOCKS)]
    while body and (not body[0] or body[0].strip() != body[0].strip(" ")
                    or body[0].startswith(" " * (indent + 4))):  # fmt: skip
        body.pop(0)
    return [f" {header}{draw(NOTES)}", *body]


@st.composite
def nodes(draw: st.DrawFn, indent: int, depth: int) -> list[str]:
    """The lines of a value: the first follows its key or its dash."""
    kind = draw(st.sampled_from(["plain", "plain", "text", "map", "list"]))
    if depth == 0 or kind == "plain":
        return [f" {draw(PLAIN)}{draw(NOTES)}"]
    if kind == "text":
        return draw(block_texts(indent))
    step = draw(st.sampled_from([1, 2, 4]))
    inner = draw(mappings(indent + step, depth - 1) if kind == "map"
                 else lists(indent + step, depth - 1))  # fmt: skip
    return [draw(NOTES), *inner]


@st.composite
def mappings(draw: st.DrawFn, indent: int, depth: int) -> list[str]:
    lines: list[str] = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=3, unique=True)):
        lines += draw(GAPS)
        first, *rest = draw(nodes(indent, depth))
        lines += [f"{' ' * indent}{key}:{first}", *rest]
    return lines


@st.composite
def lists(draw: st.DrawFn, indent: int, depth: int) -> list[str]:
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        lines += draw(GAPS)
        first, *rest = draw(nodes(indent, depth))
        if not first and rest and draw(st.booleans()):
            inner = draw(mappings(indent + 2, depth - 1 if depth else 0))
            if not inner[0].lstrip().startswith("#") and inner[0].strip():
                first, *rest = [" " + inner[0].lstrip(), *inner[1:]]
        lines += [f"{' ' * indent}-{first}", *rest]
    return lines


@pytest.mark.slow
@settings(max_examples=300)
@given(lines=mappings(0, 3), gap=GAPS)
def test_any_file_says_the_same_afterwards_and_is_in_order(
    lines: list[str], gap: list[str]
) -> None:
    text = "\n".join(["# head", *gap, *lines, *gap]) + "\n"
    before = parse_yaml(text, "a.yaml", Findings())
    if before is None:
        return
    written = arranged(text)
    after = parsed(written)

    assert typed(after.data) == typed(before.data)
    assert sorted(comments(after)) == sorted(comments(before))
    assert arranged(written) == written
    assert not any(line != line.rstrip() for line in after_structure(after))


def typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: typed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [typed(each) for each in value]
    return type(value).__name__, value


def after_structure(document: Document) -> list[str]:
    """The lines of a file without its texts."""
    lines = document.text.splitlines()
    return [line for line in lines if line.strip().startswith("#")]
