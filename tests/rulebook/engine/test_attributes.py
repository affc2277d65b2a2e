"""What card text shows of a fact."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.wearables.worn import Wearables

from .shown import FACTS, ICD, WHEN, condition, order, product, show


def test_numbers_of_readings_carry_their_unit(
    rules: Any, chart: Any, reading: Any
) -> None:
    patient = chart(observations=[reading(100, "1 hours"), reading(111, "49 hours")])

    shown = show(
        rules, patient, "hr.latest", "hr.earliest", "hr.max", "hr.mean", "hr.count",
        "hr.span", "hr.unit", "hr.code", "hr.latest_date",
    )  # fmt: skip

    assert shown == [
        "100 /min",
        "111 /min",
        "111 /min",
        "105.5 /min",
        "2",
        "2 d",
        "/min",
        "http://loinc.org|8867-4",
        "2026-11-22",
    ]


@pytest.mark.parametrize(
    ("comparator", "shown"),
    [(">", "> 60 /min"), (">=", "≥ 60 /min"), ("<", "< 60 /min"), ("<=", "≤ 60 /min")],
)
def test_a_range_is_shown_as_a_range(
    rules: Any, chart: Any, reading: Any, comparator: str, shown: str
) -> None:
    quantity = {"value": 60, "comparator": comparator, "code": "/min"}
    patient = chart(observations=[reading(60, valueQuantity=quantity)])

    assert show(rules, patient, "hr.latest") == [shown]


def test_two_readings_at_one_time_are_shown_as_from_to(
    rules: Any, chart: Any, reading: Any
) -> None:
    patient = chart(observations=[reading(99, "1 hours"), reading(101, "1 hours")])

    assert show(rules, patient, "hr.latest", "hr.span") == ["99–101 /min", None]


def test_names_are_the_records_own_and_the_first_three_are_shown(
    rules: Any, chart: Any
) -> None:
    names = ["Type 2", "With foot ulcer", "With cataract", "With neuropathy"]
    many = [condition(f"E11.{i}", name) for i, name in enumerate(names)]

    (text,) = show(rules, chart(conditions=many), "dm.name")

    assert text == "With neuropathy, With cataract, With foot ulcer and 1 more"


def test_what_the_record_does_not_name_has_the_title_of_its_set(
    rules: Any, chart: Any
) -> None:
    unnamed = chart(conditions=[condition("E11.9", onsetDateTime="2019-05")])

    shown = show(rules, unnamed, "dm.name", "dm.onset", "dm.code")

    assert shown == ["Diabetes", "2019-05", f"{ICD}|E11.9"]


def test_the_start_belongs_to_the_medicine_that_is_named(
    rules: Any, chart: Any
) -> None:
    both = [order("timolol", "1994-08-03"), order("metoprolol", "2026-02-01")]

    shown = show(rules, chart(requests=both), "bb.name", "bb.started")

    assert shown == [
        "metoprolol, timolol",
        "2026-02-01 (metoprolol), 1994-08-03 (timolol)",
    ]


def test_of_several_orders_of_one_medicine_the_first_start_is_shown(
    rules: Any, chart: Any
) -> None:
    both = [order("metoprolol", "2026-02-01"), order("metoprolol", "1994-08-03")]

    shown = show(rules, chart(requests=both), "bb.name", "bb.started")

    assert shown == ["metoprolol", "1994-08-03"]


def test_a_renewal_shows_since_when_the_medicine_is_taken(
    rules: Any, chart: Any
) -> None:
    before = order("metoprolol", "2025-12-20", status="completed")
    renewed = chart(requests=[before, order("metoprolol", "2026-11-17")])
    gap = order("metoprolol", "2015-12-20", status="completed")
    resumed = chart(requests=[gap, order("metoprolol", "2026-11-17")])

    assert show(rules, renewed, "bb.started") == ["2025-12-20"]
    assert show(rules, resumed, "bb.started") == ["2026-11-17 or earlier"]


def test_a_medicine_without_a_start_among_others_is_said_to_have_none(
    rules: Any, chart: Any
) -> None:
    some = chart(requests=[order("timolol"), order("metoprolol", "2026-02")])
    none = chart(requests=[order("timolol"), order("metoprolol")])

    assert show(rules, some, "bb.started") == [
        "not dated (timolol), 2026-02 (metoprolol)"
    ]
    assert show(rules, none, "bb.started") == [None]


def test_one_medicine_under_two_names_has_one_start(rules: Any, chart: Any) -> None:
    file = "valuesets/beta-blockers.yaml"
    rules.files[file] = rules.files[file].replace(
        "name: metoprolol}", "name: metoprolol, also: [Toprol]}"
    )
    several = chart(
        requests=[
            order("metoprolol", "1994-08-03"),
            order("Toprol XL 50", "2026-02-01"),
            order("timolol", "2020"),
        ]
    )

    assert show(rules, several, "bb.ingredient", "bb.started") == [
        "metoprolol, timolol",
        "1994-08-03 (metoprolol), 2020 (timolol)",
    ]


def test_the_onset_belongs_to_the_problem_that_is_named(rules: Any, chart: Any) -> None:
    two = [
        condition("E11.9", "Type 2 diabetes", onsetDateTime="2001"),
        condition("E11.621", "Foot ulcer", onsetDateTime="2026-05-02"),
        condition("E11.9", "Type 2 diabetes", onsetDateTime="2024-01-09"),
    ]

    shown = show(rules, chart(conditions=two), "dm.name", "dm.onset")

    assert shown == [
        "Foot ulcer, Type 2 diabetes",
        "2026-05-02 (Foot ulcer), 2001 (Type 2 diabetes)",
    ]


@pytest.mark.parametrize(
    ("onset", "shown"),
    [
        ({"onsetDateTime": "2019"}, "2019"),
        ({"onsetDateTime": "2019-02"}, "2019-02"),
        ({"onsetDateTime": "2019-02-28"}, "2019-02-28"),
        ({"onsetDateTime": "2019-02-28T23:30:00-05:00"}, "2019-02-28"),
        ({"onsetPeriod": {"start": "2019-02-03"}}, "2019-02-03"),
        ({"onsetAge": {"value": 60, "code": "a"}}, "2018-03-14 to 2019-03-13"),
        ({"recordedDate": "2019-02-28"}, None),
        ({}, None),
    ],
)
def test_an_onset_is_shown_as_exactly_as_it_is_recorded(
    rules: Any, chart: Any, onset: dict[str, Any], shown: str | None
) -> None:
    patient = chart(conditions=[condition("E11.9", **onset)])

    assert show(rules, patient, "dm.onset") == [shown]


def test_the_text_that_matched_is_the_text_that_is_shown(
    rules: Any, chart: Any
) -> None:
    coding = {"code": "17", "display": "Metoprolol 50 mg"}
    mixed = {"text": "Heart tablet, blue", "coding": [coding]}
    patient = chart(requests=[order("", medicationCodeableConcept=mixed)])

    (found,) = rules.evaluate(FACTS, WHEN, patient).items

    assert found.by_name == ("metoprolol",)
    assert found.text("bb", "name").text == "Metoprolol 50 mg"


def test_what_is_not_there_shows_nothing(rules: Any, chart: Any) -> None:
    patient = chart(conditions=[condition("E11.9")])

    shown = show(
        rules, patient, "hr.latest", "hr.count", "dm.onset", "bb.name", "low.age"
    )

    assert shown == [None, "0", None, None, None]


def test_an_alert_shows_what_it_brought(rules: Any, chart: Any, wearable: Any) -> None:
    alert = wearable(
        hours=2, value=38.0, unit="/min", threshold=40.0, coverage=0.925, device="Watch"
    )

    shown = show(
        rules, chart(), "low.value", "low.threshold", "low.coverage", "low.device",
        "low.duration", "low.age", "low.local_time", "low.latest_date", "low.type",
        "low.name", alerts=[alert],
    )  # fmt: skip

    assert shown == [
        "38 /min",
        "40 /min",
        "92.5 %",
        "Watch",
        "15 min",
        "2 h",
        "2026-11-22 04:45 (wearer's time)",
        "2026-11-22",
        "low-heart-rate",
        "Low heart rate",
    ]


def test_an_alert_in_utc_alone_shows_the_sites_time_and_says_so(
    rules: Any, chart: Any, wearable: Any
) -> None:
    start = datetime.fromisoformat("2026-11-22T03:10:00+00:00")
    alert = wearable(hours=1, start=start, local=False)

    shown = show(rules, chart(), "low.local_time", "low.latest_date", alerts=[alert])

    assert shown == [
        "2026-11-21 22:10 (site's time; wearer's local time not known)",
        "2026-11-21",
    ]


@pytest.mark.parametrize(
    ("stat", "said"),
    [("min", "down to 44 /min"), ("max", "up to 44 /min"), ("median", "44 /min")],
)
def test_a_value_that_was_reached_once_is_not_told_as_if_it_had_lasted(
    rules: Any, chart: Any, wearable: Any, stat: str, said: str
) -> None:
    alert = wearable(value=44.0, stat=stat, unit="/min")

    assert show(rules, chart(), "low.value", "low.min", alerts=[alert]) == [
        said,
        "44 /min",
    ]


def test_an_episode_soon_after_another_says_which_of_the_row_it_is(
    rules: Any, chart: Any, wearable: Any
) -> None:
    episode = wearable(origin="detector")
    first, third = (Wearables((episode,), places={episode.id: n}) for n in (1, 3))

    assert show(rules, chart(), "low.recurrence", worn=first) == [None]
    assert show(rules, chart(), "low.recurrence", worn=third) == ["3"]


def test_an_alert_shows_nothing_that_it_did_not_bring(
    rules: Any, chart: Any, wearable: Any
) -> None:
    names = ("value", "threshold", "coverage", "device", "unit")

    shown = show(rules, chart(), *(f"low.{n}" for n in names), alerts=[wearable()])

    assert shown == [None] * 5


@pytest.mark.parametrize(
    ("birth", "age"),
    [("1958-11-22", "68"), ("1958-11-23", "67"), ("1958", "67–68"), ("?", None)],
)
def test_age_is_counted_in_whole_years(
    rules: Any, chart: Any, birth: str, age: str | None
) -> None:
    person = {
        "resourceType": "Patient",
        "id": "p",
        "birthDate": birth,
        "gender": "male",
    }
    patient = chart(conditions=[condition("E11.9")], patient=person)

    assert show(rules, patient, "patient.age", "patient.sex") == [age, "male"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (product("Blue heart tablet", "6918"), "metoprolol"),
        (product("24 HR metoprolol succinate 50 MG Oral Tablet"), "metoprolol"),
        (product("Metoprolol succinate ER 50 MG", "866436"), "metoprolol"),
    ],
    ids=["its code", "its name", "a product that a name places"],
)
def test_a_medicine_is_called_by_its_ingredient(
    rules: Any, chart: Any, written: dict[str, Any], shown: str
) -> None:
    assert show(rules, chart(requests=[written]), "bb.ingredient") == [shown]


def test_one_ingredient_of_several_orders_is_said_once(rules: Any, chart: Any) -> None:
    orders = [
        product("Metoprolol 25 MG", authoredOn="2026-10-01", id="a"),
        product("Blue heart tablet", "6918", authoredOn="2026-10-02", id="b"),
    ]

    assert show(rules, chart(requests=orders), "bb.ingredient") == ["metoprolol"]


def test_a_medicine_that_no_set_names_is_called_as_the_record_does(
    rules: Any, chart: Any
) -> None:
    atc = {"coding": [{"system": "http://www.whocc.no/atc", "code": "C07AB07"}]}
    concept = {"text": "Bisohexal", **atc}

    shown = show(
        rules,
        chart(requests=[order("x", medicationCodeableConcept=concept)]),
        "bb.ingredient",
    )

    assert shown == ["Bisohexal"]


def test_a_rise_and_a_fall_are_shown_with_their_unit(
    rules: Any, chart: Any, reading: Any
) -> None:
    readings = [
        reading(90, "1 hours"),
        reading(70, "20 hours"),
        reading(99, "80 hours"),
    ]
    when = "all: [{hr: {rise: {at_least: 5, over: 3 days}}}]"

    (found,) = rules.evaluate(FACTS, when, chart(observations=readings)).items

    assert found.text("hr", "rise").text == "20 /min"
    # Of the readings of three days alone; the one of 99 is older.
    assert found.text("hr", "fall").text == "-20 /min"


def test_without_a_period_a_change_is_one_of_all_readings(
    rules: Any, chart: Any, reading: Any
) -> None:
    readings = [
        reading(90, "1 hours"),
        reading(70, "20 hours"),
        reading(99, "80 hours"),
    ]

    shown = show(rules, chart(observations=readings), "hr.rise", "hr.fall")

    assert shown == ["20 /min", "9 /min"]


def test_one_reading_has_not_changed(rules: Any, chart: Any, reading: Any) -> None:
    assert show(rules, chart(observations=[reading(90)]), "hr.rise", "hr.fall") == [
        None,
        None,
    ]


def test_a_param_is_shown_with_its_unit_and_is_the_authors_word(
    rules: Any, chart: Any
) -> None:
    dm = {
        "resourceType": "Condition",
        "id": "c",
        "code": {"coding": [{"system": ICD, "code": "E11"}]},
    }
    params = "params: {rate: {default: 50, unit: /min}, length: {default: 2 days}}"
    (found,) = rules.evaluate(FACTS, WHEN, chart([dm]), more=params).items

    rate, length = (found.text("$", name) for name in ("rate", "length"))
    assert (rate.text, rate.trusted) == ("50 /min", True)
    assert (length.text, length.trusted) == ("2 days", True)


def test_an_age_is_told_more_roughly_than_a_duration(
    rules: Any, chart: Any, wearable: Any
) -> None:
    end = rules.now - timedelta(hours=1.6)
    alert = wearable(start=end - timedelta(hours=1.6), end=end)

    assert show(rules, chart(), "low.duration", "low.age", alerts=[alert]) == [
        "1.6 h",
        "2 h",
    ]


def test_of_several_alerts_the_least_and_the_greatest_are_shown(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [
        wearable(hours=hours, value=value, unit="/min")
        for hours, value in ((1, 42.0), (2, 38.0), (3, 45.0))
    ]

    assert show(rules, chart(), "low.value", "low.min", "low.max", alerts=alerts) == [
        "42 /min",
        "38 /min",
        "45 /min",
    ]


def test_an_alert_that_has_just_ended_is_of_no_age(
    rules: Any, chart: Any, wearable: Any
) -> None:
    ended, begun = wearable(hours=0), wearable(hours=0, start=rules.now)

    assert show(rules, chart(), "low.age", alerts=[ended]) == ["0 min"]
    assert show(rules, chart(), "low.duration", alerts=[begun]) == ["0 s"]


def test_an_episode_that_lasts_is_as_old_as_its_last_reading(
    rules: Any, chart: Any, wearable: Any
) -> None:
    start, last = (rules.now - timedelta(minutes=each) for each in (70, 12))
    lasting = wearable(start=start, end=None, last=last, detector="low")

    assert show(rules, chart(), "low.duration", "low.age", alerts=[lasting]) == [
        "58 min",
        "12 min",
    ]


def trust(rules: Any, patient: Any, *names: str, alerts: Any = ()) -> list[bool]:
    """Whether each text is ours or the author's, and not the record's."""
    (found,) = rules.evaluate(FACTS, WHEN, patient, list(alerts)).items
    return [found.text(*name.split(".")).trusted for name in names]


def test_words_of_a_record_or_a_device_are_quoted_and_ours_are_not(
    rules: Any, chart: Any, reading: Any, wearable: Any
) -> None:
    alert = wearable(value=38.0, unit="/min", device="Watch")
    person = {"resourceType": "Patient", "id": "p", "gender": "female"}
    seen = chart(observations=[reading(80)], patient=person)

    quoted = trust(
        rules, seen, "low.device", "low.unit", "hr.code", "patient.sex", alerts=[alert]
    )
    ours = trust(
        rules, seen, "low.type", "low.name", "low.value", "hr.unit", "hr.latest",
        "hr.latest_date", alerts=[alert],
    )  # fmt: skip

    assert quoted == [False] * 4
    assert ours == [True] * 6


def test_text_counts_the_alerts_that_the_rule_counts(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [wearable(hours=hours) for hours in (1, 3, 5)]
    when = "low: {count: {at_least: 2}, age: {below: 4 hours}}"

    (found,) = rules.evaluate(FACTS, when, chart(), alerts).items

    assert found.text("low", "count").text == "2"


def test_text_is_about_the_newest_alert_that_passes(
    rules: Any, chart: Any, wearable: Any
) -> None:
    alerts = [
        wearable(hours=hours, value=value, unit="/min")
        for hours, value in ((1, 48.0), (3, 38.0), (5, 36.0), (2, 50.0))
    ]
    when = "low: {value: {below: 45}, age: {below: 6 hours}}"

    (found,) = rules.evaluate(FACTS, when, chart(), alerts).items

    assert found.text("low", "value").text == "38 /min"


def test_the_latest_date_is_that_of_the_newest_at_the_site(
    rules: Any, chart: Any, reading: Any
) -> None:
    evening = reading(80, effectiveDateTime="2026-11-22T02:30:00Z")
    before = reading(70, effectiveDateTime="2026-11-20T12:00:00Z")
    more = reading(60, effectiveDateTime="2026-11-19T12:00:00Z")
    seen = chart(observations=[before, evening, more])

    assert show(rules, seen, "hr.latest_date", "hr.latest") == ["2026-11-21", "80 /min"]


def test_what_is_not_said_is_not_shown(rules: Any, chart: Any, reading: Any) -> None:
    dm = {
        "resourceType": "Condition",
        "id": "c",
        "code": {"coding": [{"system": ICD, "code": "E11"}]},
    }
    by_name = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Metoprolol"},
    }
    seen = chart([dm], [by_name], observations=[reading(80)])
    facts = FACTS.replace(", unit: /min", "")
    (found,) = rules.evaluate(facts, WHEN, seen).items

    assert found.text("hr", "unit") is None
    assert found.text("bb", "code") is None
    assert found.text("dm", "latest_date") is None
    assert found.text("patient", "sex") is None


def test_an_alert_whose_clock_is_known_is_told_on_that_clock(
    rules: Any, chart: Any, wearable: Any
) -> None:
    start = datetime.fromisoformat("2026-11-22T03:10:00+09:00")
    alert = wearable(hours=1, start=start)

    assert show(
        rules, chart(), "low.local_time", "low.latest_date", alerts=[alert]
    ) == [
        "2026-11-22 03:10 (wearer's time)",
        "2026-11-22",
    ]


def problem(name: str, **more: Any) -> dict[str, Any]:
    coding = {"system": ICD, "code": "E11"}
    return {
        "resourceType": "Condition",
        "id": name,
        "code": {"coding": [coding], "text": name},
        **more,
    }


def test_the_name_of_a_record_is_quoted_and_stands_within_a_sentence(
    rules: Any, chart: Any
) -> None:
    named = problem("Diabetes", onsetDateTime="2020-05-01")
    other = problem("Sugar", onsetDateTime="2021-05-01")
    (found,) = rules.evaluate(FACTS, WHEN, chart([named, other])).items

    name, onset = found.text("dm", "name"), found.text("dm", "onset")

    assert (name.text, name.trusted) == ("Sugar, Diabetes", False)
    assert name.within == "Sugar, Diabetes"
    assert (onset.text, onset.trusted) == (
        "2021-05-01 (Sugar), 2020-05-01 (Diabetes)",
        False,
    )


def test_what_a_record_does_not_name_has_the_title_which_is_ours(
    rules: Any, chart: Any
) -> None:
    nameless = {**problem(""), "id": "c", "onsetDateTime": "2020-05-01"}
    (found,) = rules.evaluate(FACTS, WHEN, chart([nameless])).items

    name, onset = found.text("dm", "name"), found.text("dm", "onset")

    assert (name.text, name.trusted) == ("Diabetes", True)
    assert (onset.text, onset.trusted) == ("2020-05-01", True)


@pytest.mark.parametrize(
    ("conditions", "state", "text", "trusted"),
    [
        ([problem("Sugar")], SourceState.LOADED, "Diabetes: Sugar", False),
        ([{**problem(""), "id": "c"}], SourceState.LOADED, "Diabetes: recorded", False),
        ([], SourceState.LOADED, "Diabetes: no problems recorded", True),
        ([], SourceState.PARTIAL, "Diabetes: not known", True),
        (
            [problem(each) for each in ("A", "B", "C")],
            SourceState.LOADED,
            "Diabetes: C, B, A",
            False,
        ),
    ],
)
def test_what_is_recorded_is_the_records_word_and_that_nothing_is_ours(
    rules: Any,
    chart: Any,
    conditions: list[Any],
    state: SourceState,
    text: str,
    trusted: bool,
) -> None:
    seen = chart(conditions, states={"conditions": state})
    (found,) = rules.evaluate(FACTS, "none: [hr: present]", seen).items

    said = found.text("dm", "recorded")

    assert (said.text, said.trusted) == (text, trusted)


def test_of_a_problem_that_began_at_some_time_before_no_date_is_shown(
    rules: Any, chart: Any
) -> None:
    facts = FACTS + "recent: {condition: {in: diabetes, onset_within: 42 weeks}}\n"
    seen = chart([problem("Sugar", recordedDate="2016-05-01")])
    (found,) = rules.evaluate(facts, "none: [hr: present]", seen).items

    assert found.text("dm", "latest_date") is None
    assert found.text("recent", "recorded").text == (
        "Diabetes: none begun in the last 42 weeks among 1 problem; Sugar"
    )


def drug(status: str, day: str) -> dict[str, Any]:
    coding = {"system": "rxnorm", "code": "6918"}
    return {
        "resourceType": "MedicationRequest",
        "id": f"{status}-{day}",
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"coding": [coding]},
        "authoredOn": day,
    }


def test_what_is_asked_for_and_not_there_is_called_as_it_is_asked_for(
    rules: Any, chart: Any
) -> None:
    facts = FACTS + (
        "over: {condition: {in: diabetes, status: resolved}}\n"
        "ended: {medication: {in: beta-blockers, status: stopped}}\n"
        "recent: {condition: {in: diabetes, onset_within: 42 weeks}}\n"
        "any_drug: {any_of: [bb, other]}\n"
        "other: {medication: {in: other-drugs}}\n"
    )
    again = [drug("stopped", "2026-01-10"), drug("active", "2026-02-01")]
    asthma = {"coding": [{"system": ICD, "code": "J45"}]}

    def told(fact: str, *conditions: Any, requests: Any = ()) -> str:
        seen = chart([*conditions], [*requests])
        (found,) = rules.evaluate(facts, "none: [hr: present]", seen).items
        text: str = found.text(fact, "recorded").text
        return text

    active = problem("Sugar")
    assert told("over", active) == "Diabetes: none resolved among 1 problem"
    assert told("ended", requests=again) == (
        "Beta-blockers: none stopped among 2 medicines"
    )
    assert told("recent", {**active, "code": asthma}) == (
        "Diabetes: none recorded among 1 problem"
    )
    assert told("any_drug") == "Beta-blockers / Other drugs: no medicines recorded"


def test_a_time_that_begins_with_a_month_and_ends_within_one_is_told_by_its_days(
    rules: Any, chart: Any
) -> None:
    born = {"resourceType": "Patient", "id": "p", "birthDate": "1958-03-01"}
    first_days = {
        "low": {"value": 0, "code": "d"},
        "high": {"value": 10, "code": "d"},
    }
    seen = chart([problem("Sugar", onsetRange=first_days)], patient=born)

    assert show(rules, seen, "dm.onset") == ["1958-03-01 to 1958-03-11"]


def test_a_mean_is_of_what_lasts_and_a_greatest_of_all(
    rules: Any, chart: Any, reading: Any
) -> None:
    times = ((105, "1 hours"), (115, "2 hours"), (140, "30 hours"))
    seen = chart(observations=[reading(*each) for each in times])
    when = "hr: {sustained: {above: 100, for: 3 hours, readings: 2}}"

    (found,) = rules.evaluate(FACTS, when, seen).items

    assert found.text("hr", "mean").text == "110 /min"
    assert found.text("hr", "max").text == "140 /min"


def test_the_ingredient_and_what_is_over_are_the_records_words(
    rules: Any, chart: Any
) -> None:
    (found,) = rules.evaluate(
        FACTS, WHEN, chart(requests=[drug("active", "2026-01-10")])
    ).items
    ingredient, none = found.text("bb", "ingredient"), found.text("dm", "recorded")
    seen = chart(
        [
            problem("Sugar", clinicalStatus="resolved"),
            problem("x", code={"coding": [{"system": ICD, "code": "J45"}]}),
        ]
    )
    (over,) = rules.evaluate(FACTS, "none: [hr: present]", seen).items
    asthma = chart([problem("x", code={"coding": [{"system": ICD, "code": "J45"}]})])
    (other,) = rules.evaluate(FACTS, "none: [hr: present]", asthma).items

    assert (ingredient.text, ingredient.trusted) == ("metoprolol", False)
    assert none.trusted is True
    assert over.text("dm", "recorded").trusted is False
    assert other.text("dm", "recorded").trusted is True
