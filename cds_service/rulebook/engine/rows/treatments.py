"""The course of one medicine, read over all its orders and statements.

An order tells when it was written and, at best, for how long it is meant; whether the
patient takes the medicine follows from all of them. A later stop ends what an earlier
entry says, an order of which the supply ended long ago is no longer sure, and who gets
a medicine anew after months of it has not started. Where entries leave a gap, the start
is a range of time, and nothing is called new for the lack of an entry.

Source: FHIR R4 MedicationRequest.status, dispenseRequest, Timing.repeat.bounds[x];
MedicationStatement.status, effective[x], dateAsserted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import Enum
from typing import Any, NamedTuple

from ....fhir.chart import Resource
from ....fhir.moments import EVER, Moment, parse_moment
from ...values.intervals import Duration
from .problems import Ending, Times
from .readings import flag, items, length_of
from .standing import Standing, intent_standing, statement_status, word_of

GAP = "its orders leave a gap before the last start"


class Says(Enum):
    """What an entry says of taking a medicine."""

    TAKEN = 1
    STOPPED = 2
    ENDED = 3
    """A statement that is completed, or past its end."""
    USED_UP = 4
    """An order that was carried out; what came after, it does not say."""
    NOT_TAKEN = 5
    HELD = 6
    """On hold, or not to be given."""
    NOTHING = 7
    """A plan, a draft, a mistake, or what cannot be read."""


class Product(NamedTuple):
    """What an entry calls its medicine."""

    codes: frozenset[tuple[str, str]] = frozenset()
    names: frozenset[str] = frozenset()
    """In lower case."""
    ingredients: frozenset[str] = frozenset()

    def is_medicine(self, other: "Product") -> bool:
        """Return whether both hold the same, in whichever strength."""
        return not (
            self.codes.isdisjoint(other.codes)
            and self.names.isdisjoint(other.names)
            and self.ingredients.isdisjoint(other.ingredients)
        )

    def is_product(self, other: "Product") -> bool:
        """Return whether both are certainly the same product.

        A code may be an ingredient's, so entries that are called otherwise are not.
        """
        if self.names and other.names:
            return not self.names.isdisjoint(other.names)
        return not self.codes.isdisjoint(other.codes)


@dataclass(frozen=True, slots=True)
class MedicineEntry:
    """One order or statement of a medicine."""

    says: Says
    product: Product
    began: Moment | None
    """From when; None where it does not say."""
    until: Moment | None
    """How long it is meant, or went on."""
    told: Moment | None
    """As of when it says so; of what is over its end, where that is known."""
    has_end: bool = False
    """Whether it tells when the medicine was stopped; few orders do."""


class Course(NamedTuple):
    """What all entries of a medicine together make of one of them."""

    standing: Standing
    since: Moment | None = None
    """When the medicine was started; a range where the entries leave a gap."""
    untimed: str = ""
    """Why that is a range, as a phrase."""


_OVER = (Says.STOPPED, Says.ENDED)


def medication_moment(resource: Resource, zone: tzinfo) -> Moment | None:
    """Return when a medicine was started, as far as the record says."""
    if resource.get("resourceType") == "MedicationStatement":
        period = resource.get("effectivePeriod")
        start = period.get("start") if isinstance(period, dict) else None
        return parse_moment(start or resource.get("effectiveDateTime"), zone)
    dosed = _dosed_from(resource)
    return parse_moment(resource.get("authoredOn") if dosed is None else dosed, zone)


def _dosed_from(order: Resource) -> Any:
    """From when a dosage of an order is meant, as it is written; None if not said."""
    for dosage in items(order.get("dosageInstruction")):
        bounds: Any = dosage
        for member in ("timing", "repeat", "boundsPeriod", "start"):
            bounds = bounds.get(member) if isinstance(bounds, dict) else None
        if bounds is not None:
            return bounds
    return None


def without_start(resource: Resource) -> str:
    """Return what is missing where no record says when a medicine was started."""
    said = (
        "authoredOn" in resource
        or "effectiveDateTime" in resource
        or "effectivePeriod" in resource
    )
    return "" if said else "start not recorded"


def read_entry(
    resource: Resource, product: Product, began: Moment | None, times: Times
) -> MedicineEntry:
    """Return what a MedicationRequest or MedicationStatement says of its medicine.

    Args:
        began: Its ``medication_moment``.
    """
    zone = times.zone
    until = _until(resource, began, zone)
    if resource.get("resourceType") == "MedicationRequest":
        says = _of_order(resource)
        changed = parse_moment(resource.get("statusChanged"), zone)
        if says is Says.STOPPED and changed:
            return MedicineEntry(says, product, began, changed, changed, has_end=True)
        told = began
        if _dosed_from(resource) is not None:
            told = parse_moment(resource.get("authoredOn"), zone) or began
        return MedicineEntry(says, product, began, until, told)
    status = statement_status(resource, word_of(resource.get("status")))
    says = _STATEMENTS.get(status, Says.NOTHING)
    if says is Says.TAKEN and until and until.high < times.now:
        says = Says.ENDED
    asserted = parse_moment(resource.get("dateAsserted"), zone)
    told = (until if says in _OVER else None) or asserted or began
    return MedicineEntry(says, product, began, until, told, has_end=says in _OVER)


_WORDS: Mapping[Says, str] = {
    Says.STOPPED: "stopped",
    Says.ENDED: "ended",
    Says.USED_UP: "completed",
    Says.NOT_TAKEN: "recorded as not taken",
}


def medicine_ending(entry: MedicineEntry) -> Ending | None:
    """Return how an entry says that its medicine is not taken any more, if it does.

    An order seldom tells when it was stopped, and an end that was planned is none.
    """
    word = _WORDS.get(entry.says)
    if word is None:
        return None
    if entry.has_end:
        return Ending(word, entry.until)
    ordered = entry.began if entry.says in _BY_ORDER else None
    return Ending(word, None, ordered)


_BY_ORDER = (Says.STOPPED, Says.USED_UP)
"""What an order without a day of its end says."""
_ORDERS: Mapping[str, Says] = {
    "active": Says.TAKEN,
    "on-hold": Says.HELD,
    "stopped": Says.STOPPED,
    "completed": Says.USED_UP,
    "ended": Says.USED_UP,
}
_STATEMENTS: Mapping[str, Says] = {
    "active": Says.TAKEN,
    "on-hold": Says.HELD,
    "stopped": Says.STOPPED,
    "completed": Says.ENDED,
    "not-taken": Says.NOT_TAKEN,
}


def _of_order(resource: Resource) -> Says:
    says = _ORDERS.get(word_of(resource.get("status")), Says.NOTHING)
    not_to_give = flag(resource.get("doNotPerform"))
    if not_to_give:
        return Says.HELD if says in (Says.TAKEN, Says.HELD) else Says.NOTHING
    if says is Says.NOTHING or not_to_give is None:
        return Says.NOTHING
    return says if intent_standing(resource) is Standing.COUNTS else Says.NOTHING


def _until(resource: Resource, began: Moment | None, zone: tzinfo) -> Moment | None:
    """Return how long a medicine is meant, or went on.

    The end of a statement; of an order that of its dosages, else of what may be
    dispensed by it.
    """
    if resource.get("resourceType") != "MedicationRequest":
        return _end(resource.get("effectivePeriod"), zone)
    ends = [
        _bounds(each, began, zone) for each in items(resource.get("dosageInstruction"))
    ]
    known = [end for end in ends if end]
    if known and len(known) == len(ends):
        return max(known, key=lambda end: end.high)
    request = resource.get("dispenseRequest")
    if not isinstance(request, Mapping):
        return None
    supply = _supply(request, began, zone)
    found = [_end(request.get("validityPeriod"), zone), supply]
    return max((each for each in found if each), key=lambda e: e.high, default=None)


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


def follow_alone(
    resource: Resource, began: Moment | None, standing: Standing, times: Times
) -> Course:
    """Return what an order or statement says of a medicine of which there is no other.

    Args:
        began: Its ``medication_moment``.
    """
    if standing in (Standing.DOES_NOT, Standing.UNCLEAR):
        return Course(standing)
    until = _until(resource, began, times.zone)
    if standing is Standing.COUNTS and _is_over(until, times):
        standing = Standing.SUPPLY_ENDED
    return Course(standing, began)


def follow(
    entries: Sequence[MedicineEntry], standings: Sequence[Standing], times: Times
) -> list[Course]:
    """Return what all entries make of each, which by itself has one of *standings*."""
    medicines: dict[Product, _Medicine] = {}
    courses = []
    for entry, standing in zip(entries, standings, strict=True):
        if standing in (Standing.DOES_NOT, Standing.UNCLEAR):
            courses.append(Course(standing))
            continue
        medicine = medicines.get(entry.product)
        if medicine is None:
            medicine = _arrange(same_medicine(entry, entries), times)
            medicines[entry.product] = medicine
        courses.append(_follow(entry, standing, medicine, times))
    return courses


def same_medicine(
    entry: MedicineEntry, entries: Iterable[MedicineEntry]
) -> list[MedicineEntry]:
    """Those of *entries* that are of the medicine of *entry*."""
    return [each for each in entries if each.product.is_medicine(entry.product)]


class _Use(NamedTuple):
    """From when and until when a medicine was taken by one entry."""

    began: Moment
    end: datetime
    stopped: bool
    """Whether it was stopped then; otherwise it may have gone on."""


@dataclass(frozen=True, slots=True)
class _Medicine:
    """All entries of one medicine, as they are asked for each of them."""

    against: Sequence[tuple[Moment, MedicineEntry]]
    """What may speak against an earlier entry, and as of when, the newest first."""
    uses: Sequence[_Use]
    """When it was taken, the newest first."""
    undated: bool
    """Whether it was taken at a time that is not recorded."""
    taken_again: datetime
    """As of when it was last said to be taken."""
    grace: timedelta
    """How long a supply is stretched."""


_WAS_TAKEN = (Says.TAKEN, *_OVER, Says.USED_UP, Says.HELD)


def _arrange(entries: Sequence[MedicineEntry], times: Times) -> _Medicine:
    taken = [each for each in entries if each.says in _WAS_TAKEN]
    stops = [each for each in entries if each.says in _OVER and each.told]
    uses = [
        _Use(each.began, *_last(each, stops, times)) for each in taken if each.began
    ]
    against = [
        (each.told, each)
        for each in entries
        if each.told and (each.says in _OVER or each.says in _OPEN)
    ]
    said = (e.told.low for e in entries if e.says is Says.TAKEN and e.told)
    return _Medicine(
        sorted(against, key=lambda each: each[0].low, reverse=True),
        sorted(uses, key=lambda each: each.began.low, reverse=True),
        any(each.began is None for each in taken),
        max(said, default=EVER.low),
        times.reading.supply_grace.length,
    )


def _follow(
    entry: MedicineEntry, standing: Standing, medicine: _Medicine, times: Times
) -> Course:
    open_still = Standing.COUNTS
    for told, other in medicine.against:
        if entry.told is None or told.low <= entry.told.high:
            break
        said = _against(entry, other)
        if said is Standing.DOES_NOT:
            return Course(said)
        # What was said before the medicine was taken again is past.
        if open_still is Standing.COUNTS and told.high >= medicine.taken_again:
            open_still = said
    if open_still is Standing.COUNTS and _is_over(entry.until, times):
        open_still = Standing.SUPPLY_ENDED
    if standing is Standing.COUNTS:
        standing = open_still
    return _begun(standing, entry, medicine)


def _is_over(until: Moment | None, times: Times) -> bool:
    """Return whether what an order was meant for ended long ago."""
    return until is not None and (
        times.now - until.high > times.reading.supply_grace.length
    )


_OPEN: Mapping[Says, Standing] = {
    Says.USED_UP: Standing.LATER_COMPLETED,
    Says.NOT_TAKEN: Standing.LATER_NOT_TAKEN,
    Says.HELD: Standing.LATER_HELD,
}


def _against(entry: MedicineEntry, other: MedicineEntry) -> Standing:
    """Return what a later entry that speaks against one makes of it."""
    if other.says in _OPEN:
        return _OPEN[other.says]
    # A renewal is often written before the planned end of what it renews.
    planned = other.says is Says.ENDED and other.began != other.told
    told, began = entry.told, other.began
    renews = planned and told and began and told.low > began.high
    if entry.product.is_product(other.product) and not renews:
        return Standing.DOES_NOT
    return Standing.LATER_STOPPED


def _begun(standing: Standing, entry: MedicineEntry, medicine: _Medicine) -> Course:
    """The course with the start of the medicine, as far back as its entries reach."""
    if entry.began is None:
        return Course(standing)
    since = entry.began
    for use in medicine.uses:
        most = _DAY if use.stopped else medicine.grace
        if use.began.low < since.low and since.low - use.end <= most:
            since = use.began
    earliest = since.low
    for use in medicine.uses:
        if use.began.low < since.low:
            if use.stopped and since.low - use.end > medicine.grace:
                break  # what came after was a new start
            earliest = use.began.low
    if medicine.undated:
        earliest = EVER.low
    if earliest == since.low:
        return Course(standing, since)
    return Course(standing, Moment(earliest, since.high), GAP)


_DAY = timedelta(days=1)


def _last(
    entry: MedicineEntry, stops: Iterable[MedicineEntry], times: Times
) -> tuple[datetime, bool]:
    """Until when a medicine was taken by an entry that tells when it began.

    With that, whether it was stopped then.
    """
    assert entry.began is not None and entry.told is not None
    if entry.has_end:
        return entry.told.low, True
    later = [
        (each.told.low, each.has_end)
        for each in stops
        if each.told is not None
        and entry.told.high < each.told.low
        and entry.product.is_product(each.product)
    ]
    if later:
        return min(later)
    if entry.says is Says.TAKEN and not _is_over(entry.until, times):
        return times.now, False
    if entry.until:
        return entry.until.low, False
    if entry.says is Says.USED_UP:
        lasted = times.reading.completed_order
        return lasted.after(entry.began.low, times.zone), False
    return entry.began.low, False
