"""HL7 v2 as text: its characters, its messages, and their fields by number.

What devices and engines send is read as far as it can be: any delimiters that MSH
tells, any ends of segments, batches with or without their envelopes. The library
splits. What stands escaped is read here, since the library logs what it cannot read.

Source: HL7 2.5.1 chapter 2, sections 2.5 (fields), 2.7 (escapes), 2.10.3 (batches);
table 0211 (character sets).
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ....protocol.errors import Problem, Unprocessable

MOST_PARTS = 200_000
"""Delimiters in one message; a part takes a hundred bytes of memory or more."""
ENVELOPES = ("FHS", "BHS", "BTS", "FTS")
NULL = '""'
"""What a field holds that is told to be empty."""
CHARSETS = {
    "": "utf-8",
    "ASCII": "utf-8",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/3": "iso8859-3",
    "8859/4": "iso8859-4",
    "8859/5": "iso8859-5",
    "8859/6": "iso8859-6",
    "8859/7": "iso8859-7",
    "8859/8": "iso8859-8",
    "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
}
"""By what MSH-18 may say. Who says nothing writes ASCII, or it is UTF-8."""
USUAL = "iso8859-1"
"""Of what is told to be UTF-8 and is not: it has a character for every byte."""


def decode(raw: bytes) -> str:
    """Return messages as text, by the character set that the first of them tells.

    What MLLP puts around a message is left out. No byte is refused: readings are
    written in ASCII, and a name that is spelled wrongly is none of ours.
    """
    raw = raw.strip(b"\x0b\x1c\r\n\t ").removeprefix(codecs.BOM_UTF8)
    name = CHARSETS.get(_charset(raw), USUAL)
    try:
        return raw.decode(name)
    except UnicodeDecodeError:
        return raw.decode(USUAL if name == "utf-8" else name, "replace")


def _charset(raw: bytes) -> str:
    """What MSH-18 tells, of several sets the first."""
    start = raw.find(b"MSH")
    header = re.split(rb"[\r\n]", raw[max(start, 0) :], maxsplit=1)[0]
    separator = header[3:4]
    fields = header.split(separator) if separator else []
    told = fields[17] if len(fields) > 17 else b""
    first = re.split(rb"[~\\]", told)[0]
    return first.decode("ascii", "replace").strip().upper()


@dataclass(frozen=True, slots=True)
class Segment:
    """One line of a message, its fields by their numbers."""

    name: str
    _parts: Any
    """As the library splits it."""
    _escape: re.Pattern[str]
    _meant: dict[str, str]

    def text(self, field: int, component: int = 1, repetition: int = 0) -> str:
        """Return a component, without escapes; empty where there is none.

        Of a field that is told to be empty it is ``""``. Components count from 1,
        repetitions from 0.
        """
        parts = self._component(field, component, repetition)
        return self._plain(parts[0]) if parts else ""

    def subcomponents(
        self, field: int, component: int, repetition: int = 0
    ) -> tuple[str, ...]:
        """Return the parts of a component, such as of an authority."""
        return tuple(map(self._plain, self._component(field, component, repetition)))

    def repetitions(self, field: int) -> int:
        """Return how often a field is there."""
        return len(self._parts[field]) if field < len(self._parts) else 0

    def _component(self, field: int, component: int, repetition: int) -> Sequence[str]:
        if repetition >= self.repetitions(field):
            return ()
        held = self._parts[field][repetition]
        parts = [held] if isinstance(held, str) else held
        if component > len(parts):
            return ()
        found = parts[component - 1]
        return (found,) if isinstance(found, str) else tuple(map(str, found))

    def _plain(self, text: str) -> str:
        if self._meant["E"] not in text:
            return text.strip()
        return self._escape.sub(self._read_escape, text).strip()

    def _read_escape(self, found: re.Match[str]) -> str:
        told = found[1]
        if told in self._meant:
            return self._meant[told]
        if told.startswith(".br"):
            return "\n"
        if told.startswith("X"):
            try:
                return bytes.fromhex(told[1:]).decode("latin-1")
            except ValueError:
                return ""
        return ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message."""

    segments: tuple[Segment, ...]
    """The first is MSH; each as it is told."""

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    @property
    def kind(self) -> tuple[str, str]:
        """What it is and by which event, such as ORU and R01."""
        return self.header.text(9).upper(), self.header.text(9, 2).upper()


def split_messages(text: str) -> Iterator[str]:
    """Yield the text of each message, its segments parted by one carriage return."""
    lines: list[str] = []
    for line in re.split(r"[\r\n\x1c\x0b]+", text):
        line = line.strip(" \t\0")
        name = line[:3]
        if name == "MSH" and lines:
            yield "\r".join(lines)
            lines = []
        if name in ENVELOPES:
            continue
        if line and (lines or name == "MSH"):
            lines.append(line)
    if lines:
        yield "\r".join(lines)


def parse_message(text: str) -> Message:
    """Return a message that begins with MSH, split.

    Raises:
        Unprocessable: if it is none.
    """
    import hl7

    separators = text[3:8]
    if text[:3] != "MSH" or len(set(separators[:2])) < 2 or separators[0].isalnum():
        raise Unprocessable(Problem("Must begin with MSH and its delimiters.", "$"))
    if sum(text.count(each) for each in {*separators, "\r"}) > MOST_PARTS:
        raise Unprocessable(Problem("Has too many fields.", "$"))
    try:
        parsed = hl7.parse(text)
    except (hl7.HL7Exception, LookupError, ValueError, AssertionError) as error:
        raise Unprocessable(Problem("Cannot be split into fields.", "$")) from error
    field, component, repetition, part = (parsed.separators[n] for n in (1, 3, 2, 4))
    mark = parsed.esc
    meant = {"F": field, "S": component, "T": part, "R": repetition, "E": mark}
    quoted = re.escape(mark)
    escape = re.compile(rf"{quoted}([^{quoted}]{{0,200}}){quoted}")
    return Message(
        tuple(
            Segment(str(each[0]).strip().upper(), each, escape, meant)
            for each in parsed
        )
    )
