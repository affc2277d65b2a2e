"""JSON text to plain data that knows the line and column of every node."""

import json
import re
from typing import Any

from .diagnostics import Findings, quote
from .document import Document, Mark, Path, line_starts, place

DEPTH_LIMIT = 60
"""Lists and objects inside each other."""


def parse_json(text: str, file: str, findings: Findings, code: str) -> Document | None:
    """The document in *text*; None, with a finding of *code*, where it is no JSON."""
    text = text.removeprefix("\ufeff")
    lines = line_starts(text)
    scanner = _Scanner(text)
    offset, message = 0, ""
    try:
        scanner.scan()
        data = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        offset, message = error.pos, f"this is not JSON: {error.msg.lower()}"
    except (_Refused, ValueError) as error:
        offset, message = scanner.offset, str(error)
    if message:
        line, column = place(lines, min(offset, len(text)))
        findings.error_at(file, line, column, code, message)
        return None
    return Document(file, text, data, scanner.marks, lines)


class _Refused(Exception):
    """JSON that is not to be trusted; says why."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"the name {quote(double)} appears twice in one object")
    return found


def _refuse(constant: str) -> Any:
    raise _Refused(f"{constant} is not a JSON number")


class _Scanner:
    """Remembers where nodes stand, in text that need not be JSON."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.marks: dict[Path, Mark] = {}
        self.offset = 0
        self._stack: list[tuple[Path, int]] = []
        """Open objects (-1) and lists (the index of the next item)."""
        self._key: tuple[str, int] | None = None

    def scan(self) -> None:
        for token in _TOKEN.finditer(self.text):
            self.offset = token.start()
            sign = token.group()
            if sign in "{[":
                path = self._place(token.start(), token.end())
                if len(self._stack) >= DEPTH_LIMIT:
                    raise _Refused(f"more than {DEPTH_LIMIT} nested levels")
                self._stack.append((path, -1 if sign == "{" else 0))
            elif sign in "}]":
                if self._stack:
                    self._stack.pop()
            elif sign[0] == '"' and self._stack and self._wants_key():
                self._key = (sign[1:-1], token.start())
            else:
                self._place(token.start(), token.end())

    def _wants_key(self) -> bool:
        return self._stack[-1][1] == -1 and self._key is None

    def _place(self, start: int, end: int) -> Path:
        if not self._stack:
            path: Path = ()
            key_start = start
        else:
            parent, index = self._stack[-1]
            if index >= 0:
                path, key_start = (*parent, index), start
                self._stack[-1] = (parent, index + 1)
            else:
                name, key_start = self._key or ("", start)
                path, self._key = (*parent, name), None
        self.marks[path] = Mark(key_start, start, end)
        return path


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s,:{}\[\]"]+')
