"""What card text shows of problems and medicines, in the record's words or in ours."""

from typing import Any

import pytest

from cds_service.fhir.chart import SourceState

from .shown import FACTS, ICD, WHEN, condition, order, product, show


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


def test_the_start_of_a_combination_is_named_with_all_that_it_holds(
    rules: Any, chart: Any
) -> None:
    both = [
        order("metoprolol / timolol", "1994-08-03"),
        order("metoprolol", "2026-02-01"),
    ]

    assert show(rules, chart(requests=both), "bb.started") == [
        "1994-08-03 (metoprolol), 1994-08-03 (metoprolol, timolol)"
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
