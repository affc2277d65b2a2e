"""Every resource of a chart under the selectors that it is of, or may be of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.fhir.code_systems import SYSTEMS
from cds_service.fhir.moments import EVER, Moment
from cds_service.rulebook.engine.rows.chart_index import ChartIndex
from cds_service.rulebook.engine.rows.indexing import index_chart
from cds_service.rulebook.engine.rows.problems import Times
from cds_service.rulebook.engine.rows.readings import Row
from cds_service.rulebook.engine.rows.selectors import Selector, Selectors
from cds_service.rulebook.terminology.expansions import KnownProducts
from cds_service.rulebook.terminology.parts import Measure
from cds_service.rulebook.terminology.valuesets import ValueSet
from cds_service.rulebook.values.intervals import exactly
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.worn import Wearables

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
TIMES = Times(NOW, ZONE)
LOADED, PARTIAL, MISSING = SourceState
RXNORM, ICD, LOINC = SYSTEMS["rxnorm"], SYSTEMS["icd10cm"], SYSTEMS["loinc"]
SNOMED = SYSTEMS["snomed"]
SETS = {
    "beta-blockers": ValueSet(
        "beta-blockers",
        codes={RXNORM: frozenset({"6918"})},
        names=("metoprolol",),
        called={"metoprolol": "metoprolol"},
    ),
    "diabetes": ValueSet(
        "diabetes",
        codes={SNOMED: frozenset({"44054006"})},
        prefixes={ICD: ("E119",)},
        words=("diabetes",),
    ),
    "asthma": ValueSet(
        "asthma", codes={SNOMED: frozenset({"195967001"})}, words=("wheeze",)
    ),
    "heart-rate": ValueSet(
        "heart-rate",
        codes={LOINC: frozenset({"8867-4"})},
        measure=Measure("/min", (20, 300)),
    ),
}
TAKEN, STOPPED, DRAFTED, DIABETES, RATE, LOW, LASTING, CONFIRMED, ANY_RATE = range(9)
ASTHMA, EVER_ASTHMA, ENDED = 9, 10, 11
ASKED = (
    Selector("medication", "beta-blockers", status="current"),
    Selector("medication", "beta-blockers", status="stopped"),
    Selector("medication", "beta-blockers", status="draft", origin="draft_orders"),
    Selector("condition", "diabetes", status="active"),
    Selector("observation", "heart-rate"),
    Selector("wearable_alert", types=("low-heart-rate",)),
    Selector("wearable_alert", types=("low-heart-rate",), status="open"),
    Selector("condition", "diabetes", status="active", confirmed=True),
    Selector("observation", "heart-rate", status="any"),
    Selector("condition", "asthma", status="active"),
    Selector("condition", "asthma", status="any"),
    Selector("wearable_alert", types=("low-heart-rate",), status="closed"),
)


def selectors() -> Selectors:
    """All of them, which remember nothing of other tests."""
    return Selectors(ASKED, SETS)


SOURCES = ("conditions", "medication_requests", "medication_statements", "observations")


def index(
    alerts: list[WearableAlert] | None = None,
    states: dict[str, SourceState] | None = None,
    times: Times = TIMES,
    **read: list[dict[str, Any]],
) -> ChartIndex:
    """What a chart holds of which all was read, unless *states* says otherwise."""
    found = (
        dict.fromkeys(SOURCES, LOADED) | dict.fromkeys(read, LOADED) | (states or {})
    )
    sources = {
        name: Source(name, state, tuple(read.get(name, ())))
        for name, state in found.items()
    }
    return index_chart(selectors(), Chart("p", None, sources), Wearables(alerts), times)


def order(status: str = "active", code: str = "6918", **more: Any) -> dict[str, Any]:
    coding = {"system": RXNORM, "code": code, "display": "Metoprolol"}
    return {
        "resourceType": "MedicationRequest",
        "id": f"m-{status}",
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": {"coding": [coding]},
        "authoredOn": "2026-01-10",
        **more,
    }


def condition(**more: Any) -> dict[str, Any]:
    coding = {"system": ICD, "code": "E11.9"}
    return {
        "resourceType": "Condition",
        "id": "c",
        "code": {"coding": [coding]},
        **more,
    }


def alert(**more: Any) -> WearableAlert:
    start = NOW - timedelta(hours=2)
    usual: dict[str, Any] = {"end": NOW - timedelta(hours=1), "value": 38.0}
    patient = PatientKey("default", "-", "p")
    return WearableAlert(
        "a", patient, "low-heart-rate", start, NOW, **{**usual, **more}
    )


def test_what_was_not_fully_loaded_is_told_by_the_kind_of_fact() -> None:
    states = {"medication_statements": PARTIAL, "observations": MISSING}

    assert index([], states).unread == {
        "condition": (),
        "medication": ("medication_statements",),
        "observation": ("observations",),
        "draft_orders": ("draft_orders",),
        "wearable_alert": (),
        "wearable": (),
        "stream": (),
    }


def test_what_the_chart_does_not_have_at_all_was_not_read() -> None:
    nothing = index_chart(
        selectors(), Chart("p", None, {}), Wearables(alerts=None), TIMES
    )

    assert nothing.unread == {
        "condition": ("conditions",),
        "medication": ("medication_requests", "medication_statements"),
        "observation": ("observations",),
        "draft_orders": ("draft_orders",),
        "wearable_alert": ("wearable_alerts",),
        "wearable": (),
        "stream": (),
    }


@pytest.mark.parametrize(
    ("alerts", "state", "unread"),
    [
        ([], LOADED, ()),
        (None, LOADED, ("wearable_alerts",)),
        ([], PARTIAL, ("wearable_alerts",)),
    ],
)
def test_alerts_were_read_where_they_are_there_and_all(
    alerts: list[WearableAlert] | None, state: SourceState, unread: tuple[str, ...]
) -> None:
    found = index(alerts, {"wearable_alerts": state})

    assert found.unread["wearable_alert"] == unread


@pytest.mark.parametrize(
    ("state", "unread"), [(LOADED, ()), (PARTIAL, ("draft_orders",))]
)
def test_drafts_are_read_from_the_context_and_nothing_else_is_a_draft(
    state: SourceState, unread: tuple[str, ...]
) -> None:
    drafts = [order("draft"), {**order("draft"), "resourceType": "ServiceRequest"}]

    found = index([], {"draft_orders": state}, draft_orders=drafts)

    assert [each.resource for each in found.matches[DRAFTED]] == [drafts[0]]
    assert TAKEN not in found.matches
    assert found.unread["draft_orders"] == unread


def test_an_alert_is_a_row_of_its_end_or_of_now() -> None:
    ended, lasting = alert(source="watch"), alert(end=None, value=None)
    found = index([alert(status="retracted"), ended, lasting])

    first, second = found.rows_of(LOW).rows
    hour_ago = NOW - timedelta(hours=1)
    assert (first.reference, first.name) == ("WearableAlert/a", "low-heart-rate")
    assert (first.moment, first.dated) == (Moment(hour_ago, hour_ago), True)
    assert (first.value, first.alert) == (exactly(38.0), ended)
    assert (second.moment, second.value) == (Moment(NOW, NOW), None)
    assert [each.alert for each in found.rows_of(LASTING).rows] == [lasting]
    assert [each.alert for each in found.rows_of(ENDED).rows] == [ended]
    assert found.has(LOW) and found.counts(LOW)
    assert found.rows_of(LOW)[1:] == ([], [])


def test_an_alert_of_a_type_that_nobody_asks_for_is_no_row() -> None:
    found = index([replace(alert(), type="irregular-rhythm")])

    assert dict(found.worn) == {}


def test_a_match_counts_or_is_open_or_cannot_be_read_or_does_not_count() -> None:
    orders = [
        order(),
        order("on-hold", id="held"),
        order("otherwise", id="odd"),
        order("entered-in-error", id="error"),
        order(id="modified", modifierExtension=[{"url": "x"}]),
    ]

    found = index(medication_requests=orders).rows_of(TAKEN)

    def ids(rows: Any) -> list[tuple[Any, str]]:
        return [(row.resource["id"], row.why) for row in rows]

    assert ids(found.rows) == [("m-active", "")]
    assert ids(found.open) == [("held", "on hold")]
    assert ids(found.unclear) == [
        ("odd", "status or intent cannot be read"),
        ("modified", "modified by an extension"),
    ]


def test_a_row_says_when_and_what_it_is_called_and_by_which_code() -> None:
    found = index(medication_requests=[order()], conditions=[condition()])

    (drug,) = found.rows_of(TAKEN).rows
    (problem,) = found.rows_of(DIABETES).rows
    began = Moment(
        datetime(2026, 1, 10, 5, tzinfo=UTC),
        datetime(2026, 1, 11, 4, 59, 59, 999999, tzinfo=UTC),
    )
    assert (drug.name, drug.code, drug.by_name) == (
        "Metoprolol",
        f"{RXNORM}|6918",
        False,
    )
    assert (drug.moment, drug.dated, drug.since) == (began, True, began)
    assert (problem.name, problem.code) == ("", f"{ICD}|E11.9")
    assert (problem.moment, problem.dated) == (EVER, False)
    assert problem.untimed == "onset not recorded"
    assert problem.not_entered == "date of entry not recorded"


def test_a_medicine_that_is_named_is_a_match_by_name() -> None:
    named = order(medicationCodeableConcept={"text": "Metoprolol 50 mg"})

    found = index(medication_requests=[named])

    (row,) = found.rows_of(TAKEN).rows
    assert (row.name, row.code, row.by_name) == ("Metoprolol 50 mg", "", True)
    assert found.named == {TAKEN, STOPPED}
    assert index(medication_requests=[order()]).named == set()


@pytest.mark.parametrize(
    ("kind", "resource", "ending"),
    [
        (TAKEN, order("completed"), ("completed", None)),
        (
            TAKEN,
            order("stopped", statusChanged="2026-01-10"),
            ("stopped", "2026-01-10"),
        ),
        (DIABETES, condition(abatementBoolean=True), ("ended", None)),
        (TAKEN, order(), None),
        (DIABETES, condition(), None),
    ],
    ids=str,
)
def test_what_is_over_is_given_with_its_end(
    kind: int, resource: dict[str, Any], ending: tuple[str, str | None] | None
) -> None:
    source = "conditions" if kind == DIABETES else "medication_requests"
    past = list(index(**{source: [resource]}).past(kind))

    assert [each.word for _, each in past] == ([ending[0]] if ending else [])
    assert all(bool(each.at) == bool(ending and ending[1]) for _, each in past)
    assert [row.resource for row, _ in past] == ([resource] if ending else [])
    assert [row.why for row, _ in past] == ([""] if ending else [])


def test_an_order_that_is_over_without_a_day_is_given_with_its_start() -> None:
    ((row, ending),) = index(medication_requests=[order("completed")]).past(TAKEN)

    assert (ending.at, ending.ordered) == (None, row.moment)
    assert row.not_entered == ""


def named(name: str, status: str = "active", day: str = "2026-01-10") -> dict[str, Any]:
    """An order of a medicine without a code."""
    concept = {"text": name}
    more = {"medicationCodeableConcept": concept, "authoredOn": day, "id": name + day}
    return order(status, **more)


@pytest.mark.parametrize(
    ("stopped", "has", "open_still"),
    [
        # Of the same name, of the same ingredient, of the same code, of none of them.
        (named("Metoprolol 50", "stopped", "2026-06-01"), False, ""),
        (
            named("Metoprolol 100", "stopped", "2026-06-01"),
            True,
            "active, but a later entry of it was stopped",
        ),
        (named("Atenolol", "stopped", "2026-06-01"), True, ""),
    ],
    ids=["of the same name", "of the same ingredient", "of another medicine"],
)
def test_a_later_stop_is_held_against_what_it_is_a_stop_of(
    stopped: dict[str, Any], has: bool, open_still: str
) -> None:
    found = index(medication_requests=[named("Metoprolol 50"), stopped])

    assert found.has(TAKEN) is has
    assert [row.why for row in found.rows_of(TAKEN).open] == [open_still] * bool(
        open_still
    )
    assert found.counts(TAKEN) is (has and not open_still)


@pytest.mark.parametrize(
    "concept",
    [
        {"text": "The white one", "coding": [{"display": "Metoprolol 50"}]},
        {
            "text": "The white one",
            "coding": [
                {"system": RXNORM, "code": "1", "display": "Something"},
                {"system": RXNORM, "code": "6918", "display": "Metoprolol 50"},
            ],
        },
    ],
    ids=["by the name", "by the code"],
)
def test_a_row_is_called_what_it_was_matched_by(concept: dict[str, Any]) -> None:
    found = index(medication_requests=[order(medicationCodeableConcept=concept)])

    (row,) = found.rows_of(TAKEN).rows
    assert row.name == "Metoprolol 50"


PANEL = {"coding": [{"system": LOINC, "code": "85353-1"}]}
NOT_PERFORMED = {"coding": [{"code": "not-performed"}]}


@pytest.mark.parametrize(
    "whole",
    [
        {"code": PANEL, "valueQuantity": None},
        {"dataAbsentReason": NOT_PERFORMED, "valueQuantity": None},
    ],
    ids=["of another code", "not measured"],
)
def test_the_parts_of_a_panel_are_read_whatever_the_whole_is(
    whole: dict[str, Any],
) -> None:
    other = {"code": PANEL, "valueQuantity": {"value": 9, "unit": "/min"}}
    part = {name: reading()[name] for name in ("code", "valueQuantity")}

    found = index(observations=[reading(component=[other, part], **whole)])

    assert [row.value for row in found.rows_of(RATE, "/min").rows] == [exactly(70)]


def test_a_renewal_goes_on_with_what_was_ordered_before() -> None:
    renewed = order(authoredOn="2026-03-01", id="renewed")

    rows = index(medication_requests=[order(), renewed]).rows_of(TAKEN).rows

    start = datetime(2026, 1, 10, 5, tzinfo=UTC)
    assert [row.since and row.since.low for row in rows] == [start, start]


def test_a_later_stop_is_one_of_the_same_code() -> None:
    coding = {"system": RXNORM, "code": "6918"}
    nameless = {"medicationCodeableConcept": {"coding": [coding]}}

    found = index(
        medication_requests=[
            order(**nameless),
            order("stopped", authoredOn="2026-06-01", **nameless),
        ]
    )

    assert not found.has(TAKEN)


def test_a_medicine_that_its_code_does_not_name_is_called_by_its_text() -> None:
    coding = {"system": RXNORM, "code": "6918"}
    concept = {"coding": [coding], "text": "The small white one"}

    (row,) = (
        index(medication_requests=[order(medicationCodeableConcept=concept)])
        .rows_of(TAKEN)
        .rows
    )

    assert row.name == "The small white one"


def test_of_what_was_never_there_nothing_is_over() -> None:
    assert list(index().past(TAKEN)) == list(index().past(DIABETES)) == []


def test_what_is_taken_by_another_order_has_not_been_stopped() -> None:
    stopped = order("stopped", authoredOn="2026-01-01")

    alone = index(medication_requests=[stopped])
    both = index(medication_requests=[stopped, order(authoredOn="2026-02-01")])

    assert alone.counts(STOPPED)
    assert not both.has(STOPPED)


def reading(**more: Any) -> dict[str, Any]:
    coding = {"system": LOINC, "code": "8867-4"}
    quantity = {"value": 70, "unit": "/min", "code": "/min"}
    return {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"coding": [coding], "text": "Heart rate"},
        "effectiveDateTime": "2026-11-22",
        "valueQuantity": quantity,
        **more,
    }


@pytest.mark.parametrize(
    ("more", "unit", "value", "why", "doubt"),
    [
        ({}, "/min", exactly(70), "", None),
        ({}, "", None, "", None),
        ({}, "kg", None, "no number in the unit asked for", None),
        (
            {"valueQuantity": {"value": 700, "unit": "/min"}},
            "/min",
            None,
            "outside the plausible range, 20 to 300 /min",
            None,
        ),
        (
            {"valueQuantity": None},
            "/min",
            None,
            "no value, and no reason why there is none",
            "unusable",
        ),
    ],
    ids=str,
)
def test_a_reading_has_its_value_in_the_unit_that_is_asked_for(
    more: dict[str, Any], unit: str, value: Any, why: str, doubt: str | None
) -> None:
    (row,) = index(observations=[reading(**more)]).rows_of(RATE, unit).rows

    assert (row.value, row.why, row.doubt and row.doubt.value) == (value, why, doubt)
    assert row.name == "Heart rate"
    assert row.moment == Moment(
        datetime(2026, 11, 22, 5, tzinfo=UTC),
        datetime(2026, 11, 23, 4, 59, 59, 999999, tzinfo=UTC),
    )
    assert (row.dated, row.untimed, row.not_entered) == (True, "", "")


def test_a_reading_without_a_time_says_that_it_has_none() -> None:
    timeless = {
        name: each for name, each in reading().items() if name[:9] != "effective"
    }

    (row,) = index(observations=[timeless]).rows_of(RATE).rows

    assert (row.dated, row.untimed) == (False, "time not recorded")


def test_the_rows_of_two_units_are_read_apart() -> None:
    found = index(observations=[reading()])

    assert found.rows_of(RATE, "/min") is found.rows_of(RATE, "/min")
    assert found.rows_of(RATE, "/min").rows[0].value == exactly(70)
    assert found.rows_of(RATE, "/s").rows[0].value != exactly(70)


@pytest.mark.parametrize(
    ("concept", "meant", "unplaced"),
    [
        ({"text": "Diabetes mellitus"}, ["Diabetes mellitus"], []),
        ({"text": "Asthma"}, [], ["Asthma"]),
        ({"coding": [{"system": ICD, "code": "J45"}]}, [], []),
        ({"coding": [{"system": ICD, "code": "E11"}]}, ["E11"], []),
        (
            {"coding": [{"system": SNOMED, "code": "73211009"}], "text": "Goitre"},
            [],
            [],
        ),
        (
            {
                "coding": [{"system": SNOMED, "code": "1"}],
                "text": "Diabetes of the eye",
            },
            ["Diabetes of the eye"],
            [],
        ),
        ({}, [], [""]),
        ({"coding": [{"system": "http://example.org", "code": "7"}]}, [], ["7"]),
    ],
    ids=str,
)
def test_a_problem_is_meant_by_its_words_or_may_be_anything_without_any(
    concept: dict[str, Any], meant: list[str], unplaced: list[str]
) -> None:
    found = index(conditions=[condition(code=concept)])

    assert [row.name for row in found.meant.get(DIABETES, ())] == meant
    names = [row.name for row in unplaced_for(found, DIABETES)]
    assert [name.rpartition(" ")[2] for name in names] == unplaced


def unplaced_for(found: ChartIndex, slot: int) -> list[Row]:
    return found.unplaced.get(found.selectors.group_of[slot], [])


def test_each_group_is_asked_whether_a_code_settles_it() -> None:
    of_icd = {"coding": [{"system": ICD, "code": "J45"}], "text": "Asthma"}

    found = index(conditions=[condition(code=of_icd)])

    assert unplaced_for(found, DIABETES) == []
    assert [row.name for row in unplaced_for(found, ASTHMA)] == ["Asthma"]


def test_words_for_one_problem_leave_another_as_settled_as_its_code_does() -> None:
    both = {"coding": [{"system": ICD, "code": "J45"}], "text": "Diabetes, asthma"}
    wheeze = {"coding": [{"system": SNOMED, "code": "1"}], "text": "Wheeze"}

    of_icd, of_snomed = (
        index(conditions=[condition(code=each)]) for each in (both, wheeze)
    )

    assert unplaced_for(of_icd, DIABETES) == [] == list(of_icd.meant)
    assert [row.name for row in unplaced_for(of_icd, ASTHMA)] == ["Diabetes, asthma"]
    assert unplaced_for(of_snomed, DIABETES) == []
    assert [row.name for row in of_snomed.meant[ASTHMA]] == ["Wheeze"]


@pytest.mark.parametrize(
    ("system", "imported", "likely"),
    [(RXNORM, True, False), (RXNORM, False, True), (ICD, True, True)],
)
def test_a_medicine_that_is_not_placed_may_be_any_unless_an_import_would_have_it(
    system: str, imported: bool, likely: bool
) -> None:
    known = KnownProducts(frozenset({"6918"})) if imported else KnownProducts()
    sets = {"beta-blockers": replace(SETS["beta-blockers"], known=known)}
    asked = Selectors([ASKED[TAKEN]], sets)
    coding = {"system": system, "code": "999", "display": "Some tablets"}
    drug = order(medicationCodeableConcept={"coding": [coding]})
    source = Source("medication_requests", LOADED, (drug,))

    found = index_chart(
        asked, Chart("p", None, {source.name: source}), Wearables(), TIMES
    )

    ((row,),) = found.unplaced.values()
    assert (row.likely, row.why) == (likely, "no value set can place it")


def test_what_does_not_count_for_one_group_may_be_in_doubt_for_the_next() -> None:
    over = condition(code={"text": "Goitre"}, clinicalStatus="resolved")

    found = index(conditions=[over])

    assert unplaced_for(found, ASTHMA) == []
    assert [row.name for row in unplaced_for(found, EVER_ASTHMA)] == ["Goitre"]


def test_a_problem_is_confirmed_where_that_is_asked_for() -> None:
    sure = {"verificationStatus": "confirmed", "recordedDate": "2026-01-10"}

    assert not index(conditions=[condition()]).has(CONFIRMED)
    assert index(conditions=[condition()]).has(DIABETES)
    (row,) = index(conditions=[condition(**sure)]).rows_of(CONFIRMED).rows
    assert row.reference == "Condition/c"
    assert row.entered == Moment(
        datetime(2026, 1, 10, 5, tzinfo=UTC),
        datetime(2026, 1, 11, 4, 59, 59, 999999, tzinfo=UTC),
    )


def test_a_preliminary_reading_counts_where_any_is_asked_for() -> None:
    found = index(observations=[reading(status="preliminary")])

    assert found.counts(ANY_RATE) and not found.has(RATE)


@pytest.mark.parametrize(("hour", "taken"), [(20, True), (4, True), (5, False)])
def test_a_statement_counts_until_its_last_day_is_over_at_the_site(
    hour: int, taken: bool
) -> None:
    statement = {
        **order(effectivePeriod={"start": "2026-01-10", "end": "2026-11-22"}),
        "resourceType": "MedicationStatement",
    }
    day = 22 if hour == 20 else 23
    times = Times(datetime(2026, 11, day, hour, tzinfo=UTC), ZONE)

    found = index(times=times, medication_statements=[statement])

    assert found.counts(TAKEN) is taken
