"""Words out of a record, made inert: one visible line, and Markdown that shows it."""

import re
import unicodedata

RECORD_LIMIT = 200
"""Characters of free text from a record that are shown at a time."""


def shorten(text: str, limit: int) -> str:
    """One line of visible text, cut at a word and ended by … where it is too long."""
    line = _one_line(text)
    if len(line) <= limit:
        return line
    head = line[: limit - 1]
    if line[limit - 1] != " " and head.rfind(" ") > limit // 2:
        head = head[: head.rfind(" ")]
    return head.rstrip(" ,;:-") + "…"


def _one_line(text: str) -> str:
    if not text.isprintable():
        text = "".join(map(_visible, text))
    return " ".join(text.split())


def _visible(character: str) -> str:
    """The character, or what stands for it: controls and bidi marks go."""
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category == "Cs":  # half of a pair: could not be written as UTF-8
        return "\ufffd"
    if category == "Cc" or category == "Cf" and character not in _JOINERS:
        return ""
    return character


_JOINERS = "\u200c\u200d"
"""Zero-width joiners: part of the spelling in several scripts."""

_ACTIVE = re.compile(r"[\\`*_\[\]<>&~|!]")
_BREAKS_AUTOLINK = re.compile(r"@|:(?=//)|www(?=\.)", re.IGNORECASE)
_LINE_START = re.compile(r"[#\-+=:]|\d{1,9}(?=[.)](?:\s|$))")
_WORD_JOINER = "\u2060"


def escape_markdown(text: str) -> str:
    """Words out of a record as one line of Markdown that shows exactly them.

    Autolinks are found after backslashes and entities are undone, so an invisible
    word joiner breaks them. A line that begins ``:-`` makes a table of the line above.

    Source: GitHub Flavored Markdown 0.29, sections 2.4, 4, 5 and 6.9.
    """
    return _escaped(shorten(text, RECORD_LIMIT))


def inert(text: str) -> str:
    """Text of any length as one line of Markdown that shows exactly it."""
    return _escaped(_one_line(text))


def _escaped(line: str) -> str:
    escaped = _ACTIVE.sub(r"\\\g<0>", line)
    escaped = _BREAKS_AUTOLINK.sub(rf"\g<0>{_WORD_JOINER}", escaped)
    if start := _LINE_START.match(escaped):
        number = start[0].isdigit()
        at = start.end() if number else 0
        escaped = f"{escaped[:at]}\\{escaped[at:]}"
    return escaped
