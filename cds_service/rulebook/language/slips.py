"""YAML that is valid and probably not what its author meant.

A comment that takes the end of a sentence, typographic quotes that become part of a
text, a blank that YAML takes for a letter, a list that is folded into a sentence: a
parser passes them over.
"""

import re
from typing import Any

from ...units import canonical_unit
from .diagnostics import Findings, quote
from .document import Document, Path, place

PROSE = frozenset(
    {"title", "summary", "detail", "description", "label", "citation", "display"}
    | {"usage_requirements", "notice", "owner", "funding", "developer", "by"}
    | {"retired_because", "describe", "todo", "detail_contains", "detail_lacks"}
    | {"system_actions", "text", "limits", "together", "unconfirmed", "unit_text"}
)
"""What stands under these keys is read by people, as a sentence."""
NAMES = frozenset(
    {"name", "also", "words", "no_medicines", "before", "after", "but_not"}
)
"""What stands under these keys is compared with the words of a record."""
READ_BELOW = frozenset({"create", "set", "pages"})
"""Below these keys stand parts of FHIR resources, and what links are called."""


def check_slips(document: Document, findings: Findings) -> None:
    """Report what a file says although its author hardly meant it."""
    if not _SUSPECT.search(document.text):
        return
    scalars: list[tuple[Path, Any]] = []
    _collect(document.data, (), scalars)
    for path, value in scalars:
        mark = document.marks.get(path)
        if mark is not None and isinstance(value, str):
            _check_folding(document, path, value, findings)
        if mark is None or document.text[mark.start : mark.start + 1] in _QUOTES:
            continue
        _check_comment(document, path, mark.end, findings)
        if isinstance(value, str):
            _check_characters(document, path, value, findings)
    if not any(each in document.text for each in _TYPOGRAPHIC):
        return
    for path in document.marks:
        key = path[-1] if path else ""
        if isinstance(key, str) and key.startswith(_TYPOGRAPHIC):
            _tell_quotes(document, path, key, findings, key=True)


def _collect(node: Any, path: Path, scalars: list[tuple[Path, Any]]) -> None:
    """Add what is below a node and has nothing below it, in the order of the file."""
    if isinstance(node, dict):
        for key, value in node.items():
            _collect(value, (*path, key), scalars)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _collect(value, (*path, index), scalars)
    else:
        scalars.append((path, node))


def _check_comment(
    document: Document, path: Path, end: int, findings: Findings
) -> None:
    """Report a comment behind unquoted text that is read as a sentence."""
    cut = _COMMENT.match(document.text, end)
    if cut is None:
        return
    if _key(path) not in PROSE | NAMES and READ_BELOW.isdisjoint(path):
        return
    line, column = place(document.lines, cut.start(1))
    findings.warning_at(
        document.file,
        line,
        column,
        "CDS130",
        f"the text ends here: {quote(cut.group(1))} is a comment",
        "put the whole text in quotes, or write the comment on a line of its own",
    )


def _check_folding(
    document: Document, path: Path, value: str, findings: Findings
) -> None:
    """Report the first line of a list or heading that is no line of the text.

    Source: YAML 1.1 section 9.3.3 "Line Folding"; GFM "Lists", "ATX headings".
    """
    mark = document.marks[path]
    written = document.text[mark.start : mark.end]
    if "\n" not in written or written[0] == "|" or _key(path) not in PROSE:
        return
    lines = written.split("\n")
    at = mark.start
    for before, item in zip(lines, lines[1:], strict=False):
        at += len(before) + 1
        begins = _ITEM.match(item)
        if begins and f"{before.strip(_AROUND)} {begins[1]}" in value:
            line, column = place(document.lines, at + begins.start(1))
            findings.warning_at(
                document.file,
                line,
                column,
                "CDS133",
                f"{quote(item.strip(_AROUND))} is joined to the line before it",
                "write `|` and the text below it, or leave a blank line before it",
            )
            return


def _check_characters(
    document: Document, path: Path, value: str, findings: Findings
) -> None:
    if value.startswith(_TYPOGRAPHIC) and value.endswith(_TYPOGRAPHIC):
        _tell_quotes(document, path, value, findings)
    odd = _ODD_BLANK.search(value)
    if odd and _key(path) not in PROSE:
        message = (
            f"{quote(value)} has a no-break space (U+{ord(odd.group()):04X}) where "
            "a plain one belongs"
        )
        help = "delete the space and type it again; copied text often has these"
        findings.error(document, path, "CDS132", message, help)


def _tell_quotes(
    document: Document, path: Path, text: str, findings: Findings, key: bool = False
) -> None:
    say = findings.warning if _key(path) in PROSE and not key else findings.error
    message = f"the curly quotes are part of {quote(text)}"
    say(document, path, "CDS131", message, 'write straight quotes: `"…"`', key)


def _key(path: Path) -> str:
    """The nearest key above a node, or its own."""
    return next((each for each in reversed(path) if isinstance(each, str)), "")


_QUOTES = ("'", '"', "|", ">")
_TYPOGRAPHIC = ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "\u201a")
_BLANKS = "\u00a0\u2007\u202f\u3000"
_BEGINS = r"(?:[-*+]|\d{1,2}[.)]|#{1,6}|[|])[ \t]"
"""How a line of a list, a heading or a table begins."""
_ITEM = re.compile(rf"[ \t]*({_BEGINS})")
_AROUND = " \t\r'\""
_SUSPECT = re.compile(
    rf"\S[ \t]+#|[{''.join(_TYPOGRAPHIC)}{_BLANKS}]|\n[ \t]+{_BEGINS}"
)
_COMMENT = re.compile(r"[ \t]+(#[^\r\n]*)")
_ODD_BLANK = re.compile(rf"^[{_BLANKS}]|(?<=[:\-])[{_BLANKS}]|[{_BLANKS}]$")


def check_unit(unit: str, document: Document, path: Path, findings: Findings) -> bool:
    """Return whether *unit* is written in UCUM; if not, with a finding.

    Source: UCUM, case-sensitive form.
    """
    known = canonical_unit(unit)
    if known == unit:
        return True
    help = f"write `{known}`" if known else "write a unit of UCUM, such as `mmol/L`"
    findings.error(document, path, "CDS228", f"{quote(unit)} is not a UCUM unit", help)
    return False
