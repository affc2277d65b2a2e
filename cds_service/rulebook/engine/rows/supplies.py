"""From when and until when one order or statement says that a medicine is meant.

Source: FHIR R4 MedicationRequest.authoredOn, dispenseRequest, priorPrescription,
basedOn, Timing.repeat.bounds[x]; MedicationStatement.effective[x].
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from ....fhir.chart import Resource
from ....fhir.moments import EVER, Moment, parse_moment
from ...values.intervals import Duration
from .readings import items, length_of


def medication_moment(resource: Resource, zone: tzinfo) -> Moment | None:
    """Return when a medicine was started, as far as the record says."""
    if resource.get("resourceType") == "MedicationStatement":
        period = resource.get("effectivePeriod")
        start = period.get("start") if isinstance(period, dict) else None
        return parse_moment(start or resource.get("effectiveDateTime"), zone)
    dosed = dosed_from(resource)
    return parse_moment(resource.get("authoredOn") if dosed is None else dosed, zone)


def dosed_from(order: Resource) -> Any:
    """From when a dosage of an order is meant, as it is written; None if not said."""
    for dosage in items(order.get("dosageInstruction")):
        bounds: Any = dosage
        for member in ("timing", "repeat", "boundsPeriod", "start"):
            bounds = bounds.get(member) if isinstance(bounds, dict) else None
        if bounds is not None:
            return bounds
    return None


def meant_until(
    resource: Resource, began: Moment | None, zone: tzinfo
) -> Moment | None:
    """Return how long a medicine is meant, or went on.

    The end of a statement; of an order that of its dosages, else of what may be
    dispensed by it.
    """
    if resource.get("resourceType") != "MedicationRequest":
        return _end(resource.get("effectivePeriod"), zone)
    dosed = _dosed_until(resource, began, zone)
    if dosed:
        return dosed
    request = resource.get("dispenseRequest")
    if not isinstance(request, Mapping):
        return None
    found = [_end(request.get("validityPeriod"), zone), _supply(request, began, zone)]
    return max((each for each in found if each), key=_by_high, default=None)


def supplied_until(
    order: Resource, began: Moment | None, zone: tzinfo
) -> Moment | None:
    """Return how long what was dispensed by an order lasts; None if not said.

    Until when it may be dispensed says nothing of that.
    """
    request = order.get("dispenseRequest")
    supply = _supply(request, began, zone) if isinstance(request, Mapping) else None
    return _dosed_until(order, began, zone) or supply


def _dosed_until(order: Resource, began: Moment | None, zone: tzinfo) -> Moment | None:
    """The last end of the dosages, if each of them has one."""
    ends = [
        _bounds(each, began, zone) for each in items(order.get("dosageInstruction"))
    ]
    known = [end for end in ends if end]
    if not known or len(known) != len(ends):
        return None
    return max(known, key=_by_high)


def _by_high(moment: Moment) -> datetime:
    return moment.high


def _bounds(dosage: Any, began: Moment | None, zone: tzinfo) -> Moment | None:
    repeat: Any = dosage
    for member in ("timing", "repeat"):
        repeat = repeat.get(member) if isinstance(repeat, Mapping) else None
    if not isinstance(repeat, Mapping):
        return None
    length = repeat.get("boundsDuration", repeat.get("boundsQuantity"))
    span = repeat.get("boundsRange")
    if isinstance(span, Mapping):
        length = span.get("high")
    return _end(repeat.get("boundsPeriod"), zone) or _later(began, length, 1, zone)


def _supply(
    request: Mapping[str, Any], began: Moment | None, zone: tzinfo
) -> Moment | None:
    """Return when all that may be dispensed is used up, with the repeats it tells."""
    repeats = request.get("numberOfRepeatsAllowed")
    times = 1 + (repeats if type(repeats) is int and 0 < repeats < 1000 else 0)
    return _later(began, request.get("expectedSupplyDuration"), times, zone)


def _later(
    began: Moment | None, quantity: Any, times: int, zone: tzinfo
) -> Moment | None:
    length = length_of(quantity)
    if began is None or length is None:
        return None
    whole = Duration(length.count * times, length.unit)
    return Moment(whole.after(began.low, zone), whole.after(began.high, zone))


def _end(period: Any, zone: tzinfo) -> Moment | None:
    """The end of a period; a year 9999 is how some write that there is none."""
    end = parse_moment(period.get("end"), zone) if isinstance(period, Mapping) else None
    return end if end and end.low.year < EVER.high.year else None


def renewed_by(order: Resource) -> Iterator[str]:
    """Give ``Type/id`` of each order that an order renews or carries out.

    Empty is what a reference without one gives.
    """
    prior = order.get("priorPrescription")
    if prior is not None:
        yield _order_named(prior) or ""
    for each in items(order.get("basedOn")):
        named = _order_named(each)
        if named:
            yield named


def _order_named(reference: Any) -> str | None:
    """``MedicationRequest/id`` of a reference to one, wherever it stands."""
    written = reference.get("reference") if isinstance(reference, Mapping) else None
    parts = written.split("/") if isinstance(written, str) else []
    return "/".join(parts[-2:]) if _ORDER in parts[-2:-1] else None


_ORDER = "MedicationRequest"
