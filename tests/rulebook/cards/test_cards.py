"""Cards say what fired, in order, under an identity that an identical retry shares."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from cds_service.fhir.chart import Chart, Source, SourceState
from cds_service.fhir.code_systems import SYSTEMS
from cds_service.protocol import schemas
from cds_service.protocol.cards import CardSource, Coding, Indicator, Link, as_json
from cds_service.protocol.services import Service
from cds_service.rulebook.cards.cards import BuiltCard, draft_cards, identify
from cds_service.rulebook.engine.alerting import Alerting
from cds_service.rulebook.engine.case import Case
from cds_service.rulebook.engine.evaluate import Evaluation, Evaluations, Outcome
from cds_service.rulebook.engine.facts import Criterion, Fact
from cds_service.rulebook.engine.rows.selectors import Selector, Selectors
from cds_service.rulebook.engine.rules import (
    ActionTemplate,
    CardTemplate,
    Rule,
    SuggestionTemplate,
)
from cds_service.rulebook.language.document import Position
from cds_service.rulebook.terminology.valuesets import ValueSet
from cds_service.rulebook.values.text import parse_template
from cds_service.rulebook.values.truth import Reason, ReasonKind

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SERVICE = Service("wearable-review", "patient-view", "Wearable review", "Reviews.")
SELECTORS = Selectors(
    [Selector("medication", "beta-blockers", status="current")],
    {
        "beta-blockers": ValueSet(
            "beta-blockers",
            codes={SYSTEMS["rxnorm"]: frozenset({"866436"})},
            names=("metoprolol",),
        )
    },
)
DRUG = Fact("drug", "medication", (0,), 0, ("medication",), title="Beta-blockers")
ALERT = Fact("watch_alert", "wearable_alert", (), 1, ("wearable_alert",))
ORDER: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/p1"},
    "medicationCodeableConcept": {
        "coding": [{"system": SYSTEMS["rxnorm"], "code": "866436"}],
        "text": "Metoprolol *ER* 50 mg",
    },
    "authoredOn": "2026-10-01",
    "_authoredOn": {"extension": [{"url": "http://x.test", "valueCode": "y"}]},
    "somethingUnknown": {"kept": [1, {"as": "it is"}]},
}
TRUE = Criterion("all", Position(1, 1), lambda case: True)


def chart(*orders: dict[str, Any], **states: SourceState) -> Chart:
    sources = {
        name: Source(name, states.get(name, SourceState.LOADED))
        for name in ("conditions", "medication_statements", "observations")
    }
    state = states.get("medication_requests", SourceState.LOADED)
    sources["medication_requests"] = Source("medication_requests", state, orders)
    return Chart("p1", {"resourceType": "Patient", "id": "p1"}, sources)


def case(*orders: dict[str, Any], **states: SourceState) -> Case:
    return Case(SELECTORS, chart(*orders, **states), (), NOW, UTC)


def card(severity: Indicator = Indicator.WARNING, **parts: Any) -> CardTemplate:
    summary = parse_template(parts.pop("summary", "Review the drug"))
    detail = parse_template(parts.pop("detail", "Why."))
    source = CardSource("Committee", "https://example.org")
    return CardTemplate(
        parts.pop("index", 0), severity, None, summary, detail, source, **parts
    )


def rule(id: str = "a-rule", **parts: Any) -> Rule:
    settings: dict[str, Any] = {
        "id": id,
        "version": "1.0.0",
        "title": "Beta-blocker & pulse",
        "file": f"rules/{id}.yaml",
        "status": "active",
        "approved": True,
        "served": True,
        "hooks": ("patient-view",),
        "facts": {"drug": DRUG, "watch_alert": ALERT},
        "params": MappingProxyType({}),
        "when": TRUE,
        "if_unknown": "silent",
        "cards": (card(),),
    }
    return Rule(**{**settings, **parts})


def once_per(*names: str, id: str = "a-rule") -> Rule:
    return rule(id, alerting=Alerting(once_per=names))


def draft(of: Rule, call: dict[str, str | None], **parts: Any) -> tuple[BuiltCard, ...]:
    fired = fires(of=of, **parts)
    return draft_cards(Evaluations((fired,), fired.case), SERVICE, call)


def fires(
    template: CardTemplate | None = None, of: Rule | None = None, **parts: Any
) -> Evaluation:
    seen = parts.pop("case", None) or case(ORDER)
    return Evaluation(of or rule(), seen, Outcome.FIRES, template or card(), **parts)


def unknown(*reasons: Reason, of: Rule | None = None, **parts: Any) -> Evaluation:
    seen = parts.pop("case", None) or case(ORDER)
    parts.setdefault("could_not_check", True)
    return Evaluation(of or rule(), seen, Outcome.UNKNOWN, reasons=reasons, **parts)


def build(*evaluations: Evaluation, seed: str = "seed") -> tuple[BuiltCard, ...]:
    return identify(
        draft_cards(Evaluations(evaluations, evaluations[0].case), SERVICE), seed
    )


def detail_of(*evaluations: Evaluation) -> str:
    (built,) = build(*evaluations)
    return built.card.detail


def test_a_rule_that_fires_gives_its_card() -> None:
    (built,) = build(
        fires(
            card(
                summary="Slow pulse on {{ drug.name }}",
                detail="**{{ drug.name }}**",
                override_reasons=(Coding("http://x.test", "a", "Already done"),),
                links=(Link("Trend", "https://app.test/launch", "smart", "x"),),
            )
        )
    )

    assert (built.rule, built.version, built.index) == ("a-rule", "1.0.0", 0)
    assert built.title == "Beta-blocker & pulse"
    assert as_json(built.card) == {
        "uuid": built.card.uuid,
        "summary": "Slow pulse on Metoprolol *ER* 50 mg",
        "detail": "**Metoprolol \\*ER\\* 50 mg**",
        "indicator": "warning",
        "source": {"label": "Committee", "url": "https://example.org"},
        "overrideReasons": [
            {"system": "http://x.test", "code": "a", "display": "Already done"}
        ],
        "links": [
            {
                "label": "Trend",
                "url": "https://app.test/launch",
                "type": "smart",
                "appContext": "x",
            }
        ],
        "extension": {"org.cds-service.rule": {"id": "a-rule", "version": "1.0.0"}},
    }


def test_a_rule_that_does_not_fire_or_is_not_served_shows_nothing() -> None:
    silent = Evaluation(rule(), case(), Outcome.NO)
    shadow = rule("shadow", status="shadow", served=False)
    reason = Reason(ReasonKind.NOT_READ, "drug", ("conditions",))

    assert build(silent, fires(of=shadow), unknown(reason, of=shadow)) == ()


def test_c_32_cards_come_most_urgent_first_then_by_priority_then_by_rule() -> None:
    built = build(
        fires(card(Indicator.INFO), rule("info", alerting=Alerting(priority=99))),
        fires(card(Indicator.WARNING), rule("b", alerting=Alerting(priority=1))),
        unknown(Reason(ReasonKind.NOT_READ, "drug", ("conditions",))),
        fires(card(Indicator.WARNING), rule("a", alerting=Alerting(priority=1))),
        fires(card(Indicator.WARNING), rule("c", alerting=Alerting(priority=7))),
        fires(card(Indicator.CRITICAL), rule("critical")),
    )

    assert [each.rule for each in built] == ["critical", "c", "a", "b", "info", ""]


def test_c_2_a_summary_that_the_record_leaves_blank_is_the_rules_title() -> None:
    nameless = {**ORDER, "medicationCodeableConcept": {"text": "\u202e metoprolol"}}
    blank = card(summary="{{ drug.code or ' ' }}")

    (built,) = build(fires(blank, case=case(nameless)))

    assert built.card.summary == "Beta-blocker & pulse"


# Identity


def test_c_1_an_identical_retry_has_the_same_uuids() -> None:
    suggestion = SuggestionTemplate(
        "Stop it", True, (ActionTemplate("delete", "Stop", fact="drug"),)
    )
    first, second = (
        build(fires(card(suggestions=(suggestion,)))),
        build(fires(card(suggestions=(suggestion,)))),
    )

    assert first == second


@pytest.mark.parametrize(
    ("evaluation", "seed"),
    [
        (fires(), "another seed"),
        (fires(of=rule("another-rule")), "seed"),
        (fires(of=rule(version="1.0.1")), "seed"),
        (fires(card(index=1)), "seed"),
        (fires(card(summary="Something else")), "seed"),
        (fires(card(Indicator.CRITICAL)), "seed"),
    ],
    ids=["seed", "rule", "version", "index", "text", "severity"],
)
def test_c_1_whatever_differs_gives_another_uuid(
    evaluation: Evaluation, seed: str
) -> None:
    (usual,) = build(fires())
    (other,) = build(evaluation, seed=seed)

    assert other.card.uuid != usual.card.uuid


def test_c_1_every_uuid_of_a_response_is_its_own_and_in_lower_case() -> None:
    actions = (ActionTemplate("create", "Order", {"resourceType": "ServiceRequest"}),)
    suggestions = (
        SuggestionTemplate("One", False, actions),
        SuggestionTemplate("One", False, actions),
    )
    built = build(
        fires(card(suggestions=suggestions)),
        fires(card(suggestions=suggestions), rule("b")),
        unknown(Reason(ReasonKind.NOT_READ, "drug", ("conditions",))),
    )

    uuids = [each.card.uuid for each in built]
    uuids += [own.uuid for each in built for own in each.card.suggestions]
    assert len(set(uuids)) == len(uuids) == 7
    assert all(str(UUID(each)) == each for each in uuids)


def test_c_1_a_retry_that_another_release_answers_has_the_same_uuids() -> None:
    two = tuple(SuggestionTemplate(each, False, ()) for each in ("One", "Two"))
    several = card(suggestions=two, together="Both", selection="any")
    reason = Reason(ReasonKind.NOT_READ, "drug", ("conditions",))

    shown, unchecked = build(fires(several), unknown(reason, of=rule("b")))

    assert shown.card.uuid == "df4210e9-6f74-5f74-a47a-8c3de3460d6c"
    assert [each.uuid for each in shown.card.suggestions] == [
        "d057905e-2ec5-512c-aa47-1be5b9605030",
        "56b1a7b7-d552-5425-a88f-d977a4471a9c",
    ]
    assert shown.card.together
    assert shown.card.together.uuid == "b1ed5143-2831-59a8-91be-4eb5a9ad2a63"
    assert unchecked.card.uuid == "38704ce8-407c-5bf4-b4b6-53494a99f3da"


def test_c_32_the_same_card_twice_is_shown_once() -> None:
    assert len(build(fires(), fires())) == 1


def test_cards_about_the_same_thing_share_a_key_whatever_the_seed() -> None:
    (one,), (other,) = build(fires()), build(fires(), seed="another")

    assert one.dedup_key == other.dedup_key
    assert json.loads(one.dedup_key) == {
        "patient": "p1",
        "rule": "a-rule",
        "user": None,
    }


def test_the_encounter_stands_in_for_a_user_who_is_not_named() -> None:
    (told,) = draft(rule(), {"user": None, "encounter": "e1"})

    assert told.comparable
    assert json.loads(told.dedup_key) == {
        "encounter": "e1",
        "patient": "p1",
        "rule": "a-rule",
    }


def test_a_rule_may_say_what_makes_its_cards_the_same() -> None:
    own = once_per("patient", "rule", "severity", "drug.code")

    (built,) = build(fires(of=own))

    assert built.dedup_key == (
        '{"drug.code":"http://www.nlm.nih.gov/research/umls/rxnorm|866436",'
        '"patient":"p1","rule":"a-rule","severity":"warning"}'
    )


def test_the_severity_that_makes_cards_the_same_is_the_one_that_is_shown() -> None:
    own = once_per("severity")

    by_name = fires(
        card(Indicator.CRITICAL), own, by_name=("Metoprolol",), decided_by_name=True
    )
    (built,) = build(by_name)

    assert built.dedup_key == '{"rule":"a-rule","severity":"warning"}'
    assert built.comparable


def test_a_rule_is_always_part_of_what_makes_cards_the_same() -> None:
    (one,), (other,) = (
        build(fires(of=once_per("patient", id=id))) for id in ("one", "other")
    )

    assert one.dedup_key != other.dedup_key


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("user", {"user": "Practitioner/7"}),
        ("encounter", {"encounter": "e1"}),
    ],
)
def test_user_and_encounter_are_those_of_the_call(
    name: str, known: dict[str, str | None]
) -> None:
    (told,) = draft(once_per(name), known)

    assert told.comparable
    assert json.loads(told.dedup_key) == {"rule": "a-rule", **known}
    for unknown in ({}, {name: None}, {name: ""}):
        (untold,) = draft(once_per(name), unknown)
        assert not untold.comparable
        assert json.loads(untold.dedup_key) == {"rule": "a-rule", name: None}


def test_a_fact_without_a_value_makes_a_card_like_no_other() -> None:
    (built,) = draft(once_per("drug.started"), {}, case=case())

    assert not built.comparable


# What the server adds


def test_a_medicine_matched_by_name_only_is_said_and_never_critical() -> None:
    (built,) = build(
        fires(
            card(Indicator.CRITICAL),
            by_name=("Metoprolol [x](y)", "Beloc"),
            decided_by_name=True,
        )
    )

    assert built.card.indicator is Indicator.WARNING
    assert built.card.detail == (
        "Why.\n\n**Limits and data:** Recognised by name only: "
        "Metoprolol \\[x\\](y), Beloc."
    )


def test_a_name_that_only_stands_in_the_text_leaves_a_card_critical() -> None:
    (built,) = build(fires(card(Indicator.CRITICAL), by_name=("Narcan",)))

    assert built.card.indicator is Indicator.CRITICAL
    assert built.card.detail is not None and "Narcan." in built.card.detail


def test_a_name_match_does_not_raise_a_milder_card() -> None:
    (built,) = build(fires(card(Indicator.INFO), by_name=("Metoprolol",)))

    assert built.card.indicator is Indicator.INFO


def test_a_card_served_unapproved_says_so() -> None:
    assert detail_of(fires(of=rule(approved=False))) == (
        "Why.\n\n**Limits and data:** This rule awaits local approval."
    )


def test_what_stayed_open_is_said_on_the_card() -> None:
    reason = Reason(ReasonKind.NOT_READ, "drug", ("medication_requests",))
    seen = case(ORDER, medication_requests=SourceState.PARTIAL)

    assert detail_of(fires(reasons=(reason,), severity_uncertain=True, case=seen)) == (
        "Why.\n\n**Limits and data:** "
        "Not known: medication orders could be read only in part."
    )


def test_a_card_without_a_detail_of_its_own_still_says_what_the_server_must() -> None:
    bare = replace(card(), detail=None)

    assert detail_of(fires(bare)) == ""
    assert detail_of(fires(bare, rule(approved=False))) == (
        "**Limits and data:** This rule awaits local approval."
    )


def test_limits_and_what_the_server_says_stand_last_in_one_order() -> None:
    limits = parse_template("No ECG.\nDevice: {{ watch_alert.device or '' }}.")
    reason = Reason(ReasonKind.NOT_READ, "drug", ("medication_requests",))
    seen = case(ORDER, medication_requests=SourceState.MISSING)

    said = detail_of(
        fires(
            card(limits=limits),
            rule(approved=False),
            by_name=("metoprolol",),
            reasons=(reason,),
            case=seen,
        )
    )

    assert said == (
        "Why.\n\n**Limits and data:** No ECG. Recognised by name "
        "only: metoprolol. Not known: medication orders could not be read. This "
        "rule awaits local approval."
    )


# What could not be checked


def unchecked(*reasons: Reason, **parts: Any) -> str:
    """The line of one rule on the card about checks that could not be made."""
    return detail_of(unknown(*reasons, **parts)).splitlines()[-1]


def test_p_22_checks_that_could_not_be_made_share_one_info_card() -> None:
    reason = Reason(ReasonKind.NOT_READ, "drug", ("medication_requests",))
    seen = case(medication_requests=SourceState.MISSING)

    (built,) = build(
        unknown(reason, case=seen),
        unknown(reason, of=rule("b", title="Another *rule*"), case=seen),
    )

    assert as_json(built.card) == {
        "uuid": built.card.uuid,
        "summary": "Some checks could not be made",
        "detail": (
            "**Look these up in the chart: they could not be checked.**\n\n"
            "That they raise no card does not mean that they found nothing to raise."
            "\n\n"
            "- **Beta-blocker \\& pulse**: medication orders could not be read\n"
            "- **Another \\*rule\\***: medication orders could not be read"
        ),
        "indicator": "info",
        "source": {"label": "Wearable review"},
        "extension": {
            "org.cds-service.unchecked": {"rules": ["a-rule@1.0.0", "b@1.0.0"]}
        },
    }
    assert (built.rule, built.version, built.index) == ("", "", 0)
    assert built.dedup_key == (
        '{"patient":"p1","service":"wearable-review",'
        '"unchecked":["a-rule@1.0.0","b@1.0.0"]}'
    )


def test_a_draft_has_no_identity_yet() -> None:
    reason = Reason(ReasonKind.NOT_READ, "drug", ("conditions",))
    suggestion = SuggestionTemplate("Stop it", True, ())
    asked = (fires(card(suggestions=(suggestion,))), unknown(reason, of=rule("b")))

    drafts = draft_cards(Evaluations(asked, asked[0].case), SERVICE)

    assert [each.card.uuid for each in drafts] == ["", ""]
    assert [each.uuid for each in drafts[0].card.suggestions] == [""]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            Reason(ReasonKind.NOT_READ, "drug", ("medication_requests", "conditions")),
            "medication orders could be read only in part; "
            "conditions could not be read",
        ),
        (
            Reason(ReasonKind.NOT_READ, "watch_alert", ("wearable_alerts",)),
            "wearable alerts could not be read",
        ),
        (
            Reason(ReasonKind.UNUSABLE, "drug", (), ("Beloc <b>",)),
            "Beta-blockers: recorded in a form that cannot be used (Beloc \\<b\\>)",
        ),
        (
            Reason(ReasonKind.UNRESOLVED, "drug", (), ("Beloc", "", "_Toprol_")),
            "Beta-blockers: an entry is not recognised and may be one of these "
            "(Beloc, an entry without a name, \\_Toprol\\_)",
        ),
        (
            Reason(ReasonKind.UNCERTAIN, "drug", (), ("Beloc",), "on hold"),
            "Beta-blockers: on hold (Beloc)",
        ),
        (
            Reason(ReasonKind.NOT_READ, "drug", (), ("", "Beloc"), "not <found>"),
            "Beta-blockers: an entry that may be one of these was not read whole: "
            "not \\<found\\> (Beloc)",
        ),
        (
            Reason(ReasonKind.NOT_READ, "drug", (), ("",)),
            "Beta-blockers: an entry that may be one of these was not read whole",
        ),
        (
            Reason(ReasonKind.NOT_READ, "drug", ("care_plans",)),
            "care_plans could not be read",
        ),
        (
            Reason(ReasonKind.UNUSABLE, "quite_another"),
            "quite another: recorded in a form that cannot be used",
        ),
        (
            Reason(ReasonKind.UNUSABLE, "patient"),
            "age, sex or death of the patient: recorded in a form that cannot be used",
        ),
    ],
    ids=["not_read", "alerts", "unusable", "unresolved", "uncertain", "not obtained"]
    + ["without a name", "another source", "another fact", "patient"],
)
def test_what_was_missing_is_said_in_plain_words(reason: Reason, said: str) -> None:
    seen = case(medication_requests=SourceState.PARTIAL, conditions=SourceState.MISSING)

    line = unchecked(reason, case=seen)

    assert line == f"- **Beta-blocker \\& pulse**: {said}"


def test_a_fact_without_a_title_is_called_by_its_name_in_words() -> None:
    line = unchecked(Reason(ReasonKind.UNUSABLE, "watch_alert"))

    assert line.endswith("watch alert: recorded in a form that cannot be used")


def test_what_two_criteria_miss_alike_is_said_once() -> None:
    line = unchecked(
        Reason(ReasonKind.NOT_READ, "drug", ("conditions",)),
        Reason(ReasonKind.NOT_READ, "watch_alert", ("conditions",)),
    )

    assert line.count("conditions could not be read") == 1


def test_many_unresolved_medicines_are_counted() -> None:
    names = tuple(f"Drug {number}" for number in range(1, 13))

    line = unchecked(Reason(ReasonKind.UNRESOLVED, "drug", (), names))

    assert line.endswith("(Drug 1, Drug 2, Drug 3, Drug 4, Drug 5, 7 more)")


@pytest.mark.parametrize(
    ("rules", "lines", "last"),
    [
        (100, 25, "- and 80 more"),
        (21, 25, "- and 1 more"),
        (20, 24, "- **Beta-blocker \\& pulse**: conditions could be read only in part"),
    ],
)
def test_many_rules_are_counted(rules: int, lines: int, last: str) -> None:
    reason = Reason(ReasonKind.NOT_READ, "drug", ("conditions",))
    seen = case(ORDER, conditions=SourceState.PARTIAL)
    many = [
        unknown(reason, of=rule(f"rule-{number}"), case=seen) for number in range(rules)
    ]

    told = detail_of(*many).splitlines()

    assert (len(told), told[-1]) == (lines, last)


def test_a_check_of_which_nothing_failed_to_be_read_is_named_all_the_same() -> None:
    line = unchecked(Reason(ReasonKind.NOT_RECORDED, "drug"))

    assert line == "- **Beta-blocker \\& pulse**"


def test_what_is_merely_not_recorded_is_no_failed_check() -> None:
    not_recorded = Reason(ReasonKind.NOT_RECORDED, "drug")
    failed = Reason(ReasonKind.UNUSABLE, "watch_alert")

    assert "not recorded" not in unchecked(not_recorded, failed)
    assert build(unknown(not_recorded, could_not_check=False)) == ()


def test_a_rule_that_asks_for_a_note_says_what_is_not_recorded_too() -> None:
    line = unchecked(
        Reason(ReasonKind.NOT_RECORDED, "drug"),
        Reason(ReasonKind.BOUNDARY, "watch_alert"),
        could_not_check=False,
        noted=True,
    )

    assert line == (
        "- **Beta-blocker \\& pulse**: Beta-blockers: not recorded; "
        "watch alert: recorded too vaguely to decide"
    )


# Suggestions


def actions_of(*actions: ActionTemplate, **parts: Any) -> list[dict[str, Any]]:
    suggestion = SuggestionTemplate("Do it", False, actions)
    (built,) = build(fires(card(suggestions=(suggestion,)), **parts))
    suggestions: list[dict[str, Any]] = as_json(built.card).get("suggestions", [])
    return [action for each in suggestions for action in each["actions"]]


def test_c_19_a_created_resource_is_filled_and_about_the_patient() -> None:
    template = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "note": [{"text": "On {{ drug.name }}"}],
        "priority": None,
        "quantityQuantity": {"value": 1},
    }

    assert actions_of(ActionTemplate("create", "Order an ECG", template)) == [
        {
            "type": "create",
            "description": "Order an ECG",
            "resource": {
                **template,
                "note": [{"text": "On Metoprolol *ER* 50 mg"}],
                "subject": {"reference": "Patient/p1"},
                "authoredOn": f"{NOW:%Y-%m-%d}",
            },
        }
    ]


@pytest.mark.parametrize(
    ("type_", "member"),
    [("Flag", "subject"), ("Immunization", "patient"), ("DetectedIssue", "patient")],
)
def test_the_patient_is_named_where_the_resource_has_its_place(
    type_: str, member: str
) -> None:
    (action,) = actions_of(ActionTemplate("create", "New", {"resourceType": type_}))

    assert action["resource"] == {
        "resourceType": type_,
        member: {"reference": "Patient/p1"},
    }


def test_a_subject_that_the_rule_names_is_kept() -> None:
    group = {"resourceType": "List", "subject": {"reference": "Group/1"}}

    (action,) = actions_of(ActionTemplate("create", "New", group))

    assert action["resource"] == group


def test_c_20_an_update_is_the_whole_resource_with_every_unknown_element() -> None:
    changes = {"status": "on-hold", "note": [{"text": "{{ drug.name }}"}]}

    assert actions_of(
        ActionTemplate("update", "Pause", fact="drug", changes=changes)
    ) == [
        {
            "type": "update",
            "description": "Pause",
            "resource": {
                **ORDER,
                "status": "on-hold",
                "note": [{"text": "Metoprolol *ER* 50 mg"}],
            },
        }
    ]


def test_c_20_an_update_leaves_the_chart_as_it_was() -> None:
    before = dict(ORDER)

    actions_of(ActionTemplate("update", "Pause", fact="drug", changes={"status": "x"}))

    assert ORDER == before


def test_c_21_a_removal_names_the_resource() -> None:
    assert actions_of(ActionTemplate("delete", "Remove", fact="drug")) == [
        {
            "type": "delete",
            "description": "Remove",
            "resourceId": "MedicationRequest/m1",
        }
    ]


@pytest.mark.parametrize("fact", ["drug", "watch_alert"])
def test_a_suggestion_whose_record_has_no_id_is_left_out(fact: str) -> None:
    without_id = {name: each for name, each in ORDER.items() if name != "id"}

    assert (
        actions_of(
            ActionTemplate("create", "New", {"resourceType": "Task"}),
            ActionTemplate("delete", "Remove", fact=fact),
            case=case(without_id),
        )
        == []
    )


def test_a_suggestion_after_one_that_is_left_out_is_made() -> None:
    impossible = SuggestionTemplate(
        "Remove", False, (ActionTemplate("delete", "Remove", fact="watch_alert"),)
    )
    possible = SuggestionTemplate(
        "Stop", False, (ActionTemplate("delete", "Stop", fact="drug"),)
    )

    (built,) = build(fires(card(suggestions=(impossible, possible))))

    assert [each.label for each in built.card.suggestions] == ["Stop"]


def test_what_may_not_be_sent_to_the_ehr_is_in_no_resource_for_it() -> None:
    quoting = {
        "resourceType": "Task",
        "description": "{{ watch_alert.value or 'An alert' }}",
    }
    plain = {"resourceType": "Task", "description": "{{ drug.name }}"}
    silenced = case(ORDER)
    silenced.may_disclose = False

    asked = [
        actions_of(ActionTemplate("create", "New", each), case=silenced)
        for each in (quoting, plain)
    ]

    assert [len(each) for each in asked] == [0, 1]
    assert len(actions_of(ActionTemplate("create", "New", quoting))) == 1


def test_c_16_some_of_a_suggestion_s_actions_may_be_taken_without_the_others() -> None:
    task = ActionTemplate("create", "New", {"resourceType": "Task"})
    choice = SuggestionTemplate("Do it", False, (task, task), "at-most-one")

    (built,) = build(fires(card(suggestions=(choice,))))

    (shown,) = as_json(built.card)["suggestions"]
    assert shown["actionSelectionBehavior"] == "at-most-one"


def test_c_15_no_two_actions_change_the_same_record() -> None:
    twice = (
        ActionTemplate("update", "Pause", fact="drug", changes={"status": "on-hold"}),
        ActionTemplate("delete", "Remove", fact="drug"),
    )

    assert actions_of(*twice) == []


def test_c_11_at_most_one_suggestion_is_recommended() -> None:
    actions = (ActionTemplate("create", "New", {"resourceType": "Task"}),)
    suggestions = tuple(
        SuggestionTemplate(label, recommended, actions)
        for label, recommended in [("a", False), ("b", True), ("c", True)]
    )

    (built,) = build(fires(card(suggestions=suggestions)))

    assert [each.is_recommended for each in built.card.suggestions] == [
        False,
        True,
        False,
    ]


def test_c_10_a_card_may_let_several_of_its_suggestions_be_taken() -> None:
    actions = (ActionTemplate("create", "New", {"resourceType": "Task"}),)
    suggestions = (SuggestionTemplate("a", False, actions),)

    (usual,) = build(fires(card(suggestions=suggestions)))
    (several,) = build(fires(card(suggestions=suggestions, selection="any")))

    assert as_json(usual.card)["selectionBehavior"] == "at-most-one"
    assert as_json(several.card)["selectionBehavior"] == "any"
    assert usual.card.uuid != several.card.uuid


def test_c_33_every_kind_of_card_passes_the_response_schema() -> None:
    suggestion = SuggestionTemplate(
        "Do it",
        True,
        (
            ActionTemplate("create", "New", {"resourceType": "Task"}),
            ActionTemplate("delete", "Remove", fact="drug"),
        ),
    )
    built = build(
        fires(card(suggestions=(suggestion,)), rule(approved=False), by_name=("x",)),
        fires(card(Indicator.CRITICAL), rule("b")),
        unknown(Reason(ReasonKind.NOT_READ, "drug", ("conditions",))),
    )

    response = {"cards": [as_json(each.card) for each in built]}
    assert schemas.problems("response", response) == []
