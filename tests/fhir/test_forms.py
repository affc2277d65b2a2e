"""One search in the forms that servers want, and what each form may miss."""

import pytest

from cds_service.fhir.forms import (
    DEMANDED,
    Added,
    Form,
    combine,
    counts,
    settle,
    vouch,
    write,
)

CODES = "Observation?patient=p1&code=a|1,b%2C|2&_sort=-date"
ORDER_AND_PLAN = Added("intent", ("order", "plan"))


def queries(query, form):
    return [each.query for each in write(query, form)]


@pytest.mark.parametrize(
    ("query", "form", "written"),
    [
        ("Patient/p1", Form(without=("_count",)), ["Patient/p1"]),
        ("Condition?patient=p1", Form(), ["Condition?patient=p1&_count=200"]),
        ("Condition", Form(), ["Condition?_count=200"]),
        ("Condition", Form(without=("_count",)), ["Condition"]),
        ("Condition?_count=5", Form(), ["Condition?_count=5"]),
        (
            CODES,
            Form(without=("_count", "_sort")),
            ["Observation?patient=p1&code=a|1,b%2C|2"],
        ),
        (
            CODES,
            Form(without=("_count",), one_by_one=("code",)),
            [
                "Observation?patient=p1&code=a|1&_sort=-date",
                "Observation?patient=p1&code=b%2C|2&_sort=-date",
            ],
        ),
        (
            "MedicationRequest?patient=p1",
            Form(without=("_count",), added=(ORDER_AND_PLAN,)),
            ["MedicationRequest?patient=p1&intent=order,plan"],
        ),
        (
            "MedicationRequest?patient=p1&intent=plan",
            Form(without=("_count",), added=(ORDER_AND_PLAN,)),
            ["MedicationRequest?patient=p1&intent=plan"],
        ),
        (
            "MedicationRequest?patient=p1",
            Form(without=("_count",), one_by_one=("intent",), added=(ORDER_AND_PLAN,)),
            [
                "MedicationRequest?patient=p1&intent=order",
                "MedicationRequest?patient=p1&intent=plan",
            ],
        ),
        (
            "Medication?_id=a,b",
            Form(as_reads=True),
            ["Medication/a", "Medication/b"],
        ),
        (
            "Observation?date=ge2020&date=le2021&code=a,b",
            Form(without=("_count",), one_by_one=("code",)),
            [
                "Observation?date=ge2020&date=le2021&code=a",
                "Observation?date=ge2020&date=le2021&code=b",
            ],
        ),
    ],
)
def test_a_query_is_written_as_the_server_wants_it(query, form, written):
    assert queries(query, form) == written


def test_two_parameters_that_take_one_value_make_every_pair():
    form = Form(without=("_count",), one_by_one=("a", "b"))

    assert queries("X?a=1,2&b=3,4", form) == [
        "X?a=1&b=3",
        "X?a=1&b=4",
        "X?a=2&b=3",
        "X?a=2&b=4",
    ]


def test_the_values_of_each_parameter_are_counted():
    assert counts(CODES) == {"patient": 1, "code": 2, "_sort": 1}
    assert counts("Patient/p1") == {}


def test_what_is_said_of_every_type_and_of_one_is_put_together():
    forms = [
        Form(without=("_sort",)),
        Form("Observation", one_by_one=("code",), without=("_count",)),
        Form("Condition", without=("_include",)),
    ]

    assert combine(forms, "Observation") == Form(
        "Observation", ("_count", "_sort"), ("code",)
    )
    assert combine([], "Patient") == Form("Patient")


@pytest.mark.parametrize(
    ("refused", "left", "why"),
    [
        (["option", "proposal"], 6, ""),
        (["plan"], 7, "narrowed by intent"),
        (["order", "option"], 6, "narrowed by intent"),
    ],
)
def test_a_value_that_the_server_does_not_know_costs_nothing_unless_it_is_needed(
    refused, left, why
):
    form = Form("MedicationRequest").asking_for(["intent"])

    settled = settle(form, [("intent", each) for each in refused])

    assert len(settled.added[0].values) == left
    assert settled.why_partial == why


def test_a_parameter_that_is_not_known_is_not_added_and_none_is_added_twice():
    form = Form("MedicationRequest").asking_for(["intent", "magic", "patient"])

    assert [each.name for each in form.added] == ["intent"]
    assert form.asking_for(["intent"]) == form


@pytest.mark.parametrize("kind", DEMANDED)
def test_what_is_needed_is_among_all_there_is_and_stands_first(kind):
    for values in DEMANDED[kind].values():
        assert values.every[: len(values.needed)] == values.needed
        assert len(set(values.every)) == len(values.every)


def test_nobody_vouches_for_a_list_without_what_is_needed():
    assert vouch("MedicationRequest", "intent", ["order"]).whole is False
    assert vouch("MedicationRequest", "intent", ["plan", "order"]).whole is True
    assert vouch("Condition", "category", ["problem-list-item"]).whole is True
    assert vouch("Condition", "category", []).whole is False


def test_a_form_is_told_in_the_words_of_the_clients_file():
    form = Form("MedicationRequest", ("_sort",), ("intent",), (ORDER_AND_PLAN,))

    assert form.facts() == {
        "kind": "MedicationRequest",
        "without": ["_sort"],
        "one_by_one": ["intent"],
        "with": {"intent": ["order", "plan"]},
    }
