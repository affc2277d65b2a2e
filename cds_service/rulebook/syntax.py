"""What a YAML parser's complaint means to a person who writes rules."""

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
    tab = _tab_before(text, offset)
    if tab is not None:
        message = "a tab stands where the line is indented"
        return Complaint(tab, "CDS006", message, "indent with spaces")
    for said, where, explain in _MEANINGS:
        if said in problem and where in context:
            message, help = explain
            at = began if began is not None and explain in _AT_BEGINNING else offset
            return Complaint(at, "CDS005", message, help)
    if "cannot start any token" in problem:
        return _reserved(text, offset)
    return Complaint(offset, "CDS005", f"this is not YAML: {problem}", "")


def _tab_before(text: str, offset: int) -> int | None:
    """The first tab in the indentation of the line that holds *offset*."""
    start = text.rfind("\n", 0, offset) + 1
    line = text[start:].split("\n", 1)[0]
    indentation = line[: len(line) - len(line.lstrip())]
    tab = indentation.find("\t")
    return start + tab if tab >= 0 else None


def _reserved(text: str, offset: int) -> Complaint:
    character = text[offset : offset + 1]
    message = f"a text cannot begin with `{character}` in YAML"
    if character == "`":
        message = "a text cannot begin with a backquote in YAML"
    return Complaint(offset, "CDS005", message, "put the text in quotes")


_COLON = (
    "a colon followed by a space cannot stand here",
    "put a text that holds `: ` in quotes; if this is a new key, indent it like its "
    "neighbours, and see that the line above has a space after its colon",
)
_UNCLOSED_QUOTE = ("the quotes that open here are not closed", "close them")
_UNCLOSED_LIST = (
    "the list that opens here is not closed, or a comma is missing in it",
    "close it with `]`, and part its items with commas",
)
_UNCLOSED_MAPPING = (
    "the braces that open here are not closed, or a comma is missing in them",
    "close them with `}`, and part the keys with commas",
)
_DASH = (
    "a list ends here without its last line being understood",
    "begin each item with `- `, all in the same column",
)
_KEY = (
    "a key was expected here",
    "check the indentation; text after a closing quote must stand within the quotes",
)
_NO_COLON = ("a key without a colon", "write `key: value`")
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
_CONTENT = ("a value is missing here, or a bracket is closed that was not opened", "")
_DASH_HERE = (
    "a list item cannot stand on this line",
    "begin the list on the next line, or put the text in quotes",
)
_END = ("the file goes on after its end was marked with `...`", "remove the `...`")
_DIRECTIVE = ("a line that begins with `%` cannot stand here", QUOTE_IT)
_TAG = ("`!` begins a YAML tag, and tags are not allowed", QUOTE_IT)

_AT_BEGINNING = [_UNCLOSED_QUOTE, _UNCLOSED_LIST, _UNCLOSED_MAPPING]

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
