"""What one order or statement says of taking a medicine, and several in a row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir.moments import EVER, Moment
from cds_service.rulebook.engine.rows.problems import Ending, Times
from cds_service.rulebook.engine.rows.standing import Standing, medication_standing
from cds_service.rulebook.engine.rows.supplies import (
    medication_moment,
    supplied_until,
)
from cds_service.rulebook.engine.rows.treatments import (
    Course,
    MedicineEntry,
    Product,
    Says,
    follow,
    follow_alone,
    medicine_ending,
    read_entry,
    standing_now,
    without_start,
)

from .medicines import GAP, RENEWS, bounds, order, period, statement, supply

# What one entry says


ZONE = ZoneInfo("America/New_York")
TIMES = Times(datetime(2026, 11, 22, 12, 0, tzinfo=UTC), ZONE)


HUNDRED = Product(
    frozenset({("rxnorm", "866414")}),
    frozenset({"metoprolol 100 mg"}),
    frozenset({"metoprolol"}),
)
FIFTY = HUNDRED._replace(
    codes=frozenset({("rxnorm", "866427")}), names=frozenset({"metoprolol 50 mg"})
)


def read(
    entry: dict[str, Any], product: Product = HUNDRED, times: Times = TIMES
) -> MedicineEntry:
    return read_entry(entry, product, medication_moment(entry, ZONE), times)


def courses(
    *entries: tuple[dict[str, Any], Product] | dict[str, Any], times: Times = TIMES
) -> list[Course]:
    """What becomes of each; of the hundred milligrams where nothing else is said."""
    named = [each if isinstance(each, tuple) else (each, HUNDRED) for each in entries]
    standings = [
        medication_standing(entry, "current", times.now, ZONE) for entry, _ in named
    ]
    return follow([read(*each, times) for each in named], standings, times)


def day(year: int, month: int, day: int) -> Moment:
    """A day of the site's calendar."""
    start = datetime(year, month, day, tzinfo=ZONE)
    last = datetime(year, month, day, 23, 59, 59, 999999, tzinfo=ZONE)
    return Moment(start.astimezone(UTC), last.astimezone(UTC))


def test_two_stops_of_one_day_are_as_one() -> None:
    stop = statement("2026-06-01", "stopped")

    taken, *_ = courses(order("2025-01-10"), stop, (stop, FIFTY))

    assert taken.standing is Standing.DOES_NOT


def test_supplies_that_follow_on_one_another_reach_back_to_the_first() -> None:
    used_up = [
        order(each, "completed", **supply(30)) for each in ("2026-01-10", "2026-05-01")
    ]

    *_, last = courses(*used_up, order("2026-08-25"))

    assert last == Course(Standing.COUNTS, day(2026, 1, 10))


def test_an_order_on_hold_stays_on_hold_whatever_was_completed_later() -> None:
    held, _ = courses(order("2025-01-10", "on-hold"), order("2026-06-01", "completed"))

    assert held.standing is Standing.ON_HOLD


def test_what_was_said_before_a_medicine_was_taken_again_is_past() -> None:
    not_taken = statement("2026-03-01", taken="n")

    first, _, again = courses(order("2025-01-10"), not_taken, order("2026-06-01"))
    before, _ = courses(order("2025-01-10"), not_taken)

    assert (first.standing, again.standing) == (Standing.COUNTS, Standing.COUNTS)
    assert before.standing is Standing.LATER_NOT_TAKEN


def test_of_two_later_doubts_the_newer_one_is_said() -> None:
    not_taken, held = statement("2026-03-01", taken="n"), order("2026-05-01", "on-hold")

    at = "2026-06-01T10:00:00Z"
    first, *_ = courses(order("2025-01-10"), statement(at, taken="n"), order(at))
    assert first.standing is Standing.LATER_NOT_TAKEN

    for others in ((not_taken, held), (held, not_taken)):
        first, *_ = courses(order("2025-01-10"), *others)
        assert first.standing is Standing.LATER_HELD


def test_a_medicine_ends_with_a_later_stop_of_the_same_product_alone() -> None:
    old, new = order("2025-01-10"), order("2026-08-01")
    stopped = order("2025-03-01", "stopped", statusChanged="2025-06-01")
    before = statement("2024-06-01", "stopped")

    def since(*entries: Any) -> Moment | None:
        return courses(*entries)[-1].since

    at = "2025-01-10T10:00:00Z"
    began = datetime(2025, 1, 10, 10, 0, tzinfo=UTC)

    assert since(old, stopped, new) == day(2026, 8, 1)
    at_once = since(order(at), statement(at, "stopped"), new)
    assert at_once == Moment(began, began)
    assert since(old, before, new) == day(2025, 1, 10)
    assert since(old, (stopped, FIFTY), new) == day(2025, 1, 10)


def test_a_completed_order_lasts_a_year_of_the_sites_calendar() -> None:
    later = Times(datetime(2027, 3, 1, 12, 0, tzinfo=UTC), ZONE)
    used_up = order("2025-11-02", "completed")  # the day on which summer time ends

    *_, last = courses(used_up, order("2027-01-31"), times=later)
    *_, after = courses(used_up, order("2027-02-01"), times=later)

    assert last == Course(Standing.COUNTS, day(2025, 11, 2))
    assert after.untimed == GAP


def test_an_order_for_next_month_goes_on_with_what_is_taken_now() -> None:
    ahead = order("2026-11-01", **bounds(boundsPeriod=period("2026-12-20")))

    *_, next_one = courses(order("2026-08-10"), ahead)

    assert next_one.since == day(2026, 8, 10)


JAN, JUN = day(2026, 1, 10), day(2026, 6, 1)


@pytest.mark.parametrize(
    ("entry", "says", "began", "until", "told", "has_end"),
    [
        (order("2026-01-10"), Says.TAKEN, JAN, None, JAN, False),
        (
            order("2026-01-10", "stopped", statusChanged="2026-06-01", **supply(30)),
            Says.STOPPED,
            JAN,
            JUN,
            JUN,
            True,
        ),
        (
            order("2026-01-10", "stopped", **supply(30)),
            Says.STOPPED,
            JAN,
            day(2026, 2, 9),
            JAN,
            False,
        ),
        (
            order("2026-01-10", statusChanged="2026-06-01"),
            Says.TAKEN,
            JAN,
            None,
            JAN,
            False,
        ),
        # Written in January, to be taken from June on.
        (
            order("2026-01-10", **bounds(boundsPeriod=period("2026-06-01"))),
            Says.TAKEN,
            JUN,
            None,
            JAN,
            False,
        ),
        (
            order(None, **bounds(boundsPeriod=period("2026-06-01"))),
            Says.TAKEN,
            JUN,
            None,
            JUN,
            False,
        ),
        (
            order("2026-01-10", **bounds(boundsPeriod="from June on")),
            Says.TAKEN,
            JAN,
            None,
            JAN,
            False,
        ),
        (
            order("2026-01-10", dosageInstruction="once a day"),
            Says.TAKEN,
            JAN,
            None,
            JAN,
            False,
        ),
        (statement("2026-01-10"), Says.TAKEN, JAN, None, JAN, False),
        (
            statement("2026-01-10", dateAsserted="2026-06-01"),
            Says.TAKEN,
            JAN,
            None,
            JUN,
            False,
        ),
        (
            statement(None, effectivePeriod=period("2026-01-10", "2026-06-01")),
            Says.ENDED,
            JAN,
            JUN,
            JUN,
            True,
        ),
        (
            statement(
                None,
                effectivePeriod=period("2026-01-10", "2027-06-01"),
                dateAsserted="2026-06-01",
            ),
            Says.TAKEN,
            JAN,
            day(2027, 6, 1),
            JUN,
            False,
        ),
        (
            statement("2026-01-10", "stopped", dateAsserted="2026-06-01"),
            Says.STOPPED,
            JAN,
            None,
            JUN,
            True,
        ),
        (
            statement(
                None, effectivePeriod=period("2026-01-10", "2026-11-22T12:00:00Z")
            ),
            Says.TAKEN,
            JAN,
            Moment(TIMES.now, TIMES.now),
            JAN,
            False,
        ),
        (statement(None), Says.TAKEN, None, None, None, False),
    ],
    ids=str,
)
def test_an_entry_says_from_when_until_when_and_as_of_when(
    entry: dict[str, Any],
    says: Says,
    began: Moment | None,
    until: Moment | None,
    told: Moment | None,
    has_end: bool,
) -> None:
    found = replace(read(entry), reference="")
    assert found == MedicineEntry(says, HUNDRED, began, until, told, has_end)


NAMED = {"reference": "MedicationRequest/7"}


@pytest.mark.parametrize(
    ("more", "renews"),
    [
        ({}, []),
        ({"priorPrescription": NAMED}, ["MedicationRequest/7"]),
        ({"basedOn": [NAMED]}, ["MedicationRequest/7"]),
        (
            {"priorPrescription": NAMED, "basedOn": [{"reference": "CarePlan/1"}]},
            ["MedicationRequest/7"],
        ),
        (
            {"basedOn": [{"reference": "https://e.example/MedicationRequest/8"}]},
            ["MedicationRequest/8"],
        ),
        ({"basedOn": [{"reference": "CarePlan/1"}, NAMED]}, ["MedicationRequest/7"]),
        ({"basedOn": [{"reference": "MedicationRequest"}, "x", None]}, []),
        ({"basedOn": [{"reference": 7}, {"reference": "MedicationRequest/7/x"}]}, []),
        # It renews one, and does not say which.
        ({"priorPrescription": {"identifier": {"value": "7"}}}, [""]),
        ({"priorPrescription": "the last one"}, [""]),
        ({"priorPrescription": {"reference": "ServiceRequest/7"}}, [""]),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", ["active", "stopped"])
def test_an_order_says_which_it_is_and_which_it_renews(
    status: str, more: dict[str, Any], renews: list[str]
) -> None:
    entry = read(order("2026-01-10", status, statusChanged="2026-06-01", **more))

    assert entry.reference == f"MedicationRequest/{status}-2026-01-10"
    assert entry.renews == frozenset(renews)


def test_an_order_alone_that_renews_one_which_is_not_here_began_earlier() -> None:
    def alone(entry: dict[str, Any], standing: Standing = Standing.COUNTS) -> Course:
        return follow_alone(entry, medication_moment(entry, ZONE), standing, TIMES)

    since = Moment(EVER.low, JAN.high)
    renewal = order("2026-01-10", priorPrescription=NAMED)
    undated = order(None, priorPrescription=NAMED)

    assert alone(renewal) == Course(Standing.COUNTS, since, RENEWS)
    assert alone(renewal, Standing.ON_HOLD) == Course(Standing.ON_HOLD, since, RENEWS)
    assert alone(undated) == Course(Standing.COUNTS)


@pytest.mark.parametrize(
    ("began", "standing"),
    [
        ("2026-11-22T12:05:00Z", Standing.COUNTS),
        ("2026-11-22T12:05:01Z", Standing.NOT_BEGUN),
        ("2026-11-23", Standing.NOT_BEGUN),
        ("soon", Standing.COUNTS),
    ],
)
def test_a_clock_may_be_five_minutes_fast(began: str, standing: Standing) -> None:
    entry = order(began)
    moment = medication_moment(entry, ZONE)

    assert standing_now(Standing.COUNTS, entry, moment, TIMES) is standing
    assert standing_now(Standing.ON_HOLD, entry, moment, TIMES) is Standing.ON_HOLD


@pytest.mark.parametrize(
    ("entry", "standing"),
    [
        (order("2026-11-12T12:00:01Z", "completed"), Standing.SUPPLY_LASTS),
        (order("2026-11-12T12:00:00Z", "completed"), Standing.DOES_NOT),
        (order("2026-11-12T12:00:01Z", "stopped"), Standing.DOES_NOT),
        (statement("2026-11-12T12:00:01Z", "completed"), Standing.DOES_NOT),
    ],
    ids=str,
)
def test_what_was_supplied_lasts_to_its_last_moment(
    entry: dict[str, Any], standing: Standing
) -> None:
    supplied = {**entry, **supply(10)}
    moment = medication_moment(supplied, ZONE)

    assert standing_now(Standing.DOES_NOT, supplied, moment, TIMES) is standing


def test_what_counts_among_the_completed_does_so_while_its_supply_lasts() -> None:
    entry = order("2026-11-12", "completed", **supply(30))
    moment = medication_moment(entry, ZONE)

    assert standing_now(Standing.COUNTS, entry, moment, TIMES) is Standing.COUNTS


def test_a_supply_lasts_to_a_day_of_the_sites_calendar() -> None:
    ends = bounds(boundsPeriod=period("2026-11-01", "2026-11-22"))
    entry = order("2026-11-01", "completed", **ends)
    moment = medication_moment(entry, ZONE)
    evening_before = Times(datetime(2026, 11, 22, 3, 0, tzinfo=UTC), ZONE)

    found = standing_now(Standing.DOES_NOT, entry, moment, evening_before)
    assert found is Standing.SUPPLY_LASTS


MONTH = {"value": 1, "code": "mo"}


@pytest.mark.parametrize(
    "more",
    [
        bounds(boundsDuration=MONTH),
        bounds(boundsPeriod=period(end="2026-11-10")),
        {"dispenseRequest": {"expectedSupplyDuration": MONTH}},
        {**bounds(boundsDuration=MONTH), **supply(90)},
    ],
    ids=str,
)
def test_what_was_dispensed_lasts_by_the_sites_calendar(more: dict[str, Any]) -> None:
    entry = order("2026-10-10", "completed", **more)

    lasts = supplied_until(entry, medication_moment(entry, ZONE), ZONE)

    assert lasts == day(2026, 11, 10)


@pytest.mark.parametrize(
    ("ahead", "standing"),
    [
        ("2026-11-22T12:05:00Z", Standing.LATER_HELD),
        ("2026-11-22T12:05:01Z", Standing.COUNTS),
        ("2026-12-01", Standing.COUNTS),
    ],
)
def test_what_is_to_be_from_later_on_says_nothing_of_today(
    ahead: str, standing: Standing
) -> None:
    taken, _ = courses(order("2026-01-10"), order(ahead, "on-hold"))

    assert taken.standing is standing


def test_a_renewal_goes_back_over_all_that_it_renews() -> None:
    first = order("2020-01-10", "completed", id="1", **supply(30))
    second = order(
        "2022-01-10",
        "completed",
        id="2",
        priorPrescription={"reference": "MedicationRequest/1"},
        **supply(30),
    )
    third = order("2026-01-10", priorPrescription={"reference": "MedicationRequest/2"})

    *_, last = courses(first, second, third)
    *_, without_first = courses(second, third)

    assert last == Course(Standing.COUNTS, day(2020, 1, 10))
    assert without_first == Course(
        Standing.COUNTS, Moment(EVER.low, day(2022, 1, 10).high), RENEWS
    )


@pytest.mark.parametrize(
    ("end", "until"),
    [("2026-11-10", day(2026, 11, 10)), ("9999-12-31", None), ("soon", None)],
)
def test_a_statement_ends_with_a_day_of_the_sites_calendar(
    end: str, until: Moment | None
) -> None:
    entry = statement(None, effectivePeriod=period("2026-01-10", end))

    assert read(entry).until == until


@pytest.mark.parametrize(
    ("repeats", "days"),
    [(None, 30), (0, 30), (1, 60), (2, 90), (999, 30_000), (1000, 30), (-1, 30)],
)
def test_a_supply_lasts_as_often_as_it_may_be_dispensed(
    repeats: int | None, days: int
) -> None:
    until = read(order("2026-01-10", **supply(30, repeats))).until

    assert until and until.low == datetime(2026, 1, 10, 5, tzinfo=UTC) + timedelta(days)


@pytest.mark.parametrize("repeats", [True, "2", 2.0, None])
def test_what_is_no_number_of_repeats_repeats_nothing(repeats: Any) -> None:
    until = read(order("2026-01-10", **supply(30, repeats))).until

    assert until and until.low == datetime(2026, 2, 9, 5, tzinfo=UTC)


def test_a_supply_for_months_ends_by_the_sites_calendar() -> None:
    months = {"expectedSupplyDuration": {"value": 1, "code": "mo"}}

    until = read(order("2026-10-10", dispenseRequest=months)).until

    assert until == Moment(
        datetime(2026, 11, 10, 5, tzinfo=UTC),
        datetime(2026, 11, 11, 4, 59, 59, 999999, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("repeat", "day"),
    [
        ({"boundsPeriod": period(end="2026-11-10")}, 10),
        ({"boundsDuration": {"value": 1, "code": "mo"}}, 10),
        ({"boundsQuantity": {"value": 1, "code": "mo"}}, 10),
        ({"boundsRange": {"high": {"value": 1, "code": "mo"}}}, 10),
        (
            {
                "boundsRange": {"high": {"value": 1, "code": "mo"}},
                "boundsPeriod": period(end="2026-11-12"),
            },
            12,
        ),
    ],
    ids=str,
)
def test_a_dosage_ends_with_a_day_of_the_sites_calendar(
    repeat: dict[str, Any], day: int
) -> None:
    until = read(order("2026-10-10", **bounds(**repeat))).until

    assert until == Moment(
        datetime(2026, 11, day, 5, tzinfo=UTC),
        datetime(2026, 11, day + 1, 4, 59, 59, 999999, tzinfo=UTC),
    )


@pytest.mark.parametrize("ends", [("2026", "2026-03-01"), ("2026-03-01", "2026")])
def test_of_several_ends_the_latest_counts(ends: tuple[str, str]) -> None:
    whole_year = Moment(day(2026, 1, 1).low, day(2026, 12, 31).high)
    several = [
        {"timing": {"repeat": {"boundsPeriod": period(end=end)}}} for end in ends
    ]
    supplied = {
        "validityPeriod": period(end="2026"),
        "expectedSupplyDuration": {"value": 50, "code": "d"},
    }

    assert read(order("2026-01-10", dosageInstruction=several)).until == whole_year
    assert read(order("2026-01-10", dispenseRequest=supplied)).until == whole_year


def test_an_order_is_valid_until_a_day_of_the_sites_calendar() -> None:
    valid = {"validityPeriod": period(end="2026-06-01")}

    assert read(order("2026-01-10", dispenseRequest=valid)).until == JUN
    assert read(order("2026-01-10", dispenseRequest="a year")).until is None


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ({}, "start not recorded"),
        ({"authoredOn": None}, ""),
        ({"effectiveDateTime": "soon"}, ""),
        ({"effectivePeriod": {}}, ""),
    ],
    ids=str,
)
def test_a_medicine_without_a_start_is_told_from_one_that_cannot_be_read(
    resource: dict[str, Any], said: str
) -> None:
    assert without_start(resource) == said


def test_an_order_without_another_is_over_so_long_after_its_last_day_at_the_site() -> (
    None
):
    entry = order("2026-01-10", **bounds(boundsPeriod=period(end="2026-08-24")))
    began = medication_moment(entry, ZONE)
    last = datetime(2026, 11, 23, 3, 59, 59, tzinfo=UTC)

    def follow(now: datetime) -> Course:
        return follow_alone(entry, began, Standing.COUNTS, Times(now, ZONE))

    assert follow(last) == Course(Standing.COUNTS, began)
    after = last + timedelta(seconds=1)
    assert follow(after) == Course(Standing.SUPPLY_ENDED, began)


@pytest.mark.parametrize("standing", [Standing.DOES_NOT, Standing.UNCLEAR])
def test_what_does_not_count_by_itself_has_no_course(standing: Standing) -> None:
    entry = order("2026-01-10")
    began = medication_moment(entry, ZONE)

    assert follow_alone(entry, began, standing, TIMES) == Course(standing)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (statement("2026-01-10"), Says.TAKEN),
        (statement("2026-01-10", "completed"), Says.ENDED),
        (statement("2026-01-10", taken="n"), Says.NOT_TAKEN),
        (statement("2026-01-10", wasNotTaken=True), Says.NOT_TAKEN),
        (statement("2026-01-10", "entered-in-error", taken="n"), Says.NOTHING),
        (statement("2026-01-10", "entered-in-error"), Says.NOTHING),
        (statement("2026-01-10", "intended"), Says.NOTHING),
        (order("2026-01-10"), Says.TAKEN),
        (order("2026-01-10", "completed"), Says.USED_UP),
        (order("2026-01-10", "draft"), Says.NOTHING),
        (order("2026-01-10", "otherwise"), Says.NOTHING),
        (order("2026-01-10", intent="plan"), Says.NOTHING),
        (order("2026-01-10", doNotPerform=True), Says.HELD),
        (order("2026-01-10", "stopped", doNotPerform=True), Says.NOTHING),
        (order("2026-01-10", doNotPerform="maybe"), Says.NOTHING),
    ],
    ids=str,
)
def test_what_an_entry_says_of_taking_a_medicine(
    entry: dict[str, Any], says: Says
) -> None:
    assert read(entry).says is says


@pytest.mark.parametrize(
    ("says", "has_end", "ending"),
    [
        (Says.STOPPED, True, Ending("stopped", "until")),
        (Says.ENDED, True, Ending("ended", "until")),
        (Says.STOPPED, False, Ending("stopped", None, "began")),
        (Says.USED_UP, False, Ending("completed", None, "began")),
        (Says.NOT_TAKEN, False, Ending("recorded as not taken", None)),
        (Says.TAKEN, False, None),
        (Says.HELD, False, None),
        (Says.NOTHING, False, None),
    ],
)
def test_an_entry_that_is_over_says_how_and_when_or_when_it_was_ordered(
    says: Says, has_end: bool, ending: Any
) -> None:
    entry: Any = MedicineEntry(says, Product(), "began", "until", "told", has_end)

    assert medicine_ending(entry) == ending
