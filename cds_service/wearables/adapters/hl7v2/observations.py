"""HL7 v2: ORU^R01 of devices, monitors and integration engines, versions 2.3 to 2.6.

What an OBX is of, its LOINC or MDC code says, or a code of the vendor's own that the
site has named. It is of whoever PID-3 names; where nobody is named, which is usual for
devices, of whoever wears the device. Messages are kept apart by nothing that could be
relied on, so that a reading is the same if metric, device and time are.

What is no reading of a patient is left out and said: what a device marks as shown for
demonstration, tests or calibration, what it calls invalid, settings, sentinels.

Source: HL7 2.5.1 chapters 2, 3 and 7, tables 0078, 0085 and 0103; IHE Devices Technical
Framework, volume 2 (OBX of PCD-01); Philips, "IntelliVue HL7 programmer's guide" (MDIL:
partition and code of MDC in hexadecimal).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ....fhir.code_systems import canonical_system
from ....protocol.errors import Problem, Unprocessable
from ...metrics import Catalogue, Metric
from ...samples import (
    Device,
    Flag,
    Item,
    LeftOut,
    Removal,
    Sample,
    SourceWearer,
    microseconds,
)
from ..members import Sender
from ..reading import (
    LONGEST_ID,
    MILLISECONDS,
    Frame,
    NotTaken,
    Reader,
    open_reader,
    read_id,
    read_number,
    read_span,
)
from .messages import NULL, Message, Segment, parse_message, split_messages

FORMAT = "hl7v2"
RESULTS = ("ORU", "R01")
NOT_FOR_PATIENTS = {"T": "training", "D": "debugging"}
"""MSH-11 of what is no care. Source: table 0103."""
SENTINELS = frozenset({-999.0, -99.9, -100.0})
"""What devices tell where they have no number."""
DEMONSTRATED = frozenset({"DEMO", "TEST"})
DOUBTED = frozenset({"INV", "QUES", "NAV", "CALIB", "CAL", "OFF"})
"""OBX-8 of a number that is none, or that the device itself does not trust."""
BOUNDED = {"<": Flag.BELOW, "<=": Flag.BELOW, ">": Flag.ABOVE, ">=": Flag.ABOVE}
"""By a comparator, or by OBX-8: beyond what the device measures (table 0078)."""
TAKEN_BACK = ("D", "W")
NOT_THERE = ("X", "N", "I", "O")
"""OBX-11 of what was not measured, or not yet."""
BY_HAND = ("MMEAS", "MCALC")
SET = ("ASET", "MSET")
"""OBX-17 of what was set at the device, such as the limit of an alarm."""
NUMERIC = ("", "NM", "SN", "ST", "TX", "FT", "CQ", "IS")
"""OBX-2 of what may be a number; some devices tell all as text."""
SYSTEMS = {"LN": "http://loinc.org", "MDC": "urn:iso:std:iso:11073:10101"}
COUNTED = "1"
"""The unit of a number without one. Counts have none, and nothing else is read so."""


def adapt(body: Any, sender: Sender, catalogue: Catalogue) -> Iterator[Item]:
    """Yield what messages say.

    Args:
        body: Their text, as ``decode`` returns it.

    Raises:
        Unprocessable: if it is no message, or none is an ORU^R01.
    """
    reader = open_reader(FORMAT, sender, catalogue)
    texts = list(split_messages(body)) if isinstance(body, str) else []
    if not texts:
        raise Unprocessable(Problem("Must be a message of HL7 v2.", "$"))
    if len(texts) == 1:
        yield from _read(_results(texts[0]), "$", reader)
        return
    for index, text in enumerate(texts):
        path = f"$[{index}]"
        try:
            message = _results(text)
        except Unprocessable as error:
            yield LeftOut("malformed", Problem(error.problems[0].text, path))
            continue
        yield from _read(message, path, reader)


def _results(text: str) -> Message:
    message = parse_message(text)
    kind, event = message.kind
    if kind != RESULTS[0] or event not in (RESULTS[1], ""):
        raise Unprocessable(Problem("Must be an ORU^R01.", "$.MSH.9"))
    version = message.header.text(12)
    if version and not version.startswith("2."):
        raise Unprocessable(Problem("Must be of a version 2.", "$.MSH.12"))
    return message


def _read(message: Message, path: str, reader: Reader) -> Iterator[Item]:
    """Yield what a message says."""
    purpose = message.header.text(11)
    if purpose in NOT_FOR_PATIENTS:
        text = f"Is for {NOT_FOR_PATIENTS[purpose]}."
        yield LeftOut("demo", Problem(text, f"{path}.MSH.11"))
        return
    revision = _revision(message.header, reader)
    seen = set[tuple[Any, ...]]()
    wearer, order, device = _Wearer(), None, _sender_device(message.header)
    told, index = device, 0
    for segment in message.segments:
        if segment.name == "PID":
            wearer = _wearer(segment, f"{path}.PID.3")
        elif segment.name == "OBR":
            order, told = segment, device
        elif segment.name == "OBX":
            place = f"{path}.OBX[{index}]"
            index += 1
            try:
                told = _device(segment, told)
                known = _Observed(segment, order, wearer, told, revision, reader)
                yield from _once(known.items(place), seen)
            except NotTaken as error:
                yield error.left_out(place)


@dataclass(frozen=True, slots=True)
class _Wearer:
    """Who PID names, or why that cannot be used."""

    named: SourceWearer = SourceWearer()
    fault: LeftOut | None = None


def _wearer(segment: Segment, path: str) -> _Wearer:
    """Who PID-3 names: by the number that is marked as the hospital's, else any."""
    numbers = range(segment.repetitions(3))
    by_kind = sorted(numbers, key=lambda each: segment.text(3, 5, each) != "MR")
    for each in by_kind:
        number = segment.text(3, 1, each)
        if number and number != NULL:
            try:
                named = _identity(number, segment.subcomponents(3, 4, each))
            except NotTaken as error:
                return _Wearer(fault=LeftOut("wearer", Problem(error.text, path)))
            return _Wearer(SourceWearer(user=named))
    return _Wearer()


def _identity(number: str, authority: tuple[str, ...]) -> str:
    """A number with whose it is, as ``HOSP|12345``; the number alone where not told."""
    whose = next((each for each in authority if each not in ("", NULL, number)), "")
    return read_id(f"{whose}|{number}" if whose else number, "")


def _sender_device(header: Segment) -> Device:
    """The device that MSH-3 names where it is one that sends by itself."""
    if header.text(3, 3).upper().startswith("EUI"):
        return Device(header.text(3, 2)[:LONGEST_ID], header.text(3))
    return Device()


def _device(segment: Segment, before: Device) -> Device:
    """What OBX-18 names; else what was named above it.

    Devices tell themselves in an OBX without a value, and not again below it.
    """
    number = segment.text(18)
    if not number or number == NULL:
        return before
    whose = (segment.text(18, 2), segment.text(18, 3))
    try:
        return Device(_identity(number, whose))
    except NotTaken as error:
        raise NotTaken("malformed", error.text, "18") from error


def _once(items: Iterator[Item], seen: set[tuple[Any, ...]]) -> Iterator[Item]:
    """Yield the items; of several readings that would be one, the first."""
    for item in items:
        if isinstance(item, Sample):
            key = (item.metric, item.key, item.start, item.wearer)
            if key in seen:
                text = "Another OBX is of the same metric, device and time."
                item = LeftOut("other-kind", Problem(text, item.path))
            seen.add(key)
        yield item


def _revision(header: Segment, reader: Reader) -> int:
    """When the message was made, in milliseconds since 1970; 0 where not told."""
    try:
        at, _ = reader.time(_iso(header.text(7)), "")
    except NotTaken:
        return 0
    return max(microseconds(at), 0) // MILLISECONDS


@dataclass(frozen=True, slots=True)
class _Observed:
    """One OBX, and what it is told under."""

    segment: Segment
    order: Segment | None
    wearer: _Wearer
    device: Device
    revision: int
    reader: Reader

    def items(self, path: str) -> Iterator[Item]:
        """Yield what it says. Raises NotTaken with the reason where it says nothing."""
        metric, name = self._metric()
        self._expect_measured()
        if self.wearer.fault is not None:
            yield replace(self.wearer.fault)
            return
        frame = self._frame(metric)
        if self.segment.text(11).upper() in TAKEN_BACK:
            yield Removal(
                frame.wearer,
                metric.name,
                start=frame.start,
                end=frame.end,
                revision=self.revision,
                path=path,
            )
            return
        number, sign, written = self._value()
        frame = replace(frame, flags=frame.flags | self._bound(sign))
        place = f"{path}.5"
        for unit in self._units(written) or (metric.unit_of(FORMAT, name) or COUNTED,):
            item = self.reader.value(metric, number, unit, frame, place)
            if isinstance(item, Sample) or item.reason != "unit":
                break
        yield item

    def _metric(self) -> tuple[Metric, str]:
        """What it is of, and the vendor's own name of that, by which it was found."""
        catalogue = self.reader.catalogue
        for code, system in self._codes(3):
            known = SYSTEMS.get(system)
            found = (
                catalogue.metric_coded(canonical_system(known), code) if known else None
            )
            if found:
                return found, ""
            name = f"{system}|{code}" if system else code
            if found := self.reader.metric(name):
                return found, name
        raise NotTaken("other-kind", "No metric here has this code.", "3")

    def _codes(self, field: int) -> Iterator[tuple[str, str]]:
        """Code and system, and those that stand beside them."""
        for first in (1, 4):
            code = self.segment.text(field, first)
            system = self.segment.text(field, first + 2).upper()
            if code and code != NULL:
                yield (_from_mdil(code), "MDC") if system == "MDIL" else (code, system)

    def _expect_measured(self) -> None:
        """Raise NotTaken for what is no reading of anybody."""
        segment = self.segment
        marks = {
            segment.text(8, 1, each).upper() for each in range(segment.repetitions(8))
        }
        methods = segment.text(17).upper()
        if marks & DEMONSTRATED:
            raise NotTaken("demo", "Is marked as shown or tested.", "8")
        if methods in SET:
            raise NotTaken("other-kind", "Was set, and not measured.", "17")
        if segment.text(11).upper() in TAKEN_BACK:
            return
        if marks & DOUBTED:
            raise NotTaken("no-value", "The device does not call it valid.", "8")
        if segment.text(11).upper() in NOT_THERE:
            raise NotTaken("no-value", "Was not measured.", "11")
        if segment.text(2).upper() not in NUMERIC:
            raise NotTaken("other-kind", "No number with a unit.", "2")
        if segment.repetitions(5) > 1:
            raise NotTaken("other-kind", "Several values at one time.", "5")

    def _frame(self, metric: Metric) -> Frame:
        start, end, local = self._times(metric)
        by_hand = self.segment.text(17).upper() in BY_HAND
        return Frame(
            start,
            end,
            local,
            self.wearer.named,
            self.device,
            revision=self.revision,
            flags=Flag.MANUAL if by_hand else Flag(0),
        )

    def _times(self, metric: Metric) -> tuple[datetime, datetime, bool]:
        """OBX-14; of a sum the time of its order, if that has an end."""
        own, order = self.segment.text(14), self.order
        begin = order.text(7) if order else ""
        until = order.text(8) if order else ""
        ends = _tells(begin) and _tells(until) and until != begin
        if _tells(own) and not (metric.cumulative and ends):
            return self._moment(own, "14")
        if not _tells(begin):
            raise NotTaken("time", "Has no time, nor has its OBR.", "14")
        start, end, local = self._moment(begin, "OBR.7")
        if ends:
            _, end, _ = self._moment(until, "OBR.8")
        return *read_span(start, end, "OBR.8"), local

    def _moment(self, told: str, member: str) -> tuple[datetime, datetime, bool]:
        """Begin and end of a time: a day is the whole of it."""
        written = _iso(told)
        day = self.reader.day(written, member)
        if day:
            return *day, True
        at, local = self.reader.time(written, member)
        return at, at, local

    def _value(self) -> tuple[float, str, str]:
        """The number, how it bounds what was measured, and a unit beside it."""
        segment, kind = self.segment, self.segment.text(2).upper()
        first = segment.text(5)
        if not any(segment.text(5, each) not in ("", NULL) for each in (1, 2)):
            raise NotTaken("no-value", "Has no value.", "5")
        if kind == "SN":
            if segment.text(5, 3) or segment.text(5, 4):
                raise NotTaken("other-kind", "A range or a ratio, and no number.", "5")
            sign, told = first, segment.text(5, 2)
        else:
            found = _SIGNED.fullmatch(first)
            sign, told = (found[1], found[2]) if found else ("", first)
        try:
            number = read_number(told)
        except NotTaken as error:
            text = "Says something else than a number."
            raise NotTaken("no-value", text, "5") from error
        if number in SENTINELS:
            raise NotTaken("sentinel", "Stands for no reading.", "5")
        return number, sign, segment.text(5, 2) if kind == "CQ" else ""

    def _bound(self, sign: str) -> Flag:
        segment = self.segment
        marks = [segment.text(8, 1, each) for each in range(segment.repetitions(8))]
        for each in (sign, *marks):
            if each in BOUNDED:
                return BOUNDED[each]
        if sign not in ("", "="):
            raise NotTaken("sentinel", "Says what it is not, and no number.", "5")
        return Flag(0)

    def _units(self, written: str) -> tuple[str, ...]:
        """How the unit is spelled: codes before texts, each once."""
        codes = [code for code, _ in self._codes(6)]
        texts = [self.segment.text(6, each) for each in (2, 5)]
        found = dict.fromkeys(
            each for each in (*codes, *texts, written) if each and each != NULL
        )
        return tuple(found)


def _from_mdil(code: str) -> str:
    """The code of MDC that is written as ``0002-4182``."""
    found = _MDIL.fullmatch(code)
    return str(int(found[1] + found[2], 16)) if found else code


def _tells(time: str) -> bool:
    return time not in ("", NULL)


def _iso(told: str) -> str:
    """A time of HL7 as ISO 8601 writes it; as it is where it is none."""
    found = _TIME.fullmatch(told)
    if found is None:
        return told
    day = f"{found['year']}-{found['month']}-{found['day']}"
    if found["hour"] is None:
        return day
    clock = f"{found['hour']}:{found['minute']}:{found['second'] or '00'}"
    return f"{day}T{clock}{found['part'] or ''}{found['offset'] or ''}"


_TIME = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"(?:(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?(?P<part>\.\d{1,9})?"
    r" ?(?P<offset>[+-]\d{4})?)?",
    re.ASCII,
)
_SIGNED = re.compile(r"(<=|>=|<|>|=|)\s*([^<>=\s].*)")
_MDIL = re.compile(r"([0-9a-fA-F]{4})-([0-9a-fA-F]{4})")
