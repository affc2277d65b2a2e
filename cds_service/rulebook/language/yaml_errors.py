"""What a YAML parser's complaint means to a person who writes rules."""

import re
from typing import NamedTuple


class Complaint(NamedTuple):
    """A syntax error in plain words."""

    offset: int
    """Into the text."""
    code: str
    message: str
    help: str


QUOTE_IT = "if it is meant as text, put it in quotes"


def explain_syntax(
    problem: str, context: str, offset: int, began: int | None, text: str
) -> Complaint:
    """A parser's *problem* at *offset* of *text*, in *context* that began earlier."""
    odd = _odd_indentation(text, offset)
    if odd is not None:
        what = (
            "a tab"
            if text[odd] == "\t"
            else f"a space of another kind {_name(text[odd])}"
        )
        message = f"the line is indented with {what}"
        return Complaint(odd, "CDS006", message, "indent with spaces")
    odd = _odd_blank(text, offset)
    if odd is not None:
        message = f"another kind of space {_name(text[odd])} is used as a separator"
        return Complaint(odd, "CDS006", message, "write an ordinary space")
    for said, where, explain in _MEANINGS:
        if said in problem and where in context:
            message, help = explain
            at = began if began is not None and explain in _AT_BEGINNING else offset
            return Complaint(at, "CDS005", message, help)
    if "cannot start any token" in problem:
        return _reserved(text, offset)
    help = "look at the quotes, brackets and indentation here and on the line above"
    return Complaint(offset, "CDS005", f"this is not YAML: {problem}", help)


def find_open_quote(text: str, start: int, end: int, offset: int) -> Complaint | None:
    """The quotes that open at *start*, if they close on a later line and by mistake.

    What follows at *offset* then makes no sense, for the quotes that were meant to open
    have closed those before.
    """
    written = text[start:end]
    if written[:1] not in ("'", '"') or "\n" not in written or text[end:offset].strip():
        return None
    line = text.count("\n", 0, end) + 1
    message = f"the quotes that open here close only on line {line}"
    return Complaint(start, "CDS005", message, "close them on the line they belong to")


def _name(character: str) -> str:
    return f"(U+{ord(character):04X})"


def _odd_indentation(text: str, offset: int) -> int | None:
    """The first tab or other odd space that indents the line that holds *offset*.

    A space that YAML takes for a letter shows only on the line below.
    """
    start = text.rfind("\n", 0, offset) + 1
    above = text.rfind("\n", 0, max(start - 1, 0)) + 1
    for begin, usual in ((start, " "), (above, " \t")):
        line = text[begin:].split("\n", 1)[0]
        indentation = line[: len(line) - len(line.lstrip())]
        for at, each in enumerate(indentation):
            if each not in usual:
                return begin + at
    return None


_ODD_BLANK = re.compile("(?<=[:\\-,])[\u00a0\u2007\u202f\u3000]")


def _odd_blank(text: str, offset: int) -> int | None:
    """Return where an odd blank, a letter to YAML, follows a colon, dash or comma."""
    start = text.rfind("\n", 0, offset) + 1
    above = text.rfind("\n", 0, max(start - 1, 0)) + 1
    end = text.find("\n", offset)
    odd = _ODD_BLANK.search(text, above, len(text) if end < 0 else end)
    return odd.start() if odd else None


def _reserved(text: str, offset: int) -> Complaint:
    character = text[offset : offset + 1]
    message = f"a text cannot begin with `{character}` in YAML"
    if character == "`":
        message = "a text cannot begin with a backquote in YAML"
    return Complaint(offset, "CDS005", message, "put the text in quotes")


_COLON = (
    "a colon followed by a space is not allowed here",
    "put a text that holds `: ` in quotes; if this is a new key, indent it like its "
    "neighbours, and see that the line above has a space after its colon",
)
_UNCLOSED_QUOTE = ("the quotes that open here are not closed", "close them")
_UNCLOSED_LIST = (
    "the list that opens here is not closed, or a comma is missing in it",
    "close it with `]`, and separate its items with commas",
)
_UNCLOSED_MAPPING = (
    "the braces that open here are not closed, or a comma is missing in them",
    "close them with `}`, and separate the keys with commas",
)
_DASH = (
    "a list ends here without its last line being understood",
    "begin each item with `- `, all in the same column",
)
_KEY = (
    "a key was expected here",
    "check the indentation; text after a closing quote must be inside the quotes",
)
_NO_COLON = (
    "a key without a colon and a space",
    "write `key: value`, with a space after the colon",
)
_ESCAPE = (
    "this backslash sequence is not known in double quotes",
    "write `\\\\` for a backslash, or use single quotes",
)
_ALIAS = ("`*` begins a YAML alias, and aliases are not allowed", QUOTE_IT)
_ANCHOR = ("`&` begins a YAML anchor, and anchors are not allowed", QUOTE_IT)
_BLOCK = (
    "`>` or `|` begins a block of text, which starts on the next line",
    "a comparison is written in words, such as `above: 100`; text goes in quotes",
)
_CONTENT = (
    "a value is missing here, or a bracket is closed that was not opened",
    "write the value, or remove the bracket",
)
_DASH_HERE = (
    "a list item is not allowed on this line",
    "begin the list on the next line, or put the text in quotes",
)
_END = ("the file continues after `...`, which marks its end", "remove the `...`")
_DIRECTIVE = ("a line that begins with `%` is not allowed here", QUOTE_IT)
_TAG = ("`!` begins a YAML tag, and tags are not allowed", QUOTE_IT)

_AT_BEGINNING = [_UNCLOSED_QUOTE, _UNCLOSED_LIST, _UNCLOSED_MAPPING, _NO_COLON]

_MEANINGS = [
    ("mapping values are not allowed", "", _COLON),
    ("mapping keys are not allowed", "", _COLON),
    ("unexpected end of stream", "quoted scalar", _UNCLOSED_QUOTE),
    ("unexpected document indicator", "quoted scalar", _UNCLOSED_QUOTE),
    ("unknown escape character", "", _ESCAPE),
    ("did not find expected hexdecimal number", "", _ESCAPE),
    ("", "scanning an alias", _ALIAS),
    ("", "scanning an anchor", _ANCHOR),
    ("", "scanning a block scalar", _BLOCK),
    ("", "a tag", _TAG),
    ("", "directive", _DIRECTIVE),
    ("expected ',' or ']'", "", _UNCLOSED_LIST),
    ("expected ',' or '}'", "", _UNCLOSED_MAPPING),
    ("expected '-' indicator", "", _DASH),
    ("expected key", "", _KEY),
    ("expected ':'", "", _NO_COLON),
    ("expected node content", "", _CONTENT),
    ("block sequence entries are not allowed", "", _DASH_HERE),
    ("expected <document start>", "", _END),
]
"""Part of the parser's problem, part of its context, and what both mean."""
