"""Why an observation, or one of its components, has no value.

What was not measured is no reading, and the one before it is still the newest. What was
measured and cannot be known is one: nobody may say that the one before it is newest.

Source: FHIR R4 Observation.dataAbsentReason, code system and extension
"data-absent-reason"; STU3 and DSTU2, which spell some codes otherwise; HL7 v3
NullFlavor, as it comes out of CDA documents.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from .readings import codings, is_misshapen, items, text_of

NOT_MEASURED = "not measured"
_NOT_KNOWN = "its value is not known"
_WITHHELD = "its value is withheld"
_ELSEWHERE = "its value is in words or in a form that was not sent"
_WRONG = "an error, or no number, in place of its value"
UNCLEAR = "why it has no value cannot be read"
CONTRADICTION = "a value, and a reason why there is none"
NOTHING_SAID = "no value, and no reason why there is none"

_REASONS: Mapping[str, str] = {
    # Nobody took a reading.
    "not-performed": NOT_MEASURED,
    "not-asked": NOT_MEASURED,
    "not-applicable": NOT_MEASURED,
    "asked-declined": NOT_MEASURED,
    # Who was asked knew of no reading.
    "asked-unknown": NOT_MEASURED,
    # By definition a value is expected to exist, or to be on its way.
    "unknown": _NOT_KNOWN,
    "temp-unknown": _NOT_KNOWN,
    "masked": _WITHHELD,
    "not-permitted": _WITHHELD,
    "unsupported": _ELSEWHERE,
    "as-text": _ELSEWHERE,
    "error": _WRONG,
    "not-a-number": _WRONG,
    "negative-infinity": _WRONG,
    "positive-infinity": _WRONG,
    # As DSTU2 and STU3 have it.
    "asked": NOT_MEASURED,
    "notasked": NOT_MEASURED,
    "temp": _NOT_KNOWN,
    "astext": _ELSEWHERE,
    "nan": _WRONG,
}
_NULL_FLAVORS: Mapping[str, str] = {
    "nask": NOT_MEASURED,
    "na": NOT_MEASURED,
    "asku": NOT_MEASURED,
    "unk": _NOT_KNOWN,
    "ni": _NOT_KNOWN,
    "nav": _NOT_KNOWN,
    "navu": _NOT_KNOWN,
    "msk": _WITHHELD,
    "oth": _ELSEWHERE,
    "unc": _ELSEWHERE,
    "inv": _WRONG,
    "ninf": _WRONG,
    "pinf": _WRONG,
}
_EXTENSION = "/structuredefinition/data-absent-reason"
_CONTENT = (
    "component",
    "hasMember",
    "related",
    "interpretation",
    "derivedFrom",
    "note",
    "comment",
    "comments",
)
"""What may tell of an observation that has no value of its own."""


def absence_of(holder: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """Why there is no value that could be used; empty where there may be one.

    ``NOT_MEASURED``, or else a constant phrase. *holder* is an observation, or a
    component of it, which without a word of its own shares the reason of the *whole*.
    """
    value = holder.get("valueQuantity")
    if type(value) is dict and value.get("value") is not None:
        if not ("dataAbsentReason" in holder or "extension" in value):
            return ""  # as nearly every observation has it
    reasons = list(_reasons(holder))
    if has_value(holder):
        return CONTRADICTION if reasons else ""
    if not reasons and holder is not whole:
        reasons = list(_reasons(whole)) if not has_value(whole) else []
    if not reasons:
        said = holder is not whole or any(holder.get(name) for name in _CONTENT)
        return "" if said else NOTHING_SAID
    measured = [each for each in reasons if each != NOT_MEASURED]
    return measured[0] if measured else NOT_MEASURED


def has_value(holder: Mapping[str, Any]) -> bool:
    """Whether an observation, or a component, says anything as its value."""
    return any(_says(value) for name, value in _values(holder) if name[0] != "_")


def _values(holder: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in holder.items():
        if name.startswith(("value", "_value")):
            yield name, value


def _says(value: Any) -> bool:
    """Whether a value is one; a unit alone is none, nor a reason in its place."""
    if not isinstance(value, dict):
        return value is not None and value != "" and value != []
    if _coded_reasons(value, alone=True):
        return False
    about = ("unit", "code", "system", "extension", "id")
    return any(
        name not in about and name[0] != "_" and member is not None
        for name, member in value.items()
    )


def _reasons(holder: Mapping[str, Any]) -> Iterator[str]:
    """What is said of why there is no value, in every place that has room for it."""
    written = holder.get("dataAbsentReason")
    if written is not None:
        yield from _coded_reasons(written) or [UNCLEAR]
    for _, value in _values(holder):
        if isinstance(value, dict):
            yield from _extended(value)
            number = value.get("_value")
            if isinstance(number, dict):
                yield from _extended(number)
            yield from _coded_reasons(value, alone=True)


def _extended(element: Mapping[str, Any]) -> Iterator[str]:
    for each in items(element.get("extension")):
        url = each.get("url") if isinstance(each, dict) else None
        if isinstance(url, str) and url.strip().lower().endswith(_EXTENSION):
            yield _REASONS.get(_plain(each.get("valueCode")), UNCLEAR)


def _coded_reasons(concept: Any, alone: bool = False) -> list[str]:
    """The reasons that a CodeableConcept names.

    *alone*: only those that certainly are reasons, for a place where other things may
    stand.
    """
    found = []
    for system, code, _ in codings(concept):
        named = system.lower()
        if named.endswith("nullflavor"):
            found.append(_NULL_FLAVORS.get(_plain(code), UNCLEAR))
        elif named.endswith("data-absent-reason"):
            found.append(_REASONS.get(_plain(code), UNCLEAR))
        elif not (named or alone) and _plain(code) in _REASONS:
            found.append(_REASONS[_plain(code)])
    if found or alone or is_misshapen(concept):
        return found
    words = _plain(concept.get("text")).replace(" ", "-")
    return [_REASONS[words]] if words in _REASONS else []


def _plain(code: Any) -> str:
    return text_of(code).strip().lower()
