"""A parsed file: its plain data, and the line and column of every node."""

import bisect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
"""Keys and list indexes from the top of a document down to a node."""


class Position(NamedTuple):
    """A place in a file; both count from 1, columns in characters."""

    line: int
    column: int


class Mark(NamedTuple):
    """Where a node stands, as offsets into the text."""

    key: int
    """Of its key; of the node itself in a list."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file."""

    file: str
    text: str
    data: Any
    """dict, list, str, int, float, bool and None."""
    marks: Mapping[Path, Mark] = field(repr=False, default_factory=dict)
    lines: list[int] = field(repr=False, default_factory=lambda: [0])
    """The offset at which each line begins."""

    def position(self, path: Path, *, key: bool = False) -> Position:
        """Return where a node or, with *key*, its key begins.

        A path that is not there has the place of its nearest parent's key.
        """
        if path in self.marks:
            mark = self.marks[path]
            return place(self.lines, mark.key if key else mark.start)
        while path and path not in self.marks:
            path = path[:-1]
        return place(self.lines, self.marks[path].key) if path else Position(1, 1)

    def position_in(self, path: Path, offset: int) -> Position:
        """Return where the character at *offset* of a text value stands in the file."""
        mark, value = self.marks.get(path), self.value(path)
        if mark is None or not isinstance(value, str):
            return self.position(path)
        return place(self.lines, _written_at(self.text, mark, value, offset))

    def value(self, path: Path) -> Any:
        """The node at *path*; None where there is none."""
        node = self.data
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return None
        return node


def line_starts(text: str) -> list[int]:
    """The offset at which each line of *text* begins."""
    return [0, *(each.end() for each in _LINE_BREAK.finditer(text))]


def place(lines: list[int], offset: int) -> Position:
    """Line and column of an offset, given the offsets at which lines begin."""
    line = bisect.bisect_right(lines, offset)
    return Position(line, offset - lines[line - 1] + 1)


def _written_at(text: str, mark: Mark, value: str, offset: int) -> int:
    """The offset in *text* of a character of a scalar.

    Walks value and text side by side: what YAML adds (quotes, indentation, the
    backslash of an escape, line breaks that fold) is passed over.
    """
    at, end = mark.start, mark.end
    style = text[at : at + 1]
    if style in ("|", ">"):
        at = text.find("\n", at, end) + 1 or at
    elif style in ("'", '"'):
        at += 1
    for wanted in value[:offset]:
        at = _passed(text, _skipped(text, at, end, wanted), style, wanted)
    return min(_skipped(text, at, end, value[offset : offset + 1]), max(end - 1, 0))


def _skipped(text: str, at: int, end: int, wanted: str) -> int:
    """Past the blanks that stand only in the file, before *wanted*."""
    if wanted and not wanted.isspace():
        while at < end and text[at].isspace():
            at += 1
    return at


def _passed(text: str, at: int, style: str, wanted: str) -> int:
    """Past one character of the value, as it is written."""
    if style == '"' and text.startswith("\\", at):
        escape = text[at + 1 : at + 2]
        return at + 2 + _ESCAPE_DIGITS.get(escape, 0)
    if style == "'" and wanted == "'":
        return at + 2
    return at + 1


_ESCAPE_DIGITS = {"x": 2, "u": 4, "U": 8}
_LINE_BREAK = re.compile(r"\r\n|\n|\r")
