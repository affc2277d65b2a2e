"""The course of a medicine is read over all its orders and statements."""

from collections.abc import Callable
from typing import Any

import pytest

from cds_service.fhir.chart import Chart
from cds_service.rulebook.values.truth import Unknown

from .medicines import (
    COMPLETED,
    ENDED,
    FORBIDDEN,
    GAP,
    HELD,
    LASTS,
    LATER,
    NOT_TAKEN,
    RENEWS,
    RXNORM,
    STOPPED,
    bounds,
    drug,
    order,
    period,
    statement,
    supply,
)


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
        (
            [
                order("2026-06-01T10:00:00Z"),
                statement("2026-06-01T10:00:00Z", "stopped"),
            ],
            True,
        ),
        (
            [
                order("2026-06-01T10:00:00Z"),
                statement("2026-06-01T10:00:01Z", "stopped"),
            ],
            False,
        ),
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
        # Stretched by 90 days, to the moment.
        (bounds(boundsPeriod=period(end="2026-08-24T12:00:00Z")), True),
        (bounds(boundsPeriod=period(end="2026-08-24T11:59:59Z")), ENDED),
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


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        # It is noon in London, and seven in the morning at the site.
        ([order("2026-11-22", **bounds(boundsPeriod=period("2026-11-23")))], LATER),
        ([statement(None, effectivePeriod=period("2026-11-23"))], LATER),
        ([statement("2026-12-01")], LATER),
        ([order("2026-11-22T12:06:00Z")], LATER),
        # A clock may be fast; of a day, a month and a year a part is over.
        ([order("2026-11-22T12:04:00Z")], True),
        ([order("2026-11-22")], True),
        ([order("2026-11")], True),
        ([order("2026")], True),
        # The next order does not end the one by which it is taken.
        ([order("2025-01-10"), order("2026-12-01")], True),
        ([order("2025-01-10", "stopped"), order("2026-12-01")], LATER),
    ],
)
def test_what_is_to_begin_tomorrow_is_not_taken_today(
    ask: Callable[..., bool | str], entries: list[Any], expected: bool | str
) -> None:
    assert ask(*entries) == expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([order("2026-11-01", "completed", **supply(30))], LASTS),
        ([order("2026-01-10", "completed", **supply(90, 3))], LASTS),
        (
            [
                order(
                    "2026-11-01",
                    "completed",
                    **bounds(boundsPeriod=period("2026-11-01", "2026-12-01")),
                )
            ],
            LASTS,
        ),
        # Used up, or not told; until when it may be dispensed is another thing.
        ([order("2026-10-01", "completed", **supply(30))], False),
        ([order("2026-11-01", "completed")], False),
        (
            [
                order(
                    "2026-11-01",
                    "completed",
                    dispenseRequest={"validityPeriod": period(end="2027-11-01")},
                )
            ],
            False,
        ),
        ([order("2026-11-01", "stopped", **supply(30))], False),
        ([order("2026-11-01", "completed", intent="plan", **supply(30))], False),
        ([order("2026-11-01", "completed", doNotPerform=True, **supply(30))], False),
        (
            [
                order("2026-11-01", "completed", **supply(30)),
                statement("2026-11-10", "stopped"),
            ],
            False,
        ),
        (
            [order("2026-11-01", "completed", **supply(30)), order("2026-11-20")],
            True,
        ),
    ],
)
def test_a_completed_order_may_still_be_taken_while_its_supply_lasts(
    ask: Callable[..., bool | str], entries: list[Any], expected: bool | str
) -> None:
    assert ask(*entries) == expected


@pytest.mark.parametrize(
    ("before", "renews", "expected"),
    [
        # The order that it renews was written years ago, and tells no supply.
        (
            [order("2023-01-10", "completed")],
            {
                "priorPrescription": {
                    "reference": "MedicationRequest/completed-2023-01-10"
                }
            },
            True,
        ),
        (
            [order("2023-01-10", "completed")],
            {
                "basedOn": [
                    {"reference": "CarePlan/1"},
                    {
                        "reference": "https://ehr.example/fhir/MedicationRequest/"
                        "completed-2023-01-10"
                    },
                ]
            },
            True,
        ),
        # One that is not here.
        ([], {"priorPrescription": {"reference": "MedicationRequest/1"}}, RENEWS),
        ([], {"priorPrescription": {"identifier": {"value": "1"}}}, RENEWS),
        ([], {"basedOn": [{"reference": "MedicationRequest/1"}]}, RENEWS),
        (
            [order("2026-11-10", "completed")],
            {"priorPrescription": {"reference": "MedicationRequest/1"}},
            RENEWS,
        ),
        # Started anew, or on a plan that was none.
        (
            [order("2023-01-10", "stopped", statusChanged="2023-06-01")],
            {
                "priorPrescription": {
                    "reference": "MedicationRequest/stopped-2023-01-10"
                }
            },
            False,
        ),
        (
            [order("2026-01-10", "stopped", statusChanged="2026-08-19T05:00:00Z")],
            {
                "priorPrescription": {
                    "reference": "MedicationRequest/stopped-2026-01-10"
                }
            },
            True,
        ),
        (
            [order("2026-01-10", "stopped", statusChanged="2026-08-19T04:59:59Z")],
            {
                "priorPrescription": {
                    "reference": "MedicationRequest/stopped-2026-01-10"
                }
            },
            False,
        ),
        ([], {"basedOn": [{"reference": "CarePlan/1"}]}, False),
        ([], {"basedOn": [{"reference": "ServiceRequest/1"}]}, False),
    ],
)
def test_an_order_that_names_the_one_it_renews_is_as_old_as_that(
    ask: Callable[..., bool | str],
    before: list[Any],
    renews: dict[str, Any],
    expected: bool | str,
) -> None:
    entries = [*before, order(RENEWED, **renews)]

    assert ask(*entries, option=", taken_for: 14 days") == expected


def test_orders_written_together_are_as_old_as_what_one_of_them_renews(
    ask: Callable[..., bool | str],
) -> None:
    renewal = {"priorPrescription": {"reference": "MedicationRequest/1"}}
    morning = order("2026-11-17T09:00:00Z", id="am")
    evening = order("2026-11-17T09:05:00Z", id="pm", **renewal)
    day_after = order("2026-11-18T09:00:00Z", id="pm", **renewal)
    later = order("2026-11-18T09:00:01Z", id="pm", **renewal)
    new = ", started_within: 14 days"

    assert ask(morning, option=new) is True
    assert ask(morning, evening, option=new) == RENEWS
    assert ask(evening, morning, option=new) == RENEWS
    assert ask(morning, day_after, option=new) == RENEWS
    assert ask(morning, later, option=new) is True
