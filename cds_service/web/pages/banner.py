"""Whose page it is: what every page of a session shows of the patient. Pure.

What is shown was read of the EHR when the session began and is kept with it, so that
no page can be about one patient and named after another. An EHR does not tell when its
user goes to another chart; that is why it says as well since when it has been open.

Source: SMART App Launch 2.2, ``need_patient_banner``; NHS "Patient banner" for what
tells patients apart.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ...fhir.demographics import read_demographics

YOUNG = 2
"""Years below which an age is told in months."""
NO_NAME = "Name not recorded"


@dataclass(frozen=True, slots=True)
class Banner:
    """What a page shows of its patient."""

    name: str
    facts: tuple[tuple[str, str], ...]
    """Label and value."""
    opened_at: datetime
    """In the zone of the site."""
    is_small: bool
    """The EHR shows the patient's identity beside the page."""
    notice: str = (
        "About the patient whose chart was open when this page was opened. It does not"
        " change when you open another chart."
    )

    @property
    def zone(self) -> str:
        """The zone in which times are told, by its name."""
        return str(self.opened_at.tzinfo)


def banner_context(
    patient: Mapping[str, Any], today: date, *, needs_banner: bool
) -> dict[str, Any]:
    """Return what a session keeps of its FHIR Patient, as plain data."""
    read = read_demographics(patient, today)
    given = [read.prefix, read.given, read.family, read.suffix]
    label, identifier = _identifier(patient.get("identifier"))
    return {
        "name": " ".join(filter(None, given)) or read.name_text,
        "birthDate": read.birth_date,
        "gender": read.gender,
        "identifier": identifier,
        "identifierLabel": label,
        "deceased": read.deceased == "true",
        "need_patient_banner": needs_banner,
    }


def build_banner(
    context: Mapping[str, Any], patient_id: str, opened_at: datetime, now: datetime
) -> Banner:
    """Return the banner of a session's pages.

    Args:
        patient_id: Shown where the record has no identifier of its own.
        opened_at: In the zone in which times are told, as *now*.
    """
    return Banner(
        context.get("name") or NO_NAME,
        tuple(_facts(context, patient_id, now.date())),
        opened_at,
        not context.get("need_patient_banner", True),
    )


def _facts(
    context: Mapping[str, Any], patient_id: str, today: date
) -> Iterator[tuple[str, str]]:
    born = context.get("birthDate") or ""
    age = tell_age(born, today)
    yield "Born", f"{tell_birth(born)} ({age})" if age else tell_birth(born)
    yield "Gender", context.get("gender") or "not recorded"
    label = context.get("identifierLabel") or "Identifier"
    identifier = context.get("identifier")
    yield (label, identifier) if identifier else ("Id", patient_id)
    if context.get("deceased"):
        yield "Deceased", "yes"


def tell_birth(born: str) -> str:
    """Return a date of birth as people read it; one of a month or a year as it is."""
    try:
        day = date.fromisoformat(born)
    except ValueError:
        return born or "not recorded"
    return f"{day.day} {day:%b} {day.year}"


def tell_age(born: str, today: date) -> str:
    """Return how old somebody is who was born on that day; empty where it is no day."""
    try:
        day = date.fromisoformat(born)
    except ValueError:
        return ""
    before = (today.month, today.day) < (day.month, day.day)
    years = today.year - day.year - before
    if years >= YOUNG:
        return f"{years} years"
    months = (today.year - day.year) * 12 + today.month - day.month
    months -= today.day < day.day
    return f"{months} {'month' if months == 1 else 'months'}" if months >= 0 else ""


def _identifier(identifiers: Any) -> tuple[str, str]:
    """Label and value of the first identifier: a medical record number, if there is."""
    found = []
    for each in identifiers if isinstance(identifiers, list) else ():
        value = each.get("value") if isinstance(each, Mapping) else None
        if isinstance(value, str) and value.strip() and each.get("use") != "old":
            found.append((_is_record_number(each), value.strip()))
    if not found:
        return "", ""
    is_mrn, value = max(found, key=lambda each: each[0])
    return "MRN" if is_mrn else "Identifier", value


def _is_record_number(identifier: Mapping[str, Any]) -> bool:
    """Whether it is typed ``MR``. Source: HL7 v2 table 0203."""
    type = identifier.get("type")
    codings = type.get("coding") if isinstance(type, Mapping) else None
    return any(
        isinstance(each, Mapping) and each.get("code") == "MR"
        for each in (codings if isinstance(codings, list) else ())
    )
