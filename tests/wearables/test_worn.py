"""Of several that tell of one day, which one is read."""

from dataclasses import replace
from datetime import date

from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.summaries import DaySummary
from cds_service.wearables.worn import best_first

from .stretches import STEPS

KNOWN = Catalogue({"steps": replace(STEPS, priority=("garmin", "phone"))})
MEASURED = DaySummary("steps", date(2026, 11, 22), "Europe/Vienna", 1440)
GARMIN, PHONE, ANOTHER = (
    replace(MEASURED, source=each) for each in ("garmin", "phone", "another")
)


def first(*rows: DaySummary) -> list[str]:
    """The sources of one day, in the order in which they are read."""
    order = [each.source for each in best_first(rows, KNOWN)]
    assert order == [each.source for each in best_first(rows[::-1], KNOWN)]
    return order


def test_of_sums_of_a_day_the_highest_is_read() -> None:
    part = replace(MEASURED, total=412)
    whole, less = replace(PHONE, total=6120), replace(GARMIN, total=5800)

    assert first(part, whole, less) == ["phone", "garmin", ""]
    assert first(replace(MEASURED, total=6500), whole, less) == ["", "phone", "garmin"]


def test_what_was_measured_goes_before_what_sources_tell_of_the_day() -> None:
    values = [replace(each, mean=60) for each in (ANOTHER, PHONE, GARMIN, MEASURED)]

    assert first(*values) == ["", "garmin", "phone", "another"]


def test_of_sources_that_are_not_named_the_order_is_by_name() -> None:
    metric = replace(STEPS, priority=())
    rows = best_first([PHONE, GARMIN, ANOTHER], Catalogue({"steps": metric}))

    assert [each.source for each in rows] == ["another", "garmin", "phone"]
    assert best_first([PHONE, GARMIN], Catalogue()) == (GARMIN, PHONE)


def test_days_stand_in_their_order_whatever_is_told_of_them() -> None:
    later = replace(MEASURED, day=date(2026, 11, 23), total=9000)
    night = replace(MEASURED, part="night", total=9000)

    assert best_first([later, night, MEASURED], KNOWN) == (MEASURED, night, later)
