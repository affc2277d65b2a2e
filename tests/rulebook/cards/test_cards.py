"""Cards say what fired, in order, under an identity that an identical retry shares."""

import json
from dataclasses import replace
from uuid import UUID

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.protocol import schemas
from cds_service.protocol.cards import Coding, Indicator, Link, as_json
from cds_service.rulebook.engine.alerting import Alerting
from cds_service.rulebook.engine.evaluate import Evaluation, Outcome
from cds_service.rulebook.engine.rules import (
    ActionTemplate,
    SuggestionTemplate,
)
from cds_service.rulebook.values.text import parse_template
from cds_service.rulebook.values.truth import Reason, ReasonKind

from .drafts import (
    ORDER,
    build,
    card,
    case,
    detail_of,
    draft,
    fires,
    once_per,
    rule,
    unknown,
)


def test_a_rule_that_fires_gives_its_card() -> None:
    fired = fires(
        card(
            summary="Slow pulse on {{ drug.name }}",
            detail="**{{ drug.name }}**",
            override_reasons=(Coding("http://x.test", "a", "Already done"),),
            links=(Link("Trend", "https://app.test/launch", "smart", "x"),),
        )
    )
    (built,) = build(fired)

    assert (built.rule, built.version, built.index) == ("a-rule", "1.0.0", 0)
    assert built.title == "Beta-blocker & pulse"
    assert built.case is fired.case
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
    for nobody in ({}, {name: None}, {name: ""}):
        (untold,) = draft(once_per(name), nobody)
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
