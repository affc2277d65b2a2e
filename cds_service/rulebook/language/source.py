"""YAML text to plain data that knows the line and column of every node.

Read from parser events with a stack of our own: composing nodes recurses, and PyYAML's
C composer takes the process down at some ten thousand open brackets. A scalar is a
number, a truth value or null only where JSON would say so; ``NO``, ``on``, ``012``,
``1E5``, ``1:30`` and dates stay text. Anchors, aliases, tags, merge keys and several
documents in a file are refused: a rule file has no use for them.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from .diagnostics import Finding, Findings, Level, quote
from .document import Document, Mark, Path, Position, line_starts, place
from .yaml_errors import QUOTE_IT, Complaint, explain_syntax, find_open_quote

__all__ = ["Document", "Mark", "Path", "Position", "parse_yaml"]

SIZE_LIMIT = 1024 * 1024
"""Bytes of UTF-8 in one file."""
DEPTH_LIMIT = 40
"""Lists and mappings inside each other."""
NODE_LIMIT = 100_000
"""Keys and values in one file."""
TEXT_KEYS = frozenset({"code", "codes", "panels", "under", "version"})
"""What stands under these keys is text, even where it looks like a number."""


def parse_yaml(text: str, file: str, findings: Findings) -> Document | None:
    """The document in *text*; None, with findings, where there is none to work with.

    A duplicate key is an error that still gives a document, so that the rest of the
    file can be checked as well.
    """
    reader = _Reader(text.removeprefix("\ufeff"), file)
    reader.read()
    findings.extend(reader.found)
    if reader.broken:
        return None
    return Document(file, reader.text, reader.data, reader.marks, reader.lines)


@dataclass(slots=True)
class _Open:
    """A list or mapping that has not ended."""

    path: Path
    node: dict[str, Any] | list[Any]
    key: str | None = None
    key_offset: int = 0
    textual: bool = False
    skipped: bool = False


class _Refused(Exception):
    """Nothing after this can be read."""


class _Reader:
    """One pass over the events of one file."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines = line_starts(text)
        self.data: Any = None
        self.marks: dict[Path, Mark] = {}
        self.found: list[Finding] = []
        self.broken = False
        self._stack: list[_Open] = []
        self._documents = 0
        self._nodes = 0

    def read(self) -> None:
        """Fill ``data`` and ``marks``, or ``found``."""
        try:
            self._check_text()
            self._read_events()
        except _Refused:
            self.broken = True
        except yaml.YAMLError as error:
            last = next(reversed(self.marks.values()), Mark(0, 0, 0))
            complaint = _complaint(error, self.text, last)
            self._report(*complaint)

    def _check_text(self) -> None:
        if len(self.text.encode("utf-8", "surrogatepass")) > SIZE_LIMIT:
            message = f"the file is larger than {SIZE_LIMIT // 1024} KiB"
            self._report(0, "CDS003", message, "each file holds one rule or value set")
            raise _Refused
        odd = _ODD_CHARACTER.search(self.text)
        if odd:
            name = f"U+{ord(odd.group()):04X}"
            message = (
                f"the character {name} is invisible and not allowed in a rule file"
            )
            self._report(odd.start(), "CDS007", message, "remove it")
            raise _Refused

    def _read_events(self) -> None:
        takes = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open,
            yaml.SequenceStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._refuse_alias,
            yaml.DocumentStartEvent: self._start_document,
        }
        for event in yaml.parse(self.text, Loader=yaml.CSafeLoader):
            take = takes.get(type(event))
            if take is not None:
                take(event)
            if len(self.found) >= _ENOUGH:
                raise _Refused
        if () not in self.marks and not self.broken:
            self._report(0, "CDS004", "the file is empty", "write it, or delete it")
            raise _Refused

    def _refuse_alias(self, event: Any) -> None:
        message = f"{quote('*' + event.anchor)} refers to an anchor; {_NO_ANCHORS}"
        self._report(event.start_mark.index, "CDS009", message, QUOTE_IT)
        raise _Refused

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        start = event.start_mark.index
        if self._documents > 1:
            message = "a second document begins here; a file has only one"
            self._report(start, "CDS031", message, "remove the `---`, or use two files")
            raise _Refused
        if event.version or event.tags:
            message = "directives that begin with `%` are not allowed"
            self._report(start, "CDS030", message, "remove the line")

    def _scalar(self, event: Any) -> None:
        self._check_node(event)
        holder = self._stack[-1] if self._stack else None
        if holder and isinstance(holder.node, dict) and holder.key is None:
            self._take_key(holder, event)
            return
        if not holder and event.value == "" and not event.style:
            return
        textual = holder is not None and holder.textual
        self._place(event, event.value if event.style else _plain(event.value, textual))

    def _take_key(self, holder: _Open, event: Any) -> None:
        assert isinstance(holder.node, dict)
        key, offset = event.value, event.start_mark.index
        holder.key, holder.key_offset = key, offset
        holder.textual = key in TEXT_KEYS
        holder.skipped = False
        if key == "<<" and not event.style:
            message = "merge keys (`<<`) are not allowed in these files"
            self._report(offset, "CDS009", message, "write the keys out")
        elif key == "":
            message = "a key is missing before the colon"
            help = "write one, or remove the line"
            self._report(offset, "CDS033", message, help)
        elif key in holder.node:
            first = self._line_of(holder.path + (key,))
            message = f"{quote(key)} is given twice; it is already on line {first}"
            self._report(offset, "CDS032", message, "keep one of them", fatal=False)
            holder.skipped = True

    def _open(self, event: Any) -> None:
        self._check_node(event)
        offset = event.start_mark.index
        if len(self._stack) >= DEPTH_LIMIT:
            message = f"more than {DEPTH_LIMIT} nested lists and mappings"
            self._report(offset, "CDS008", message, "close the brackets before")
            raise _Refused
        holder = self._stack[-1] if self._stack else None
        if holder and isinstance(holder.node, dict) and holder.key is None:
            self._refuse_key(offset)
        node: dict[str, Any] | list[Any]
        node = {} if isinstance(event, yaml.MappingStartEvent) else []
        textual = bool(holder and holder.textual and isinstance(node, list))
        path = self._place(event, node)
        self._stack.append(_Open(path, node, textual=textual))

    def _refuse_key(self, offset: int) -> None:
        braces = "{{" in self.text[max(0, offset - 1) : offset + 2]
        help = "a text that begins with `{{` must be in quotes" if braces else QUOTE_IT
        message = "a list or mapping cannot be a key"
        self._report(offset, "CDS033", message, help)
        raise _Refused

    def _close(self, event: Any) -> None:
        closed = self._stack.pop()
        key, start, _ = self.marks[closed.path]
        self.marks[closed.path] = Mark(key, start, event.end_mark.index)

    def _place(self, event: Any, value: Any) -> Path:
        """Put a value where it belongs and remember where it stands."""
        start, end = event.start_mark.index, event.end_mark.index
        if not self._stack:
            self.data = value
            self.marks[()] = Mark(start, start, end)
            return ()
        holder = self._stack[-1]
        if isinstance(holder.node, list):
            path = holder.path + (len(holder.node),)
            holder.node.append(value)
            self.marks[path] = Mark(start, start, end)
            return path
        assert holder.key is not None
        # A value under a key seen before is read, so that its own faults show, but
        # goes nowhere: a place of its own keeps the first one's marks.
        path = (
            holder.path + (holder.key, _AGAIN)
            if holder.skipped
            else (holder.path + (holder.key,))
        )
        if not holder.skipped:
            holder.node[holder.key] = value
        self.marks[path] = Mark(holder.key_offset, start, end)
        holder.key = None
        return path

    def _check_node(self, event: Any) -> None:
        self._nodes += 1
        offset = event.start_mark.index
        if self._nodes > NODE_LIMIT:
            message = f"the file has more than {NODE_LIMIT} keys and values"
            self._report(offset, "CDS003", message, "split it into several files")
            raise _Refused
        if event.anchor is not None:
            message = f"{quote('&' + event.anchor)} names an anchor; {_NO_ANCHORS}"
            self._report(offset, "CDS009", message, QUOTE_IT)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            message = f"the tag {quote(tag)} is not allowed"
            help = "remove it, or put the text in quotes if it begins with `!`"
            self._report(offset, "CDS030", message, help)

    def _line_of(self, path: Path) -> int:
        return place(self.lines, self.marks[path].key).line

    def _report(
        self, offset: int, code: str, message: str, help: str = "", fatal: bool = True
    ) -> None:
        line, column = place(self.lines, offset)
        self.found.append(
            Finding(self.file, line, column, code, Level.ERROR, message, help)
        )
        self.broken = self.broken or fatal


def _plain(value: str, textual: bool) -> str | int | float | bool | None:
    """An unquoted scalar, typed only where JSON would type it so."""
    if value in _NULL:
        return None
    if textual:
        return value
    if value in _TRUTH:
        return _TRUTH[value]
    number = _NUMBER.fullmatch(value)
    if number:
        return float(value) if number.group(1) else int(value)
    return value


def _complaint(error: yaml.YAMLError, text: str, last: Mark) -> Complaint:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return explain_syntax(str(error), "", 0, None, text)
    began = error.context_mark.index if error.context_mark else None
    offset = min(error.problem_mark.index, len(text))
    open_quote = find_open_quote(text, last.start, last.end, offset)
    if open_quote is not None:
        return open_quote
    problem, context = error.problem or "", error.context or ""
    return explain_syntax(problem, context, offset, began, text)


_NULL = ("", "null")
_TRUTH = {"true": True, "false": False}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
"""A JSON number without exponent, short enough to be exact."""

_ODD_CHARACTER = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe"
    "\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""Controls, line breaks that editors do not count, marks that turn text round."""

_NO_ANCHORS = "anchors and aliases are not allowed in these files"
_AGAIN = -1
"""The step, in the marks only, under a key that stands there a second time."""
_ENOUGH = 20
"""Findings in one file after which reading it stops."""
