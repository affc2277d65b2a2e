"""What is wrong with a rule file: where, how bad, and what to do about it.

Codes: ``CDS0xx`` file and YAML, ``1xx`` structure, ``2xx`` facts and value sets,
``3xx`` conditions, ``4xx`` unused or unreachable, ``5xx`` templates, ``6xx`` life
cycle, ``7xx`` tests, ``8xx`` clinical plausibility, ``9xx`` licences.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class Level(StrEnum):
    """How bad a finding is; only an error keeps a rulebook from loading."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to say about a file; sorts by place."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    code: str
    level: Level
    message: str
    help: str = ""
    """What to do, such as ``did you mean `latest`?``; may be empty."""

    def as_json(self) -> dict[str, Any]:
        """The finding as plain data, for tools."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "level": self.level.value,
            "message": self.message,
            "help": self.help,
        }


class Located(Protocol):
    """A file that knows where each of its nodes stands."""

    @property
    def file(self) -> str: ...

    def position(
        self, path: tuple[str | int, ...], *, key: bool = False
    ) -> tuple[int, int]: ...


class Findings:
    """Collects findings; each is kept once, and reads out sorted by place."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}

    def add(self, finding: Finding) -> None:
        """Keep a finding whose place is already known."""
        self._found[finding] = None

    def extend(self, findings: Iterable[Finding]) -> None:
        """Keep several."""
        self._found.update(dict.fromkeys(findings))

    def error(
        self,
        document: Located,
        path: tuple[str | int, ...],
        code: str,
        message: str,
        help: str = "",
        key: bool = False,
    ) -> None:
        """Keep an error at a node of *document*; at its key with *key*."""
        self._report(Level.ERROR, document, path, code, message, help, key)

    def warning(
        self,
        document: Located,
        path: tuple[str | int, ...],
        code: str,
        message: str,
        help: str = "",
        key: bool = False,
    ) -> None:
        """Keep a warning at a node of *document*; at its key with *key*."""
        self._report(Level.WARNING, document, path, code, message, help, key)

    def note(
        self,
        document: Located,
        path: tuple[str | int, ...],
        code: str,
        message: str,
        help: str = "",
        key: bool = False,
    ) -> None:
        """Keep a note at a node of *document*; at its key with *key*."""
        self._report(Level.NOTE, document, path, code, message, help, key)

    def error_at(
        self,
        file: str,
        line: int,
        column: int,
        code: str,
        message: str,
        help: str = "",
    ) -> None:
        """Keep an error at a place inside a node, such as a placeholder."""
        self.add(Finding(file, line, column, code, Level.ERROR, message, help))

    def warning_at(
        self,
        file: str,
        line: int,
        column: int,
        code: str,
        message: str,
        help: str = "",
    ) -> None:
        """Keep a warning at a place inside or behind a node."""
        self.add(Finding(file, line, column, code, Level.WARNING, message, help))

    def _report(
        self,
        level: Level,
        document: Located,
        path: tuple[str | int, ...],
        code: str,
        message: str,
        help: str,
        key: bool,
    ) -> None:
        line, column = document.position(path, key=key)
        self.add(Finding(document.file, line, column, code, level, message, help))

    @property
    def has_errors(self) -> bool:
        """Whether anything found keeps the rulebook from loading."""
        return any(each.level is Level.ERROR for each in self._found)

    def __iter__(self) -> Iterator[Finding]:
        return iter(sorted(self._found))

    def __len__(self) -> int:
        return len(self._found)


def render(finding: Finding, text: str = "") -> str:
    """The finding for a person, with the line and a caret where *text* has that line.

    *text* is the whole file. The result ends without a line break.
    """
    place = f"{printable(finding.file)}:{finding.line}:{finding.column}"
    rendered = [f"{place}: {finding.level}[{finding.code}]: {finding.message}"]
    source = source_line(text, finding.line)
    if source:
        shown, caret = _window(source, finding.column - 1)
        rendered.append(f"{finding.line:6} | {shown}".rstrip())
        rendered.append(f"       | {caret}^")
    if finding.help:
        rendered.append(f"       = help: {finding.help}")
    return "\n".join(rendered)


def source_line(text: str, line: int) -> str:
    """A line of *text*, counted from 1; empty where there is none."""
    lines = _LINE_BREAK.split(text)
    return lines[line - 1] if 0 < line <= len(lines) else ""


def _window(source: str, offset: int) -> tuple[str, str]:
    """The part of a line that is worth showing, and the blanks before the caret."""
    start = 0 if offset < _WIDTH - 20 else offset - _WIDTH // 2
    shown = source[start : start + _WIDTH]
    shown = printable(shown)
    before = shown[: offset - start].ljust(offset - start)
    return shown, "".join("\t" if each == "\t" else " " for each in before)


def printable(text: str) -> str:
    """Text that cannot steer the terminal that it is printed on."""
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


def closest(word: str, options: Iterable[str]) -> str | None:
    """The option that *word* most likely means; None where nothing is near.

    What other languages call otherwise goes by its meaning, never by its letters: the
    nearest of `and` would be `any`, of `not_present` its opposite.
    """
    if len(word) > _LONGEST_WORD:
        return None
    wanted = _plain(word)
    plain = {_plain(option): option for option in sorted(options, reverse=True)}
    if wanted in plain:
        return plain[wanted]
    if wanted in _MEANT:
        return next((plain[each] for each in _MEANT[wanted] if each in plain), None)
    near = difflib.get_close_matches(wanted, plain, n=3, cutoff=0.6)
    alike = [each for each in near if _negates(each) is _negates(wanted)]
    return plain[alike[0]] if alike else None


def is_logic(word: str) -> bool:
    """Return whether a word joins or negates conditions in other languages."""
    return _plain(word) in _LOGIC


def suggest(word: str, options: Iterable[str]) -> str:
    """A help line: the nearest option, else all of them where they are few."""
    known = sorted(options)
    near = closest(word, known)
    if near is not None:
        return f"did you mean `{near}`?"
    if not known or len(known) > _FEW:
        return ""
    return "allowed here: " + ", ".join(known)


def quote(value: Any) -> str:
    """A value as it may stand in a message: in backquotes, on one line, cut if long."""
    text = value if isinstance(value, str) else _as_written(value)
    text = "".join(each if each.isprintable() else " " for each in text)
    return f"`{text[:57]}…`" if len(text) > 60 else f"`{text}`"


def _as_written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return "{…}" if isinstance(value, dict) else "[…]"
    return str(value)


def _negates(word: str) -> bool:
    """Return whether a word turns the meaning of another that it is made of."""
    return bool(_NEGATION.match(word))


def _plain(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")


_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_WIDTH = 120
_LONGEST_WORD = 80
_FEW = 16
_NEGATION = re.compile(r"(?:is_)?(?:not|no|non|never|without|is_?nt)_|un(?!it|der|til)")
_LOGIC: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("and", "both", "every", "each", "all_of", "&&"), ("all",)),
    **dict.fromkeys(("or", "either", "some", "one_of", "any_of", "||"), ("any",)),
    **dict.fromkeys(("not", "nor", "neither", "unless", "except"), ("none",)),
    **dict.fromkeys(("no", "none_of", "not_any", "without", "!"), ("none", "absent")),
    **dict.fromkeys(("xor", "nand", "not_all", "if", "then", "else"), ()),
}
_MEANT: Mapping[str, tuple[str, ...]] = {
    **_LOGIC,
    **dict.fromkeys(("not_present", "missing", "not_exists"), ("absent",)),
    **dict.fromkeys(("not_absent", "exists", "exist"), ("present",)),
    **dict.fromkeys(("oldest", "first"), ("earliest",)),
    **dict.fromkeys(("newest", "last", "current"), ("latest",)),
    **dict.fromkeys(("lowest", "minimum", "smallest"), ("min",)),
    **dict.fromkeys(("highest", "maximum", "largest"), ("max",)),
    **dict.fromkeys(("average", "avg"), ("mean",)),
    **dict.fromkeys(("over", "more_than", "greater_than", "gt", ">"), ("above",)),
    **dict.fromkeys(("under", "less_than", "lower_than", "lt", "<"), ("below",)),
    **dict.fromkeys(("not_below", "no_less_than", "not_less_than"), ("at_least",)),
    **dict.fromkeys(("gte", "ge", ">=", "minimum_of"), ("at_least",)),
    **dict.fromkeys(("not_above", "no_more_than", "not_more_than"), ("at_most",)),
    **dict.fromkeys(("lte", "le", "<=", "maximum_of", "up_to"), ("at_most",)),
}
"""What words mean that stand for something here, of which the first that may stand."""
