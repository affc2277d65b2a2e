"""Alerts and days as ORU^R01 of HL7 v2, from the Observations that tell them. Pure.

What is told of a thing, in which codes and units, the Observations say that a FHIR
server would be told; here each value is one OBX, under one OBR for the thing. Of the
codes of a value the one is taken that the engine wants, LOINC or MDC.

What was told is noted, so that it can be taken back when the thing itself is gone, and
so that a value that is told no more is taken back as well.

Source: HL7 2.5.1 chapters 2, 3 and 7, tables 0085, 0123 and 0203; IHE Devices Technical
Framework, volume 2, appendix B.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..adapters.hl7v2.acknowledging import escape
from ..telling import PatientIdentity, ToldAs

LONGEST_CONTROL_ID = 20
"""Characters of MSH-10 in versions before 2.6."""
SYSTEMS = {
    "http://loinc.org": "LN",
    "urn:iso:std:iso:11073:10101": "MDC",
    "http://snomed.info/sct": "SCT",
}
WANTED = {"loinc": "http://loinc.org", "mdc": "urn:iso:std:iso:11073:10101"}
RESULT = {ToldAs.FINAL: "F", ToldAs.AMENDED: "C", ToldAs.ENTERED_IN_ERROR: "D"}
"""OBX-11."""
ORDER = {ToldAs.FINAL: "F", ToldAs.AMENDED: "C", ToldAs.ENTERED_IN_ERROR: "X"}
"""OBR-25."""
NULL = '""'
UNNAMED = "^^^^^^U"
"""PID-5 of a name that is not told."""
NO_STRUCTURE = ("2.3",)
"""Versions in which MSH-9 has two parts."""
NO_DEVICE = ("2.3", "2.3.1")
"""Versions without OBX-18."""
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Engine:
    """How one engine wants its messages."""

    version: str = "2.5.1"
    sending: tuple[str, str] = ("CDS-SERVICE", "")
    """Application and facility."""
    receiving: tuple[str, str] = ("", "")
    coding: str = "loinc"
    processing: str = "P"
    enhanced: bool = False
    """Whether it is asked to acknowledge in enhanced mode."""


@dataclass(frozen=True, slots=True)
class OruResult:
    """One OBX, as far as it is the same however it stands."""

    code: str
    """OBX-3."""
    part: str
    """OBX-4."""
    value: str = NULL
    unit: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class OruReport:
    """One OBR with what stands under it."""

    order: str
    """OBR-3."""
    service: str
    """OBR-4."""
    start: str
    end: str
    results: tuple[OruResult, ...]
    device: str = ""

    @property
    def digest(self) -> str:
        """Return what changes with anything that is told."""
        told = [self.order, self.service, self.start, self.end, self.device]
        parts = [
            [each.code, each.part, each.value, each.unit, each.method]
            for each in self.results
        ]
        return hashlib.sha256(json.dumps([told, parts]).encode()).hexdigest()

    def noted(self, control_id: str, identity: PatientIdentity) -> str:
        """Return what is noted of it, to take it back by, and of whom it was told.

        A link that was wrong is gone by then, and with it the number.
        """
        codes = [[each.code, each.part] for each in self.results]
        told = [control_id, self.order, self.service, self.start, self.end, codes]
        whose = [identity.mrn, identity.authority]
        return json.dumps([*told, *whose], separators=(",", ":"))


def control_id(*names: str) -> str:
    """Return MSH-10 of a telling: of the same always the same.

    It is the beginning of a digest of what tells the thing and its revision from all
    others, in the letters and digits of base32.
    """
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return base64.b32encode(digest).decode()[:LONGEST_CONTROL_ID]


def build_report(
    order: str, observations: Sequence[Json], device: str, coding: str
) -> OruReport | None:
    """Return what Observations of one thing tell; None where that is nothing."""
    if not observations:
        return None
    first = observations[0]
    results = tuple(_numbered(_results(observations, coding)))
    start, end = _period(first)
    service = _code(first["code"], coding)
    if not results:
        results = (OruResult(service, "1", "1"),)
    return OruReport(order, service, start, end, results, device)


def read_noted(text: str) -> tuple[OruReport, str, str]:
    """Return what was told, as it was noted: a report, the number, and whose it is."""
    _, order, service, start, end, codes, mrn, authority = json.loads(text)
    results = tuple(OruResult(code, part) for code, part in codes)
    return OruReport(order, service, start, end, results), mrn, authority


def build_message(
    report: OruReport,
    status: ToldAs,
    identity: PatientIdentity,
    engine: Engine,
    control: str,
    now: datetime,
    gone: Sequence[OruResult] = (),
) -> str:
    """Return the ORU^R01, its segments ended by carriage returns.

    Args:
        control: MSH-10.
        gone: What was told before, and is told no more.

    Raises:
        ValueError: if it is not valid in its version.
    """
    lines = [_msh(engine, control, now), _pid(identity), _obr(report, status, engine)]
    told = [(each, RESULT[status]) for each in report.results]
    told += [(each, RESULT[ToldAs.ENTERED_IN_ERROR]) for each in gone]
    for number, (result, letter) in enumerate(told, 1):
        lines.append(_obx(number, result, letter, report, engine))
    if report.device and engine.version in NO_DEVICE:
        lines.append(f"NTE|1|L|{escape(report.device)}")
    text = "\r".join(each.rstrip("|") for each in lines) + "\r"
    _expect_valid(text)
    return text


def _msh(engine: Engine, control: str, now: datetime) -> str:
    names = (*engine.sending, *engine.receiving)
    kind = "ORU^R01" if engine.version in NO_STRUCTURE else "ORU^R01^ORU_R01"
    modes = ["AL", "NE"] if engine.enhanced else ["", ""]
    told = ["MSH", "^~\\&", *map(escape, names), _stamp(now), "", kind, control]
    rest = [engine.processing, engine.version, "", "", *modes, "", "UNICODE UTF-8"]
    return "|".join([*told, *rest])


def _pid(identity: PatientIdentity) -> str:
    authority = escape(identity.authority)
    if _OID.fullmatch(identity.authority):
        authority = f"&{authority}&ISO"
    return f"PID|1||{escape(identity.mrn)}^^^{authority}^MR||{UNNAMED}"


def _obr(report: OruReport, status: ToldAs, engine: Engine) -> str:
    own = f"{escape(report.order)}^CDS-SERVICE"
    told = ["OBR", "1", "", own, report.service, "", "", report.start, report.end]
    quantity = ["", "1"] if engine.version in NO_STRUCTURE else []
    return "|".join([*told, *[""] * 16, ORDER[status], *quantity])


def _obx(
    number: int, result: OruResult, letter: str, report: OruReport, engine: Engine
) -> str:
    value = NULL if letter == "D" else result.value
    device = "" if engine.version in NO_DEVICE else escape(report.device)
    told = ["OBX", str(number), "NM", result.code, result.part, value, result.unit]
    rest = ["", "", "", "", letter, "", "", report.start, "", "", result.method]
    return "|".join([*told, *rest, device])


def _results(observations: Iterable[Json], coding: str) -> Iterator[OruResult]:
    for observation in observations:
        method = observation.get("method", {}).get("text", "")
        for part in (observation, *observation.get("component", ())):
            value, unit = "", ""
            if quantity := part.get("valueQuantity"):
                value = f"{quantity['value']}"
                text = escape(quantity.get("unit", ""))
                unit = f"{escape(quantity['code'])}^{text}^UCUM"
            elif "valueInteger" in part:
                value = str(part["valueInteger"])
            if value:
                told = f"^{escape(method)}" if method else ""
                yield OruResult(_code(part["code"], coding), "", value, unit, told)


def _numbered(results: Iterable[OruResult]) -> Iterator[OruResult]:
    """Yield the results, those of one code told apart by OBX-4."""
    seen: dict[str, int] = {}
    for each in results:
        code = each.code.split("^")[0]
        seen[code] = seen.get(code, 0) + 1
        part = str(seen[code])
        yield OruResult(each.code, part, each.value, each.unit, each.method)


def _code(concept: Json, coding: str) -> str:
    """A code as CE or CWE: the one that is wanted, else any that HL7 v2 knows."""
    text, known = concept.get("text", ""), concept.get("coding", [])
    by_system = {each["system"]: each["code"] for each in reversed(known)}
    for system in (WANTED[coding], *SYSTEMS):
        if system in by_system:
            return f"{escape(by_system[system])}^{escape(text)}^{SYSTEMS[system]}"
    own = known[-1]["code"] if known else "-".join(_WORD.findall(text.lower()))
    return f"{escape(own)}^{escape(text)}^L"


def _period(observation: Json) -> tuple[str, str]:
    period = observation.get("effectivePeriod")
    if period:
        return _dtm(period.get("start", "")), _dtm(period.get("end", ""))
    return _dtm(observation.get("effectiveDateTime", "")), ""


def _dtm(told: str) -> str:
    """A time of FHIR as HL7 v2 writes it; a date alone stays one."""
    if len(told) <= len("2026-11-22"):
        return told.replace("-", "")
    return _stamp(datetime.fromisoformat(told))


def _stamp(at: datetime) -> str:
    return f"{at:%Y%m%d%H%M%S%z}"


def _expect_valid(text: str) -> None:
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.exceptions import HL7apyException
    from hl7apy.parser import parse_message

    try:
        parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
    except HL7apyException as error:
        # What it says may quote the message.
        kind = type(error).__name__
        raise ValueError(f"not valid in this version of HL7: {kind}") from error


_OID = re.compile(r"[0-2](\.[0-9]+)+")
_WORD = re.compile(r"[a-z0-9]+")
