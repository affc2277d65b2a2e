"""The text of a rule file read as a tree of lines: see ``layout``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..language.document import Document, Mark, Path, place
from .layout import (
    EMPTY,
    Block,
    BlockEntry,
    Lines,
    Written,
    single_gaps,
    without_start,
)


class NotPlain(Exception):
    """The text is laid out in a way that cannot be rearranged; says where."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(message)


def read_layout(document: Document) -> tuple[Lines, Block]:
    """The comments at the head of the file, and its entries.

    Raises:
        NotPlain: where a key is written in a way that cannot be moved, such as `? key`.
    """
    return _Reader(document).read()


def comments(document: Document) -> list[str]:
    """Every comment of a file, in the order of the text."""
    text, at = document.text, 0
    found: list[str] = []
    spans = sorted(_scalar_spans(document))
    for start, end in [*spans, (len(text), len(text))]:
        found += (each.strip() for each in _COMMENT.findall(text, at, max(at, start)))
        at = max(at, end)
    return found


def _scalar_spans(document: Document) -> Iterator[tuple[int, int]]:
    """Yield where a `#` begins no comment: keys and scalars."""
    for path, mark in document.marks.items():
        if mark.key < mark.start:
            yield mark.key, _key_end(document.text, mark.key)
        if not isinstance(document.value(path), (dict, list)):
            start = mark.start
            if document.text[start : start + 1] in ("|", ">"):
                start = document.text.find("\n", start)
            yield start, mark.end


def _key_end(text: str, start: int) -> int:
    """The offset after a key."""
    quoted = _QUOTED.match(text, start)
    if quoted:
        return quoted.end()
    colon = _COLON.search(text, start)
    return colon.start() if colon else start


@dataclass(slots=True)
class _Reader:
    """Walks over the text once, side by side with what was parsed from it."""

    document: Document
    text: str = ""
    at: int = 0
    waiting: list[tuple[int, str]] = field(default_factory=list)
    """Column and text of the comments and empty lines before the next token."""

    def read(self) -> tuple[Lines, Block]:
        """The whole file."""
        self.text = self.document.text
        head = self._head()
        return head, self._block((), self.document.data)

    def _head(self) -> Lines:
        """The comments that stay at the top: down to the last empty line, or all."""
        self._wait()
        lines = [text for _, text in self.waiting]
        gaps = [number for number, line in enumerate(lines) if not line]
        kept = gaps[-1] + 1 if gaps and any(lines[gaps[-1] :]) else len(lines)
        self.waiting = self.waiting[kept:]
        return single_gaps([*without_start(lines[:kept])])

    def _wait(self) -> None:
        """Take in the comments and empty lines before the next token."""
        while line := _WAITING.match(self.text, self.at):
            if line.end() == self.at:
                break
            self.at = line.end()
            if not _DIVIDER.fullmatch(line["mark"]):
                self.waiting.append((line.end("blank") - line.start(), line["mark"]))
            elif "#" in line["mark"]:
                comment = line["mark"][line["mark"].index("#") :]
                self.waiting.append((0, comment))

    def _lead(self) -> Lines:
        self._wait()
        lead = [text for _, text in self.waiting]
        self.waiting = []
        return lead

    def _block(self, path: Path, node: Any) -> Block:
        block = Block(isinstance(node, list))
        column = 0
        steps = enumerate(node) if block.is_list else node.items()
        for number, (step, value) in enumerate(steps):
            lead = self._lead()
            mark = self.document.marks[path + (step,)]
            start = self._token(mark, block.is_list)
            if number == 0:
                column = start - (self.text.rfind("\n", 0, start) + 1)
            name = "" if block.is_list else str(step)
            written = "" if block.is_list else self.text[start : self.at].rstrip()
            if not block.is_list:
                self._pass_colon()
            entry = BlockEntry(name, written, lead, "", Written(""))
            self._value(entry, path + (step,), value, column)
            block.entries.append(entry)
        self._wait()
        block.tail = self._tail(column)
        return block

    def _token(self, mark: Mark, is_list: bool) -> int:
        """The offset of the next key or dash; afterwards the reader is behind it."""
        blank = _BLANK.match(self.text, self.at)
        start = blank.end() if blank else self.at
        if is_list:
            if self.text[start : start + 1] != "-":
                raise self._not_plain(start)
            self.at = start + 1
        else:
            if start != mark.key:
                raise self._not_plain(start)
            self.at = _key_end(self.text, start)
        return start

    def _pass_colon(self) -> None:
        colon = _GAP_COLON.match(self.text, self.at)
        if not colon:
            raise self._not_plain(self.at)
        self.at = colon.end()

    def _value(self, entry: BlockEntry, path: Path, value: Any, column: int) -> None:
        mark = self.document.marks[path]
        if self._is_block(mark, value):
            line_end = _LINE_END.match(self.text, self.at)
            if line_end:
                entry.comment = (line_end["comment"] or "").rstrip()
                self.at = line_end.end()
            entry.value = self._block(path, value)
            return
        if value is None and mark.start == mark.end:
            entry.value = Written("")
        else:
            entry.value = self._written(entry, path, mark, column)
        line_end = _LINE_END.match(self.text, self.at)
        # After a text in lines of its own the reader is at the start of a line.
        if line_end and entry.value.head[:1] not in ("|", ">"):
            entry.value.comment = (line_end["comment"] or "").rstrip()
            self.at = line_end.end()

    def _is_block(self, mark: Mark, value: Any) -> bool:
        opened = self.text[mark.start : mark.start + 1]
        return isinstance(value, (dict, list)) and opened not in ("{", "[")

    def _written(
        self, entry: BlockEntry, path: Path, mark: Mark, column: int
    ) -> Written:
        below, above = False, []
        line_end = _LINE_END.match(self.text, self.at)
        if line_end and line_end.end() <= mark.start:
            below = True
            entry.comment = (line_end["comment"] or "").rstrip()
            self.at = line_end.end()
            above = [each for each in self._lead() if each]
        self.at = mark.end
        opened = self.text[mark.start]
        if opened in "|>":
            return self._block_scalar(mark, column)
        head, *rest = self.text[mark.start : mark.end].split("\n")
        if opened in "{[":
            if rest:
                line = self.text.rfind("\n", 0, mark.start) + 1
                base = mark.start - line - 2 if below else column
                rest = [_shifted(each, base) for each in rest]
            else:
                head = one_line(self.document, path)
        else:
            rest = ["  " + each.lstrip(" \t") if each.strip() else "" for each in rest]
        return Written(head, rest, below, above)

    def _block_scalar(self, mark: Mark, column: int) -> Written:
        """A text after `|` or `>`: its lines end where something less indented is."""
        header = self.text[mark.start :].split("\n", 1)[0].rstrip()
        given = _INDICATOR.match(header)
        depth = int(given[1]) if given else 0
        base = column + depth if depth else 0
        self.at = min(mark.start + self.text[mark.start :].find("\n") + 1 or mark.end,
                      len(self.text))  # fmt: skip
        rest: Lines = []
        while self.at < len(self.text):
            line = self.text[self.at :].split("\n", 1)[0]
            indent = len(line) - len(line.lstrip(" "))
            if line.strip(" "):
                base = base or indent
                if indent < base or indent <= column:
                    break
            kept = " " * (depth or 2) + line[base:]
            rest.append(kept if line[base:] else EMPTY)
            self.at += len(line) + 1
        self._give_back(header, rest)
        self.at = min(self.at, len(self.text))
        return Written(header, rest)

    def _give_back(self, header: str, rest: Lines) -> None:
        """Empty lines after a text are its own only where `+` keeps them."""
        if "+" in header.partition("#")[0]:
            return
        count = 0
        while rest and not rest[-1].strip(" " + EMPTY):
            rest.pop()
            count += 1
        self.waiting += [(0, "")] * count

    def _tail(self, column: int) -> Lines:
        """Of the waiting comments, those that belong to the block that has ended."""
        blank = _BLANK.match(self.text, self.at)
        token = blank.end() if blank else self.at
        following = token - self.at if token < len(self.text) else -1
        taken = 0
        for number, (at, text) in enumerate(self.waiting):
            if text and not (at >= column and at > following):
                break
            taken = number + 1 if text else taken
        tail, self.waiting = self.waiting[:taken], self.waiting[taken:]
        return [text for _, text in tail]

    def _not_plain(self, offset: int) -> NotPlain:
        line = place(self.document.lines, offset).line
        return NotPlain(line, "this is laid out in a way that cannot be rearranged")


def _shifted(line: str, base: int) -> str:
    indent = len(line) - len(line.lstrip(" "))
    return " " * max(indent - base, 0) + line.lstrip(" ")


_COMMENT = re.compile(r"(?:(?<=\s)|(?<![\s\S]))#[^\n]*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'', re.DOTALL)
_COLON = re.compile(r":(?=[ \t\n]|\Z)")
_GAP_COLON = re.compile(r"[ \t]*:")
_BLANK = re.compile(r"[ \t]*")
_WAITING = re.compile(
    r"(?P<blank>[ \t]*)(?P<mark>#[^\n]*?|(?:---|\.\.\.)(?:[ \t]+#[^\n]*?)?|)"
    r"[ \t]*(?:\n|\Z)"
)
_DIVIDER = re.compile(r"(---|\.\.\.).*")
_LINE_END = re.compile(r"[ \t]*(?P<comment>#[^\n]*)?(?:\n|\Z)")
_INDICATOR = re.compile(r"[|>][+-]?([1-9])")


def one_line(document: Document, path: Path) -> str:
    """Return what stands in brackets at *path*: `{ key: value }` and `[one, two]`.

    As it was written, where any of it cannot be told apart for certain.
    """
    mark = document.marks[path]
    written = document.text[mark.start : mark.end]
    try:
        return _node(document, path, document.value(path))
    except ValueError:
        return written


def _node(document: Document, path: Path, value: Any) -> str:
    mark = document.marks[path]
    written = document.text[mark.start : mark.end]
    if not isinstance(value, (dict, list)):
        if not written:
            raise ValueError("a value that is not there")
        return written
    if written[:1] not in ("{", "["):
        raise ValueError("a pair without brackets")
    if isinstance(value, list):
        items = (_node(document, path + (n,), each) for n, each in enumerate(value))
        return f"[{', '.join(items)}]"
    if not value:
        return "{}"
    pairs = (_pair(document, path + (key,), each) for key, each in value.items())
    return f"{{ {', '.join(pairs)} }}"


def _pair(document: Document, path: Path, value: Any) -> str:
    mark = document.marks[path]
    key = document.text[mark.key : mark.start].rstrip()
    if not key.endswith(":") or key.startswith("?"):
        raise ValueError("a key without its colon")
    return f"{key[:-1].rstrip()}: {_node(document, path, value)}"
