"""Which days are fetched: whole ones of the wearer's clock, each once."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cds_service.connect.planning import Errand, PullHabits, idle, plan, split
from cds_service.connect.vendors.google_fit import GOOGLE_FIT
from cds_service.connect.vendors.records import CivilDays, DataKind
from cds_service.store.grants.records import PullCursor, WantedInterval
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
"""In New York still the 22nd."""
LINK = WearerLink(
    "fit", PatientKey("north", "-", "p1"), NOW - timedelta(days=100), "u-7"
)
HABITS = PullHabits(again=2, before=3)


def kind(name: str, **changes: object) -> DataKind:
    found = GOOGLE_FIT.kind(name)
    assert found is not None
    return replace(found, **changes)  # type: ignore[arg-type]


STEPS, HEART = kind("steps"), kind("heart-rate", most_days=14)


def wanted(start: str, end: str, id: int = 1, name: str = "steps") -> WantedInterval:
    begin, finish = (datetime.fromisoformat(each) for each in (start, end))
    return WantedInterval(id, name, begin, finish, 0)


def planned(
    of: DataKind = STEPS,
    until: str = "",
    named: tuple[WantedInterval, ...] = (),
    link: WearerLink = LINK,
    habits: PullHabits = HABITS,
    now: datetime = NOW,
) -> list[tuple[str, str, str, int]]:
    """First and last day, where the cursor stands then, and how much was wanted."""
    cursor = PullCursor(of.name, date.fromisoformat(until) if until else None)
    return [
        (
            str(each.days.first),
            str(each.days.last),
            str(each.until or ""),
            len(each.wanted),
        )
        for each in plan(of, cursor, named, [link], NEW_YORK, habits, now)
    ]


def test_the_first_pull_goes_some_days_back_and_ends_with_the_last_whole_day() -> None:
    assert planned() == [
        ("2026-11-19", "2026-11-19", "2026-11-20", 0),
        ("2026-11-20", "2026-11-20", "2026-11-21", 0),
        ("2026-11-21", "2026-11-21", "2026-11-22", 0),
    ]


def test_what_is_no_total_of_a_day_is_fetched_of_today_as_well() -> None:
    assert planned(HEART) == [("2026-11-19", "2026-11-22", "2026-11-22", 0)]


def test_a_later_pull_fetches_some_days_once_more() -> None:
    assert [first for first, *_ in planned(until="2026-11-21")] == [
        *("2026-11-19", "2026-11-20", "2026-11-21"),
    ]


def test_a_pull_after_a_long_pause_goes_on_where_it_was() -> None:
    told = planned(HEART, until="2026-10-01")

    assert told[0] == ("2026-09-29", "2026-10-12", "2026-10-13", 0)
    assert told[-1][1:3] == ("2026-11-22", "2026-11-22")


def test_a_cursor_that_is_ahead_of_the_clock_does_not_leave_a_day_out() -> None:
    assert planned(until="2026-12-24")[0][0] == "2026-11-20"


def test_days_before_a_link_begins_and_after_it_ends_are_nobodys() -> None:
    noon = datetime(2026, 11, 20, 17, tzinfo=UTC)

    since = planned(link=replace(LINK, since=noon))
    until = planned(link=replace(LINK, until=noon))
    gone = planned(link=replace(LINK, retracted=noon))

    assert [first for first, *_ in since] == ["2026-11-20", "2026-11-21"]
    assert [first for first, *_ in until] == ["2026-11-19", "2026-11-20"]
    assert gone == []


def test_what_notifications_name_is_fetched_by_days_each_once() -> None:
    only = PullHabits(again=2, before=3, named_only=True)
    named = (
        wanted("2026-11-10T12:00:00+00:00", "2026-11-10T12:30:00+00:00", 1),
        wanted("2026-11-10T16:00:00+00:00", "2026-11-11T05:00:00+00:00", 2),
        wanted("2026-11-12T12:00:00+00:00", "2026-11-12T12:00:00+00:00", 3),
    )

    assert planned(named=named, habits=only) == [
        ("2026-11-10", "2026-11-10", "", 2),
        ("2026-11-12", "2026-11-12", "", 1),
    ]


def test_a_named_day_that_is_fetched_anyway_is_fetched_with_the_others() -> None:
    named = (wanted("2026-11-20T12:00:00+00:00", "2026-11-20T13:00:00+00:00"),)

    assert planned(named=named)[1] == ("2026-11-20", "2026-11-20", "2026-11-21", 1)
    assert len(planned(named=named)) == 3


def test_a_named_day_that_is_not_over_waits_where_only_whole_days_are_told() -> None:
    named = (wanted("2026-11-21T12:00:00+00:00", "2026-11-23T02:00:00+00:00"),)

    assert planned(named=named)[-1] == ("2026-11-21", "2026-11-21", "2026-11-22", 0)
    assert planned(HEART, named=named)[-1][-1] == 1


def test_the_day_on_which_clocks_change_is_a_day_as_any() -> None:
    now = datetime(2026, 11, 3, 12, tzinfo=UTC)
    cursor = PullCursor("steps", date(2026, 11, 3))

    told = plan(STEPS, cursor, (), [LINK], NEW_YORK, HABITS, now)

    lengths = [
        each.days.end.astimezone(UTC) - each.days.start.astimezone(UTC) for each in told
    ]
    assert lengths == [timedelta(hours=25), timedelta(hours=24)]


def parts_of(*permitted: int, until: str = "2026-11-05") -> list[tuple[str, str, bool]]:
    """Of the second to the fourth of November: last day, cursor, whether permitted."""
    days = CivilDays(date(2026, 11, 2), date(2026, 11, 4), NEW_YORK)
    named = (wanted("2026-11-04T12:00:00+00:00", "2026-11-04T13:00:00+00:00"),)
    errand = Errand(days, date.fromisoformat(until) if until else None, named)
    found = list(split(errand, lambda day: day.day in permitted))
    assert [bool(each.wanted) for each, _ in found] == [
        each.days.last.day == 4 for each, _ in found
    ]
    return [(str(e.days.last), str(e.until or ""), may) for e, may in found]


def test_days_are_asked_for_in_parts_as_their_patient_permits() -> None:
    assert parts_of(2, 3, 4) == [("2026-11-04", "2026-11-05", True)]
    assert parts_of() == [("2026-11-04", "2026-11-05", False)]
    assert parts_of(3) == [
        ("2026-11-02", "2026-11-03", False),
        ("2026-11-03", "2026-11-04", True),
        ("2026-11-04", "2026-11-05", False),
    ]
    assert parts_of(2, 3, until="")[0] == ("2026-11-03", "", True)


def test_what_is_named_of_days_that_nobody_wore_it_is_idle() -> None:
    early = wanted("2026-01-10T12:00:00+00:00", "2026-01-10T13:00:00+00:00")
    fine = wanted("2026-11-10T12:00:00+00:00", "2026-11-10T13:00:00+00:00", 2)

    assert idle([early, fine], [LINK], NEW_YORK) == (early,)
