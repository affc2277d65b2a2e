"""JSON with positions, and JSON that is not to be trusted."""

import pytest

from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.json_source import parse_json

TEXT = """\
{
  "a": [1, {"b": "x \\" y: {"}],
\t"c": {}, "d": null
}
"""


def test_every_node_knows_its_place() -> None:
    document = parse_json(TEXT, "x.json", Findings(), "CDS217")

    assert document is not None
    assert document.data == {"a": [1, {"b": 'x " y: {'}], "c": {}, "d": None}
    assert document.position(("a", 1, "b")) == (2, 18)
    assert document.position(("a", 1, "b"), key=True) == (2, 13)
    assert document.position(("c",)) == (3, 7)
    assert document.position(("d",), key=True) == (3, 11)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "not JSON"),
        ('{"a": 1,\n "b"}', 2, 5, "not JSON"),
        ('{"a": 1, "a": 2}', 1, 16, "twice"),
        ("[" * 50_000, 1, 61, "levels"),
        ('{"a": ' * 61, 1, 361, "levels"),
        ('{"a": NaN}', 1, 10, "is not a JSON number"),
        ('{"a": "x\ny"}', 1, 9, "not JSON"),
        ("9" * 5000, 1, 1, ""),
        ("{} {}", 1, 4, "not JSON"),
    ],
)
def test_what_is_no_json_is_refused_at_its_place(
    text: str, line: int, column: int, words: str
) -> None:
    findings = Findings()

    assert parse_json(text, "x.json", findings, "CDS217") is None
    (found,) = findings
    assert (found.code, found.line, found.column) == ("CDS217", line, column)
    assert words in found.message
