"""The course of a medicine is read over all its orders and statements."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir.chart import Chart
from cds_service.fhir.moments import Moment
from cds_service.rulebook.engine.rows.problems import Ending, Times
from cds_service.rulebook.engine.rows.standing import Standing, medication_standing
from cds_service.rulebook.engine.rows.treatments import (
    Course,
    MedicineEntry,
    Product,
    Says,
    follow,
    follow_alone,
    medication_moment,
    medicine_ending,
    read_entry,
    without_start,
)
from cds_service.rulebook.values.truth import Unknown

TABLET = "metoprolol succinate 100 MG Extended Release Oral Tablet"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def drug(name: str = TABLET, code: str = "866414") -> dict[str, Any]:
    return {"coding": [{"system": RXNORM, "code": code, "display": name}]}


def order(authored: str | None, status: str = "active", **more: Any) -> dict[str, Any]:
    written = {
        "resourceType": "MedicationRequest",
        "id": f"{status}-{authored}",
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": drug(),
        "authoredOn": authored,
        **more,
    }
    return {name: value for name, value in written.items() if value is not None}


def statement(at: str | None, status: str = "active", **more: Any) -> dict[str, Any]:
    written = {
        "resourceType": "MedicationStatement",
        "id": f"{status}-{at}",
        "status": status,
        "medicationCodeableConcept": drug(),
        "effectiveDateTime": at,
        **more,
    }
    return {name: value for name, value in written.items() if value is not None}


def period(start: str | None = None, end: str | None = None) -> dict[str, Any]:
    both = {"start": start, "end": end}
    return {name: value for name, value in both.items() if value}


def supply(days: float, repeats: int | None = None) -> dict[str, Any]:
    request: dict[str, Any] = {
        "expectedSupplyDuration": {"value": days, "unit": "days", "code": "d"}
    }
    if repeats is not None:
        request["numberOfRepeatsAllowed"] = repeats
    return {"dispenseRequest": request}


def bounds(**repeat: Any) -> dict[str, Any]:
    return {"dosageInstruction": [{"timing": {"repeat": repeat}}]}


@pytest.fixture
def ask(rules: Any, chart: Callable[..., Chart]) -> Callable[..., bool | str]:
    """Asks whether a beta-blocker is there; of an unknown, why it is one."""

    def asked(*entries: dict[str, Any], option: str = "") -> bool | str:
        requests = [e for e in entries if e["resourceType"] == "MedicationRequest"]
        statements = [e for e in entries if e not in requests]
        facts = f"bb: {{ medication: {{ in: beta-blockers{option} }} }}"
        verdict = rules.verdict(
            facts, "bb: present", chart(requests=requests, statements=statements)
        )
        if isinstance(verdict, Unknown):
            return "; ".join(sorted(each.why for each in verdict.reasons))
        return verdict

    return asked


STOPPED = "active, but a later entry of it was stopped"
COMPLETED = "active, but a later order of it is completed"
NOT_TAKEN = "active, but a later entry says that it is not taken"
HELD = "active, but a later entry is on hold or an order not to give it"
FORBIDDEN = "an order not to give it"
ENDED = "active, but its supply ended long ago"
GAP = "its orders leave a gap before the last start"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([statement("2025-01-10"), statement("2026-06-01", "stopped")], False),
        ([order("2025-01-10"), statement("2026-06-01", "stopped")], False),
        ([order("2025-01-10"), statement("2026-06-01", "completed")], False),
        ([order("2025-01-10"), order("2026-06-01", "stopped")], False),
        ([order("2025-01-10", "on-hold"), order("2026-06-01", "stopped")], False),
        # It goes on after the stop, or the same day.
        ([order("2026-07-01"), statement("2026-06-01", "stopped")], True),
        ([order("2026-06-01"), statement("2026-06-01", "stopped")], True),
        ([order("2025-01-10"), order("2024-06-01", "stopped")], True),
        # One of several that are active goes on.
        (
            [
                order("2025-01-10"),
                statement("2026-06-01", "stopped"),
                order("2026-08-01"),
            ],
            True,
        ),
        # The statement tells from when to when.
        (
            [
                order("2025-01-10"),
                statement(
                    None,
                    "completed",
                    effectivePeriod=period("2025-01-10", "2026-06-01"),
                ),
            ],
            False,
        ),
        (
            [
                order("2026-05-20"),
                statement(
                    None,
                    "completed",
                    effectivePeriod=period("2025-06-10", "2026-06-01"),
                ),
            ],
            STOPPED,
        ),
        (
            [
                order("2026-05-20"),
                statement(
                    None, "stopped", effectivePeriod=period("2025-06-10", "2026-06-01")
                ),
            ],
            False,
        ),
        # Whoever says so later knows better.
        (
            [
                statement("2025-01-10", dateAsserted="2026-07-01"),
                statement("2026-06-01", "stopped"),
            ],
            True,
        ),
        (
            [
                order("2026-03-01"),
                statement(
                    None,
                    "stopped",
                    effectivePeriod=period("2025-01-01"),
                    dateAsserted="2026-06-01",
                ),
            ],
            False,
        ),
        # What says less than "stopped".
        ([order("2025-01-10"), order("2026-06-01", "completed")], COMPLETED),
        ([order("2025-01-10"), order("2026-06-01", "ended")], COMPLETED),
        ([order("2025-01-10"), statement("2026-06-01", "not-taken")], NOT_TAKEN),
        ([order("2025-01-10"), statement("2026-06-01", taken="n")], NOT_TAKEN),
        ([order("2025-01-10"), order("2026-06-01", "on-hold")], f"{HELD}; on hold"),
        (
            [order("2025-01-10"), order("2026-06-01", doNotPerform=True)],
            f"{HELD}; {FORBIDDEN}",
        ),
        # What says nothing of the course.
        ([order("2025-01-10"), order("2026-06-01", "cancelled")], True),
        ([order("2025-01-10"), order("2026-06-01", "entered-in-error")], True),
        ([order("2025-01-10"), order("2026-06-01", "stopped", intent="plan")], True),
        ([order("2025-01-10"), statement(None, "stopped")], True),
        ([order("2025-01-10"), statement("2026-06-01", "intended")], True),
        # R5 says when a status changed.
        (
            [
                order("2026-03-01"),
                order("2025-01-10", "stopped", statusChanged="2026-06-01"),
            ],
            False,
        ),
    ],
)
def test_a_later_stop_ends_what_an_earlier_entry_says(
    ask: Callable[..., bool | str], entries: list[Any], expected: bool | str
) -> None:
    assert ask(*entries) == expected
    assert ask(*reversed(entries)) == expected


def test_the_stop_of_another_medicine_ends_nothing(
    ask: Callable[..., bool | str],
) -> None:
    timolol = {"medicationCodeableConcept": drug("timolol 10 MG Oral Tablet", "10600")}

    assert ask(order("2025-01-10"), statement("2026-06-01", "stopped", **timolol))


def test_the_stop_of_another_strength_leaves_it_open(
    ask: Callable[..., bool | str],
) -> None:
    weaker = {"medicationCodeableConcept": drug("metoprolol 25 MG Oral Tablet", "9")}
    stop = statement("2026-06-01", "stopped", **weaker)

    assert ask(order("2025-01-10"), stop) == STOPPED
    assert ask(order("2025-01-10"), stop, order("2026-07-01", **weaker)) is True


def test_one_code_under_two_names_need_not_be_one_strength(
    ask: Callable[..., bool | str],
) -> None:
    def metoprolol(name: str | None) -> dict[str, Any]:
        coding = {"system": RXNORM, "code": "6918"}
        return {"medicationCodeableConcept": {"coding": [coding], "text": name}}

    kept = order("2025-01-10", **metoprolol("Metoprolol 100"))

    named = statement("2026-06-01", "stopped", **metoprolol("Metoprolol 25"))
    assert ask(kept, named) == STOPPED
    same = statement("2026-06-01", "stopped", **metoprolol("METOPROLOL  100"))
    assert ask(kept, same) is False
    bare = statement("2026-06-01", "stopped", **metoprolol(None))
    assert ask(kept, bare) is False


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"dispenseRequest": {"validityPeriod": period(end="2026-08-01")}}, ENDED),
        ({"dispenseRequest": {"validityPeriod": period(end="2026-09-15")}}, True),
        ({"dispenseRequest": {"validityPeriod": period(end="9999-12-31")}}, True),
        ({"dispenseRequest": {"validityPeriod": period("2025-01-10")}}, True),
        (bounds(boundsPeriod=period("2025-01-10", "2025-02-10")), ENDED),
        (bounds(boundsPeriod=period("2025-01-10", "2026-12-10")), True),
        (bounds(boundsPeriod=period("2025-01-10")), True),
        (bounds(boundsDuration={"value": 10, "code": "d"}), ENDED),
        (bounds(boundsDuration={"value": 3, "unit": "years"}), True),
        (bounds(boundsQuantity={"value": 2, "unit": "wk"}), ENDED),
        (bounds(boundsRange={"high": {"value": 2, "code": "mo"}}), ENDED),
        (supply(90), ENDED),
        (supply(90, 0), ENDED),
        (supply(90, 3), ENDED),
        (supply(90, 7), True),
        (supply(1.5), ENDED),
        ({"dispenseRequest": {"expectedSupplyDuration": {"value": "90"}}}, True),
        ({"dispenseRequest": {"expectedSupplyDuration": {"value": 90}}}, True),
        ({"dispenseRequest": ["?"]}, True),
        # The longest counts, and of the dosages each must end.
        (
            {
                "dispenseRequest": {
                    **supply(90)["dispenseRequest"],
                    "validityPeriod": period(end="2027-01-01"),
                }
            },
            True,
        ),
        (
            {
                "dosageInstruction": [
                    {"timing": {"repeat": {"boundsPeriod": period(end="2025-02-01")}}},
                    {"text": "then one a day"},
                ]
            },
            True,
        ),
    ],
)
def test_an_order_of_which_the_supply_ended_long_ago_is_not_surely_current(
    ask: Callable[..., bool | str], more: dict[str, Any], expected: bool | str
) -> None:
    assert ask(order("2025-01-10", **more)) == expected


def test_an_order_without_an_end_stays_current(ask: Callable[..., bool | str]) -> None:
    assert ask(order("1994-08-03")) is True


def site(rules: Any, reading: str) -> None:
    rules.files["site.yaml"] += f"reading: {{{reading}}}\n"


@pytest.mark.parametrize(
    ("grace", "expected"), [("30 days", ENDED), ("90 days", True), ("2 months", ENDED)]
)
def test_a_site_says_how_long_a_supply_is_stretched(
    rules: Any, ask: Callable[..., bool | str], grace: str, expected: bool | str
) -> None:
    site(rules, f"supply_grace: {grace}")

    # Used up on 31 August, 83 days ago.
    assert ask(order("2026-08-01", **supply(30))) == expected


@pytest.mark.parametrize(("lasted", "expected"), [("3 months", GAP), ("1 year", True)])
def test_a_site_says_how_long_a_completed_order_lasted(
    rules: Any, ask: Callable[..., bool | str], lasted: str, expected: bool | str
) -> None:
    site(rules, f"completed_order: {lasted}")
    entries = [order("2025-12-01", "completed"), order("2026-11-17")]

    assert ask(*entries, option=", taken_for: 30 days") == expected


RENEWED = "2026-11-17"
"""Five days ago."""


@pytest.mark.parametrize(
    ("before", "taken_for", "started_within"),
    [
        # Renewed: taken for months.
        ([order("2025-11-20", "completed")], True, False),
        ([order("2025-11-20", "completed"), order("2026-05-01", "ended")], True, False),
        ([order("2026-06-01", "completed", **supply(90))], True, False),
        ([order("2024-03-01")], True, False),
        ([statement("2024-03-01")], True, False),
        (
            [
                statement(
                    None,
                    "completed",
                    effectivePeriod=period("2024-03-01", "2026-11-17"),
                )
            ],
            True,
            False,
        ),
        # Nothing before it, or nothing that was taken.
        ([], False, True),
        ([order("2025-11-20", "cancelled")], False, True),
        ([order("2025-11-20", "completed", intent="proposal")], False, True),
        ([statement("2025-11-20", "not-taken")], False, True),
        # A gap is unknown.
        ([order("2015-11-20", "completed")], GAP, GAP),
        ([order("2026-01-20", "completed", **supply(30))], GAP, GAP),
        ([order("2026-01-20", "stopped")], GAP, GAP),
        ([order("2026-01-20", **supply(30))], f"{ENDED}; {GAP}", GAP),
        ([order(None, "completed")], GAP, GAP),
        (
            [
                statement(
                    None, "stopped", effectivePeriod=period("2024-03-01", "2026-10-01")
                )
            ],
            GAP,
            GAP,
        ),
        # What was stopped long ago and is taken again was started anew.
        (
            [
                statement(
                    None, "stopped", effectivePeriod=period("2014-03-01", "2015-10-01")
                )
            ],
            False,
            True,
        ),
        ([order("2014-03-01"), statement("2015-10-01", "stopped")], False, True),
        # Gaps between older entries do not matter.
        (
            [order("2010-01-01", "completed"), order("2026-02-01", "completed")],
            True,
            False,
        ),
    ],
)
def test_a_renewal_is_no_start_and_a_gap_is_unknown(
    ask: Callable[..., bool | str],
    before: list[Any],
    taken_for: bool | str,
    started_within: bool | str,
) -> None:
    entries = [*before, order(RENEWED)]

    assert ask(*entries, option=", taken_for: 14 days") == taken_for
    assert ask(*entries, option=", started_within: 14 days") == started_within


def test_what_is_taken_by_another_order_has_not_been_stopped(
    ask: Callable[..., bool | str],
) -> None:
    old = order("2025-01-10", "stopped")

    assert ask(old, option=", status: stopped") is True
    assert ask(old, order("2025-06-01"), option=", status: stopped") is False
    assert ask(order("2024-06-01"), old, option=", status: stopped") is True


def test_two_years_of_one_medicine_do_not_make_another_one_old(
    ask: Callable[..., bool | str],
) -> None:
    timolol = {"medicationCodeableConcept": drug("timolol 10 MG Oral Tablet", "10600")}
    old = order("2024-03-01", "completed", **timolol)

    assert ask(old, order(RENEWED), option=", taken_for: 14 days") is False


def test_a_brand_renewed_as_its_ingredient_is_one_medicine(
    rules: Any, chart: Callable[..., Chart]
) -> None:
    file = "valuesets/beta-blockers.yaml"
    rules.files[file] = rules.files[file].replace(
        "name: metoprolol}", "name: metoprolol, also: [Beloc zok, Lopressor]}"
    )
    brand = {"medicationCodeableConcept": {"text": "BELOC-ZOK mite 47.5 mg"}}
    plain = {"medicationCodeableConcept": {"text": "Metoprolol 47.5 mg"}}
    both = [order("2025-12-20", "completed", **brand), order(RENEWED, **plain)]
    facts = "bb: { medication: { in: beta-blockers, taken_for: 14 days } }"

    assert rules.verdict(facts, "bb: present", chart(requests=both)) is True
    assert rules.verdict(facts, "bb: present", chart(requests=both[1:])) is False


def test_what_was_stopped_and_ordered_anew_the_day_after_went_on(
    ask: Callable[..., bool | str],
) -> None:
    stopped = order("2026-01-10", "stopped", statusChanged="2026-06-01")
    long = ", taken_for: 300 days"

    assert ask(stopped, order("2026-06-02"), option=long) is True
    assert ask(stopped, order("2026-06-03"), option=long) == GAP


def test_what_was_stopped_for_longer_than_a_supply_is_stretched_began_anew(
    ask: Callable[..., bool | str],
) -> None:
    stopped = order("2026-01-10", "stopped", statusChanged="2026-06-01")
    long = ", taken_for: 300 days"

    assert ask(stopped, order("2026-08-30"), option=long) == GAP
    assert ask(stopped, order("2026-08-31"), option=long) is False


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

    for others in ((not_taken, held), (held, not_taken)):
        first, *_ = courses(order("2025-01-10"), *others)
        assert first.standing is Standing.LATER_HELD


def test_a_medicine_ends_with_a_later_stop_of_the_same_product_alone() -> None:
    old, new = order("2025-01-10"), order("2026-08-01")
    stopped = order("2025-03-01", "stopped", statusChanged="2025-06-01")
    before = statement("2024-06-01", "stopped")

    def since(*entries: Any) -> Moment | None:
        return courses(*entries)[-1].since

    assert since(old, stopped, new) == day(2026, 8, 1)
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
    assert read(entry) == MedicineEntry(says, HUNDRED, began, until, told, has_end)


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
