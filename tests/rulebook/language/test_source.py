import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.rulebook.language.diagnostics import Finding, Findings
from cds_service.rulebook.language.source import Document, Path, parse_yaml


def parse(text: str) -> Document:
    findings = Findings()
    document = parse_yaml(text, "a.yaml", findings)
    assert list(findings) == []
    assert document is not None
    return document


def refuse(text: str) -> list[Finding]:
    findings = Findings()
    parse_yaml(text, "a.yaml", findings)
    return list(findings)


BROKEN = [
    # text, line, column, code, part of the message
    ("", 1, 1, "CDS004", "empty"),
    ("# only a comment\n", 1, 1, "CDS004", "empty"),
    ("---\n", 1, 1, "CDS004", "empty"),
    ("a: b: c", 1, 5, "CDS005", "colon"),
    ("a\nb: 1", 2, 2, "CDS005", "colon"),
    ("a: 1\n  b: 2", 2, 4, "CDS005", "colon"),
    ("a: [1, 2", 1, 4, "CDS005", "not closed"),
    ("a: {b: 1", 1, 4, "CDS005", "not closed"),
    ('a: "x', 1, 4, "CDS005", "quotes that open here"),
    ("a: 'it's'", 1, 8, "CDS005", "key was expected"),
    ('a: "\\q"', 1, 5, "CDS005", "backslash"),
    ("a: **bold**", 1, 5, "CDS005", "alias"),
    ("a: > 100", 1, 6, "CDS005", "block of text"),
    ("a: @x", 1, 4, "CDS005", "cannot begin with `@`"),
    ("a: `x`", 1, 4, "CDS005", "backquote"),
    ("a: %x", 1, 4, "CDS005", "cannot begin with `%`"),
    ("a: ]", 1, 4, "CDS005", "bracket is closed"),
    ("a: - b", 1, 4, "CDS005", "list item"),
    ("- a\nb: 1", 2, 1, "CDS005", "list ends here"),
    ("a: x\n...\nb: 1", 3, 1, "CDS005", "marks its end"),
    ("a:\n\tb: 1", 2, 1, "CDS006", "tab"),
    ("a: \x07", 1, 4, "CDS007", "U+0007"),
    ("a: pay \u202eevil", 1, 8, "CDS007", "U+202E"),
    ("a: \ud800", 1, 4, "CDS007", "U+D800"),
    ("[" * 50_000, 1, 41, "CDS008", "more than 40"),
    ("{a: " * 50_000, 1, 161, "CDS008", "more than 40"),
    ("- " * 50_000, 1, 81, "CDS008", "more than 40"),
    ("a: &x 1", 1, 4, "CDS009", "names an anchor"),
    ("a: *x", 1, 4, "CDS009", "refers to an anchor"),
    ("<<: {a: 1}", 1, 1, "CDS009", "merge keys"),
    ("a: !!python/object x", 1, 4, "CDS030", "tag"),
    ("%YAML 1.1\n---\na: 1", 1, 1, "CDS030", "directives"),
    ("a: 1\n---\nb: 2", 2, 1, "CDS031", "second document"),
    ("a: 1\nb: 2\na: 3", 3, 1, "CDS032", "already on line 1"),
    ("a: {b: 1, b: 2}", 1, 11, "CDS032", "already on line 1"),
    ("[a, b]: 1", 1, 1, "CDS033", "cannot be a key"),
    ("? ", 1, 2, "CDS033", "missing before the colon"),
    ("x" * 1_100_000, 1, 1, "CDS003", "larger than 1024 KiB"),
    ("a: [" + "b," * 200_000 + "]", 1, 199_999, "CDS003", "100000 keys and values"),
]


@pytest.mark.parametrize(("text", "line", "column", "code", "said"), BROKEN)
def test_a_broken_file_is_refused_at_the_place_and_in_words(
    text: str, line: int, column: int, code: str, said: str
) -> None:
    found = refuse(text)[0]

    assert (found.line, found.column, found.code) == (line, column, code)
    assert said in found.message


def test_a_text_that_begins_with_a_placeholder_must_be_quoted_and_is_told_so() -> None:
    assert "must be in quotes" in refuse("summary: {{ a.b }} is high")[0].help


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("012", "012"),
        ("1E5", "1E5"),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        (".5", ".5"),
        ("2026-11-22", "2026-11-22"),
        ("~", "~"),
        ("True", "True"),
        ("123456789012345678", "123456789012345678"),
        ("'12'", "12"),
        ("'true'", "true"),
        ("''", ""),
        ("12", 12),
        ("-1.50", -1.5),
        ("true", True),
        ("null", None),
        ("", None),
    ],
)
def test_only_what_json_would_type_is_not_text(written: str, read: Any) -> None:
    value = parse(f"a: {written}\n").data["a"]

    assert value == read
    assert type(value) is type(read)


def test_codes_and_versions_are_text_whatever_they_look_like() -> None:
    document = parse("code: 6918\ncodes: [012, 1, true]\nversion: 1.10\ncount: 3\n")

    assert document.data == {
        "code": "6918",
        "codes": ["012", "1", "true"],
        "version": "1.10",
        "count": 3,
    }


PLACED = """\
# é
facts:
  hr: {in: é, b: 1}
list:
  - 1
  - 2
empty:
"""


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        (("facts",), True, (2, 1)),
        (("facts", "hr"), True, (3, 3)),
        (("facts", "hr", "in"), True, (3, 8)),
        (("facts", "hr", "in"), False, (3, 12)),
        (("facts", "hr", "b"), True, (3, 15)),
        (("list", 1), False, (6, 5)),
        (("empty",), False, (7, 7)),
        ((), False, (2, 1)),
    ],
)
def test_every_key_and_value_has_its_place(
    path: Path, key: bool, place: tuple[int, int]
) -> None:
    assert parse(PLACED).position(path, key=key) == place


def test_what_is_not_there_has_the_place_of_its_parent() -> None:
    document = parse(PLACED)

    assert document.position(("facts", "hr", "within", "x")) == (3, 3)
    assert document.position(("nowhere",)) == (1, 1)


def test_a_value_under_a_key_seen_before_does_not_replace_the_first() -> None:
    findings = Findings()

    document = parse_yaml("a: {b: 1}\na: {b: 2, c: *x}\n", "a.yaml", findings)
    kept = parse_yaml("a: {b: 1}\na: {b: 2}\n", "a.yaml", findings)

    assert document is None
    assert kept is not None and kept.data == {"a": {"b": 1}}
    assert kept.position(("a", "b")) == (1, 8)


def test_a_byte_order_mark_and_windows_line_breaks_change_nothing() -> None:
    document = parse("\ufeffa: 1\r\nb: 2\r\n")

    assert document.data == {"a": 1, "b": 2}
    assert document.position(("b",), key=True) == (2, 1)


def test_a_file_with_many_faults_is_not_read_to_its_end() -> None:
    assert len(refuse("a: 1\n" * 10_000)) == 20


@given(st.text(alphabet="ab:-[]{}&*!%?|>'\"#,\n\t \\@`$<é", max_size=60))
def test_no_text_crashes_the_reader(text: str) -> None:
    findings = Findings()

    document = parse_yaml(text, "a.yaml", findings)

    assert document is not None or findings.has_errors
    lines = text.count("\n") + 1
    assert all(1 <= each.line <= lines and each.column >= 1 for each in findings)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-9999, 9999)
        | st.text("abc 1", max_size=4),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.text("xyz", min_size=1, max_size=3), inner, max_size=3),
        max_leaves=12,
    )
)
def test_json_reads_as_json_would_and_every_node_is_where_it_says(value: Any) -> None:
    text = json.dumps({"top": value}, indent=1)
    document = parse(text)
    lines = text.split("\n")

    assert document.data == {"top": value}
    for path, mark in document.marks.items():
        node = document.value(path)
        if isinstance(node, (str, bool, int)) or node is None:
            line, column = document.position(path)
            assert lines[line - 1][column - 1 :].startswith(json.dumps(node))
            assert text[mark.start : mark.end] == json.dumps(node)
