"""Demographics of a Patient in one flat row. Pure.

What was recorded is copied, not judged: a date stays in the form in which it came, and
an element of a shape that FHIR does not know leaves its cell empty rather than losing
the patient. A name that is over still names the patient where there is no other; an
address, phone or e-mail that is over reaches nobody and is left out.

Source: FHIR R4 "Patient", "HumanName", "Address", "ContactPoint".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

Element = Mapping[str, Any]

_NAME_USES = ("official", "usual")
_ADDRESS_USES = ("home", "temp", "work")
_PHONE_USES = ("home", "mobile", "work")
_OVER = ("old", "maiden")
_NO_HOME = ("billing",)
_LAST = 1_000_000
_CONTROLS = {code: " " for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


class NoPatientId(ValueError):
    """A Patient that cannot be told from others."""


@dataclass(frozen=True, slots=True)
class Demographics:
    """One patient; each value is one line of text, empty where nothing is recorded."""

    id: str
    prefix: str
    given: str
    """All given names, in order."""
    family: str
    suffix: str
    name_text: str
    """The whole name as one text, where it is recorded so."""
    birth_date: str
    """As recorded: a year, a month or a day."""
    gender: str
    """Administrative gender."""
    address_line_1: str
    address_line_2: str
    """The second line and all after it."""
    city: str
    state: str
    postal_code: str
    country: str
    phone: str
    email: str
    deceased: str
    """``true``, ``false`` or empty for not recorded."""
    deceased_date: str


COLUMNS = tuple(each.name for each in fields(Demographics))
"""In the order in which they are written."""


def read_demographics(patient: Element, today: date) -> Demographics:
    """Return the row of a Patient; *today* tells what is over.

    Raises NoPatientId.
    """
    patient_id = patient.get("id")
    if isinstance(patient_id, list) or not _joined(patient_id):
        raise NoPatientId
    name = choose_name(patient.get("name"), today)
    address = choose_address(patient.get("address"), today)
    lines = _texts(address.get("line"))
    deceased, deceased_date = _deceased(patient, today)
    return Demographics(
        id=_joined(patient_id),
        prefix=_joined(name.get("prefix")),
        given=_joined(name.get("given")),
        family=_joined(name.get("family")),
        suffix=_joined(name.get("suffix")),
        name_text=_joined(name.get("text")),
        birth_date=_joined(patient.get("birthDate")),
        gender=_joined(patient.get("gender")),
        address_line_1=lines[0] if lines else _joined(address.get("text")),
        address_line_2=", ".join(lines[1:]),
        city=_joined(address.get("city")),
        state=_joined(address.get("state")),
        postal_code=_joined(address.get("postalCode")),
        country=_joined(address.get("country")),
        phone=choose_contact(patient.get("telecom"), "phone", today),
        email=choose_contact(patient.get("telecom"), "email", today),
        deceased=deceased,
        deceased_date=deceased_date,
    )


def choose_name(names: Any, today: date) -> Element:
    """Return the official name, else the usual, else the first; past ones last."""

    def order(name: Element) -> tuple[bool, int]:
        return _is_over(name, today), _place(name.get("use"), _NAME_USES)

    return _first(_elements(names), order)


def choose_address(addresses: Any, today: date) -> Element:
    """Return where the patient lives now, else is to be found; none if all are over."""

    def order(address: Element) -> tuple[bool, int, bool]:
        unfit = address.get("use") in _NO_HOME
        postal = address.get("type") == "postal"
        return unfit, _place(address.get("use"), _ADDRESS_USES), postal

    current = [each for each in _elements(addresses) if not _is_over(each, today)]
    return _first(current, order)


def choose_contact(contacts: Any, system: str, today: date) -> str:
    """Return the phone number or e-mail address that the patient prefers."""

    def order(contact: Element) -> tuple[int, int]:
        rank = contact.get("rank")
        known = isinstance(rank, int) and not isinstance(rank, bool)
        place = _place(contact.get("use"), _PHONE_USES)
        return rank if known and rank is not None else _LAST, place

    current = [
        each
        for each in _elements(contacts)
        if each.get("system") == system
        and _joined(each.get("value"))
        and not _is_over(each, today)
    ]
    return _joined(_first(current, order).get("value"))


def _deceased(patient: Element, today: date) -> tuple[str, str]:
    moment = _joined(patient.get("deceasedDateTime"))
    day = moment[:10]
    ahead = day[:4].isdigit() and day > today.isoformat()[: len(day)]
    if moment and not ahead:
        return "true", moment
    said = patient.get("deceasedBoolean")
    word = str(said).lower()
    return (word if word in ("true", "false") else ""), moment


def _elements(value: Any) -> list[Element]:
    """The objects of a list; what is no list is taken for one of a single member."""
    return list(_each_element(value))


def _each_element(value: Any) -> Iterator[Element]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, Mapping):
            yield each
        elif isinstance(each, str) and _line(each):
            yield {"text": each}


def _first(
    elements: Sequence[Element], order: Callable[[Element], tuple[int, ...]]
) -> Element:
    return min(elements, key=order, default={})


def _place(use: Any, uses: Sequence[str]) -> int:
    return uses.index(use) if use in uses else len(uses)


def _is_over(element: Element, today: date) -> bool:
    if element.get("use") in _OVER:
        return True
    period = element.get("period")
    end = period.get("end") if isinstance(period, Mapping) else None
    if not isinstance(end, str) or not end.strip():
        return False
    # A month or a year that is not over yet compares as a prefix does.
    last_day = end.strip()[:10]
    return last_day < today.isoformat()[: len(last_day)]


def _joined(value: Any) -> str:
    return " ".join(_texts(value))


def _texts(value: Any) -> list[str]:
    """Every text in a value that may be one or many; numbers are taken for texts."""
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return []
    line = _line(str(value))
    return [line] if line else []


def _line(text: str) -> str:
    return " ".join(text.translate(_CONTROLS).split())
