"""The XML of Apple Health's export, element by element, in little memory. Pure.

Genuine files are no sound XML: iOS 16 wrote a document type that no parser takes, and
values hold control characters. All before ``<HealthData`` is dropped, with it every
entity that could be declared, and characters that XML does not have become blanks.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

ROOT = "<HealthData"
LONGEST_PROLOGUE = 4 * 1024 * 1024
"""Characters in which the root must come."""
LONGEST_TOKEN = 16 * 1024 * 1024
"""Characters without the end of a tag."""
CHUNK = 256 * 1024
"""Bytes of a good size to be given at a time."""


class BrokenExport(ValueError):
    """A file that is no export, or one that breaks off; the message says where."""


@dataclass(frozen=True, slots=True)
class Element:
    """One child of the root."""

    name: str
    attributes: dict[str, str]
    metadata: dict[str, str] = field(default_factory=dict)
    """Its own ``MetadataEntry`` children."""
    line: int = 0
    """Counted from the root."""


def read_elements(chunks: Iterable[bytes]) -> Iterator[Element]:
    """Yield the children of the root, in their order; what they hold in turn, not.

    Parts of a Correlation stand at the top level as well: below it they would be two.

    Raises:
        BrokenExport: at the place where it is no XML, or the end is missing.
    """
    reader = _Reader()
    for text in _from_root(_cleaned(chunks)):
        yield from reader.feed(text)
    yield from reader.finish()


class _Reader:
    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.depth = 0
        self.found: list[Element] = []
        self.open: Element | None = None

    def feed(self, text: str) -> list[Element]:
        self._parse(text, False)
        found, self.found = self.found, []
        return found

    def finish(self) -> list[Element]:
        self._parse("", True)
        found, self.found = self.found, []
        return found

    def _parse(self, text: str, last: bool) -> None:
        try:
            self.parser.Parse(text, last)
        except expat.ExpatError as error:
            why = expat.ErrorString(error.code) or "no XML"
            raise BrokenExport(f"line {error.lineno} after the root: {why}") from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth == 2:
            line = self.parser.CurrentLineNumber
            self.open = Element(name, attributes, {}, line)
        elif self.depth == 3 and name == "MetadataEntry" and self.open:
            self.open.metadata[attributes.get("key", "")] = attributes.get("value", "")

    def _end(self, name: str) -> None:
        if self.depth == 2 and self.open:
            self.found.append(self.open)
            self.open = None
        self.depth -= 1


def _cleaned(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the text up to the end of a tag each time, with XML's characters only."""
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    held = ""
    for chunk in chunks:
        held += decode(chunk)
        end = held.rfind(">") + 1
        if end:
            yield _with_known_characters(held[:end])
            held = held[end:]
        elif len(held) > LONGEST_TOKEN:
            raise BrokenExport("a tag has no end")
    yield _with_known_characters(held + decode(b"", True))


def _from_root(texts: Iterable[str]) -> Iterator[str]:
    before, begun = "", False
    for text in texts:
        if begun:
            yield text
            continue
        before += text
        at = before.find(ROOT)
        begun = at >= 0
        if begun:
            yield before[at:]
        elif len(before) > LONGEST_PROLOGUE:
            break
    if not begun:
        raise BrokenExport("there is no HealthData in it")


def _with_known_characters(text: str) -> str:
    return _REFERENCES.sub(_known_reference, text.translate(_BLANKS))


def _known_reference(found: re.Match[str]) -> str:
    number = int(found[1][1:], 16) if found[1][0] in "xX" else int(found[1])
    return found[0] if _is_character(number) else " "


def _is_character(number: int) -> bool:
    """Check if XML has it. Source: XML 1.0 section 2.2, ``Char``."""
    if number < 0x20:
        return number in (0x9, 0xA, 0xD)
    return number < 0xD800 or 0xE000 <= number < 0xFFFE or 0x10000 <= number < 0x110000


_REFERENCES = re.compile(r"&#([xX][0-9a-fA-F]{1,8}|[0-9]{1,9});")
_BLANKS = {
    each: " " for each in (*range(0x20), 0xFFFE, 0xFFFF) if not _is_character(each)
}
