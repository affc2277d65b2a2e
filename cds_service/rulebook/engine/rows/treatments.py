"""The course of one medicine, read over all its orders and statements.

An order tells when it was written and, at best, for how long it is meant; whether the
patient takes the medicine follows from all of them. A later stop ends what an earlier
entry says, an order of which the supply ended long ago is no longer sure, and who gets
a medicine anew after months of it has not started. Where entries leave a gap, the start
is a range of time, and nothing is called new for the lack of an entry. What is to begin
tomorrow is not taken yet.

Source: FHIR R4 MedicationRequest.status, dispenseRequest, Timing.repeat.bounds[x];
MedicationStatement.status, effective[x], dateAsserted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from ....fhir.chart import Resource
from ....fhir.moments import EVER, Moment, parse_moment
from .problems import Ending, Times
from .readings import flag, reference_of
from .standing import Standing, intent_standing, statement_status, word_of
from .supplies import dosed_from, meant_until, renewed_by, supplied_until

GAP = "its orders leave a gap before the last start"
RENEWS = "it renews an order that is not here"


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
    reference: str = ""
    """``Type/id``."""
    renews: frozenset[str] = frozenset()
    """``Type/id`` of the orders that it renews; empty of one that is not named so."""


class Course(NamedTuple):
    """What all entries of a medicine together make of one of them."""

    standing: Standing
    since: Moment | None = None
    """When the medicine was started; a range where the entries leave a gap."""
    untimed: str = ""
    """Why that is a range, as a phrase."""


_OVER = (Says.STOPPED, Says.ENDED)


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
    until = meant_until(resource, began, zone)
    if resource.get("resourceType") == "MedicationRequest":
        says = _of_order(resource)
        names = reference_of(resource), frozenset(renewed_by(resource))
        changed = parse_moment(resource.get("statusChanged"), zone)
        if says is Says.STOPPED and changed:
            return MedicineEntry(says, product, began, changed, changed, True, *names)
        told = began
        if dosed_from(resource) is not None:
            told = parse_moment(resource.get("authoredOn"), zone) or began
        return MedicineEntry(says, product, began, until, told, False, *names)
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


def standing_now(
    standing: Standing, resource: Resource, began: Moment | None, times: Times
) -> Standing:
    """Return what the time of asking makes of a *standing* among what is current.

    Args:
        began: Its ``medication_moment``.
    """
    if standing is Standing.COUNTS and began and began.low - times.now > _CLOCKS:
        return Standing.NOT_BEGUN
    is_request = resource.get("resourceType") == "MedicationRequest"
    if standing is not Standing.DOES_NOT or not is_request:
        return standing
    if _of_order(resource) is not Says.USED_UP:
        return standing
    lasts = supplied_until(resource, began, times.zone)
    return Standing.SUPPLY_LASTS if lasts and lasts.low > times.now else standing


_CLOCKS = timedelta(minutes=5)
"""How far the clock of a record may be ahead of ours."""


def follow_alone(
    resource: Resource, began: Moment | None, standing: Standing, times: Times
) -> Course:
    """Return what an order or statement says of a medicine of which there is no other.

    Args:
        began: Its ``medication_moment``.
    """
    if standing in (Standing.DOES_NOT, Standing.UNCLEAR):
        return Course(standing)
    until = meant_until(resource, began, times.zone)
    if standing is Standing.COUNTS and _is_over(until, times):
        standing = Standing.SUPPLY_ENDED
    if began and any(True for _ in renewed_by(resource)):
        return Course(standing, Moment(EVER.low, began.high), RENEWS)
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
    entry: MedicineEntry


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
    references: frozenset[str]
    """Of all entries."""


_WAS_TAKEN = (Says.TAKEN, *_OVER, Says.USED_UP, Says.HELD)


def _arrange(entries: Sequence[MedicineEntry], times: Times) -> _Medicine:
    taken = [each for each in entries if each.says in _WAS_TAKEN]
    stops = [each for each in entries if each.says in _OVER and each.told]
    uses = [
        _Use(each.began, *_last(each, stops, times), each)
        for each in taken
        if each.began
    ]
    against = [
        (each.told, each)
        for each in entries
        if each.told
        and each.told.low - times.now <= _CLOCKS
        and (each.says in _OVER or each.says in _OPEN)
    ]
    said = (e.told.low for e in entries if e.says is Says.TAKEN and e.told)
    return _Medicine(
        sorted(against, key=lambda each: each[0].low, reverse=True),
        sorted(uses, key=lambda each: each.began.low, reverse=True),
        any(each.began is None for each in taken),
        max(said, default=EVER.low),
        times.reading.supply_grace.length,
        frozenset(each.reference for each in entries),
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
    renewed = entry.renews.union(*_renewed_beside(since, medicine))
    for use in medicine.uses:
        if use.began.low < since.low and _goes_on(use, since, renewed, medicine):
            since, renewed = use.began, renewed | use.entry.renews
    if not renewed <= medicine.references:
        return Course(standing, Moment(EVER.low, since.high), RENEWS)
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


def _renewed_beside(began: Moment, medicine: _Medicine) -> Iterator[frozenset[str]]:
    """What is renewed by entries that were written together with one."""
    for use in medicine.uses:
        if abs(use.began.low - began.low) <= _DAY:
            yield use.entry.renews


def _goes_on(
    use: _Use, since: Moment, renewed: frozenset[str], medicine: _Medicine
) -> bool:
    """Return whether what was taken since *since* continues an earlier use."""
    gap = since.low - use.end
    if gap <= (_DAY if use.stopped else medicine.grace):
        return True
    too_long = use.stopped and gap > medicine.grace
    return use.entry.reference in renewed and not too_long


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
