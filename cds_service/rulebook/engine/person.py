"""What the Patient resource says: born when, of which sex, and whether alive.

What is written and cannot be true, or cannot be read, is unusable: a patient of 176
years is somebody whose age is not known.

Source: FHIR R4 Patient.birthDate, gender, deceased[x].
"""

import operator
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from ...fhir.chart import Resource
from ...fhir.moments import Moment, day_of, parse_moment
from ..values.intervals import Duration
from ..values.truth import Reason, ReasonKind, Unknown, Verdict, unknown
from .facts import CaseFacts, Predicate
from .rows.readings import flag, text_of

_SEXES = ("female", "male", "other")
_MODIFIER = "modifierExtension"
"""What changes the meaning of all the rest. Source: FHIR R4 "Modifier Extensions"."""


def age(comparison: str, length: Duration) -> Predicate:
    """Return whether the patient's age meets a limit, by the calendar."""
    held: Callable[[date, date], bool] = {
        "at_least": operator.le,
        "above": operator.lt,
        "below": operator.gt,
        "at_most": operator.ge,
    }[comparison]

    def predicate(case: CaseFacts) -> Verdict:
        if case.chart.patient is None:
            return _unread()
        born = birth(case)
        if isinstance(born, ReasonKind):
            return unknown([Reason(born, "patient")])
        answers = {held(length.shift(day), case.today) for day in born}
        if len(answers) == 1:
            return answers.pop()
        return unknown([Reason(ReasonKind.BOUNDARY, "patient")])

    return _once(f"age {comparison} {length.count!r} {length.unit}", predicate)


def _once(question: str, predicate: Predicate) -> Predicate:
    """The same, worked out once a case: every rule asks, and most ask the same."""

    def known(case: CaseFacts) -> Verdict:
        answer = case.of_patient.get(question)
        if answer is None:
            answer = case.of_patient[question] = predicate(case)
        return answer

    return known


OLDEST = 130
"""Years; the longest life that is on record is of 122."""


def birth_moment(patient: Resource, now: datetime, zone: tzinfo) -> Moment | None:
    """Return when a patient was born; None where no birth that can be true is recorded.

    What lies ahead, or makes the patient older than anybody, is none.
    """
    born = parse_moment(patient.get("birthDate"), zone)
    if born is None:
        return None
    today = day_of(now, zone)
    first, last = (day_of(each, zone) for each in born)
    ahead = first > today
    return None if ahead or last < earliest_birth(today) else born


@lru_cache(maxsize=8)
def earliest_birth(today: date) -> date:
    """The first day on which somebody who is not older than anybody may be born."""
    return Duration(OLDEST + 1, "year").shift(today, -1) + timedelta(days=1)


def birth(case: CaseFacts) -> tuple[date, date] | ReasonKind:
    """The first and the last day on which the patient may have been born.

    The kind of reason where it is not recorded, cannot be read, lies ahead, or would
    make the patient older than anybody.
    """
    patient = case.chart.patient or {}
    if patient.get("birthDate") is None:
        return ReasonKind.NOT_RECORDED
    if case.born is None or patient.get(_MODIFIER):
        return ReasonKind.UNUSABLE
    first, last = (day_of(each, case.zone) for each in case.born)
    return max(first, earliest_birth(case.today)), min(last, case.today)


def sex(allowed: Sequence[str]) -> Predicate:
    """Return whether the patient's administrative gender is one of those allowed."""

    def predicate(case: CaseFacts) -> Verdict:
        if case.chart.patient is None:
            return _unread()
        written = case.chart.patient.get("gender")
        gender = text_of(written).strip().lower()
        if written is None or gender == "unknown":
            return unknown([Reason(ReasonKind.NOT_RECORDED, "patient")])
        if gender not in _SEXES or case.chart.patient.get(_MODIFIER):
            return unknown([Reason(ReasonKind.UNUSABLE, "patient")])
        return gender in allowed

    return predicate


def alive() -> Predicate:
    """Return whether the patient is not recorded as deceased, by word or by date.

    Unknown where one is recorded that cannot be read, or a reason in its place, and
    where they contradict one another.
    """

    def predicate(case: CaseFacts) -> Verdict:
        patient = case.chart.patient
        if patient is None:
            return _unread()
        said = _answers(patient, case)
        if len(said) > 1 or None in said or patient.get(_MODIFIER):
            return unknown([Reason(ReasonKind.UNUSABLE, "patient")])
        return True not in said

    return _once("alive", predicate)


def _by_word(written: Any, case: CaseFacts) -> bool | None:
    return flag(written)


def _by_date(written: Any, case: CaseFacts) -> bool | None:
    """Check if a date of death is past; what is recorded of today has happened.

    None where it lies ahead: that cannot be true, and says nothing of today.
    """
    moment = parse_moment(written, case.zone)
    past = moment is not None and moment.low <= case.now
    return True if past else None


_DECEASED = {"deceasedBoolean": _by_word, "deceasedDateTime": _by_date}
_NOTHING = "nothing"


def _answers(patient: Resource, case: CaseFacts) -> set[bool | str | None]:
    """What each member says of a death; None where one cannot be read.

    One that FHIR does not have, such as ``deceasedDate``, was meant to say something.
    """
    said = {_answer(patient, name, read, case) for name, read in _DECEASED.items()} - {
        _NOTHING
    }
    others = (
        name
        for name, value in patient.items()
        if value is not None and name.lower().lstrip("_").startswith("deceased")
    )
    if any(name.lstrip("_") not in _DECEASED for name in others):
        said.add(None)
    return said


def _answer(
    patient: Resource,
    name: str,
    read: Callable[[Any, CaseFacts], bool | None],
    case: CaseFacts,
) -> bool | str | None:
    """Check if one member says that the patient died; None where it cannot be read."""
    instead = patient.get(f"_{name}")
    if patient.get(name) is None:
        return None if instead else _NOTHING
    answer = read(patient[name], case)
    return None if instead and answer is False else answer


def _unread() -> Unknown:
    return unknown([Reason(ReasonKind.NOT_READ, "patient", ("patient",))])
