"""YAML that is valid and probably not what its author meant.

A comment that takes the end of a sentence, typographic quotes that become part of a
text, a blank that YAML takes for a letter: a parser passes them over.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...units import canonical_unit
from .diagnostics import Findings, quote
from .document import Document, Path, place

PROSE = frozenset(
    {"title", "summary", "detail", "description", "label", "citation", "display"}
    | {"usage_requirements", "notice", "owner", "funding", "developer", "by"}
    | {"retired_because", "describe", "todo", "detail_contains", "detail_lacks"}
    | {"system_actions", "text"}
)
"""What stands under these keys is read by people, as a sentence."""
NAMES = frozenset({"name", "also", "words", "no_medicines", "before", "after"})
"""What stands under these keys is compared with the words of a record."""
RESOURCES = frozenset({"create", "set"})
"""Below these keys of a rule stand parts of FHIR resources."""


def check_slips(document: Document, findings: Findings) -> None:
    """Report what a file says although its author hardly meant it."""
    if not _SUSPECT.search(document.text):
        return
    for path, value in _scalars(document.data, ()):
        mark = document.marks.get(path)
        if mark is None or document.text[mark.start : mark.start + 1] in _QUOTES:
            continue
        _check_comment(document, path, mark.end, findings)
        if isinstance(value, str):
            _check_characters(document, path, value, findings)
    for path in document.marks:
        key = path[-1] if path else ""
        if isinstance(key, str) and key.startswith(_TYPOGRAPHIC):
            _tell_quotes(document, path, key, findings, key=True)


def _scalars(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _scalars(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _scalars(value, (*path, index))
    else:
        yield path, node


def _check_comment(
    document: Document, path: Path, end: int, findings: Findings
) -> None:
    """Report a comment behind unquoted text that is read as a sentence."""
    key = _key(path)
    if key not in PROSE | NAMES and RESOURCES.isdisjoint(path):
        return
    cut = _COMMENT.match(document.text, end)
    if cut is None:
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


def _check_characters(
    document: Document, path: Path, value: str, findings: Findings
) -> None:
    if value.startswith(_TYPOGRAPHIC) and value.endswith(_TYPOGRAPHIC):
        _tell_quotes(document, path, value, findings)
    if _key(path) in PROSE:
        return
    odd = _ODD_BLANK.search(value)
    if odd:
        message = (
            f"{quote(value)} has a no-break space (U+{ord(odd.group()):04X}) where "
            "a plain one belongs"
        )
        help = "write the space anew; text that was copied from elsewhere has such"
        findings.error(document, path, "CDS132", message, help)


def _tell_quotes(
    document: Document, path: Path, text: str, findings: Findings, key: bool = False
) -> None:
    say = findings.warning if _key(path) in PROSE and not key else findings.error
    message = f"the curly quotes are a part of {quote(text)}"
    say(document, path, "CDS131", message, 'write straight ones: `"…"`', key)


def _key(path: Path) -> str:
    """The nearest key above a node, or its own."""
    return next((each for each in reversed(path) if isinstance(each, str)), "")


_QUOTES = ("'", '"', "|", ">")
_TYPOGRAPHIC = ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "\u201a")
_BLANKS = "\u00a0\u2007\u202f\u3000"
_SUSPECT = re.compile(rf"\S[ \t]+#|[{''.join(_TYPOGRAPHIC)}{_BLANKS}]")
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
