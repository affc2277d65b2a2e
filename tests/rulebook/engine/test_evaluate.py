"""What comes of a rule: fires, does not, or is unknown and who hears of it."""

from datetime import UTC, date, datetime, timedelta
from itertools import product
from textwrap import dedent
from typing import Any

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.fhir.moments import EVER
from cds_service.rulebook.engine.evaluate import (
    Outcome,
    ask_all,
    evaluate,
    evaluate_case,
    evaluate_rule,
    open_case,
    wearables_asked,
)
from cds_service.rulebook.values.text import PARAMETER
from cds_service.wearables.worn import Wearables, WearablesAsked

LOADED, PARTIAL, MISSING = SourceState

FACTS = """\
dm: {condition: {in: diabetes}}
bb: {medication: {in: beta-blockers}}
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
"""

CONDITION = {
    "resourceType": "Condition",
    "id": "c",
    "code": {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11"}]
    },
}
UNCODED = {"resourceType": "Condition", "id": "u", "code": {"text": "sugar disease"}}
BETA_BLOCKER = {
    "resourceType": "MedicationRequest",
    "id": "m",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "Metoprolol"},
}


def outcome(evaluations: Any) -> tuple[Outcome, bool] | None:
    if not evaluations.items:
        return None
    (only,) = evaluations.items
    return only.outcome, only.could_not_check


def test_a_rule_that_lacks_a_result_is_silently_unknown(rules: Any, chart: Any) -> None:
    when = "all: [{dm: present}, {hr: {latest: {above: 100}}}]"

    lacking = rules.evaluate(FACTS, when, chart(conditions=[CONDITION]))

    assert outcome(lacking) in (None, (Outcome.UNKNOWN, False))


def test_p_22_a_rule_that_could_not_be_checked_says_so(rules: Any, chart: Any) -> None:
    when = "all: [{dm: present}, {hr: {latest: {above: 100}}}]"
    unread = chart(conditions=[CONDITION], states={"observations": MISSING})

    assert outcome(rules.evaluate(FACTS, when, unread)) == (Outcome.UNKNOWN, True)


def test_what_could_not_be_read_is_no_matter_if_something_else_decides(
    rules: Any, chart: Any
) -> None:
    when = "all: [{dm: present}, {hr: {latest: {above: 100}}}]"
    without = chart(states={"observations": MISSING})

    found = rules.evaluate(FACTS, when, without)

    assert outcome(found) in (None, (Outcome.NO, False))


def test_what_could_not_be_read_is_no_matter_if_a_lacking_result_decides(
    rules: Any, chart: Any
) -> None:
    # Even with the problem list, the missing heart rate would keep the rule silent.
    when = "all: [{dm: absent}, {hr: {latest: {above: 100}}}]"
    unread = chart(states={"conditions": MISSING})

    assert outcome(rules.evaluate(FACTS, when, unread)) in (
        None,
        (Outcome.UNKNOWN, False),
    )


@pytest.mark.parametrize(
    ("if_unknown", "conditions", "expected"),
    [
        ("silent", LOADED, (Outcome.UNKNOWN, False)),
        ("note", LOADED, (Outcome.UNKNOWN, False)),
        ("fire", LOADED, (Outcome.FIRES, False)),
        ("silent", MISSING, (Outcome.UNKNOWN, False)),
        ("fire", MISSING, (Outcome.UNKNOWN, True)),
    ],
)
def test_if_unknown_governs_what_is_not_recorded(
    rules: Any, chart: Any, if_unknown: str, conditions: SourceState, expected: Any
) -> None:
    when = "all: [{hr: {latest: {above: 100}}}, {dm: absent}]"
    patient = chart(states={"conditions": conditions})
    rules.files["test.yaml"] = ""

    found = rules.evaluate(FACTS, when, patient, more=f"if_unknown: {if_unknown}")

    # A silent rule without readings need not even be asked.
    assert outcome(found) == expected or (if_unknown == "silent" and not found.items)
    if if_unknown == "note":
        assert found.items[0].noted


CARDS = """\
cards:
  - {severity: critical, when: {hr: {latest: {above: 150}}}, summary: Very fast}
  - {severity: warning, when: {dm: present}, summary: Diabetes}
card_defaults: {source: {label: Test}}
"""


def with_cards(rules: Any, patient: Any, more: str = "if_unknown: silent") -> Any:
    rules.evaluate(FACTS, "bb: present", patient)
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text[: text.index("card:")] + CARDS + more + "\n"
    compiled = rules.compile()
    assert compiled.rulebook, compiled.findings

    service = compiled.rulebook.services["review", "patient-view"]
    return evaluate(service, patient, Wearables(), rules.now)


def test_the_first_true_card_wins(rules: Any, chart: Any, reading: Any) -> None:
    patient = chart(
        conditions=[CONDITION], requests=[BETA_BLOCKER], observations=[reading(160)]
    )

    (only,) = with_cards(rules, patient).items

    assert only.card.index == 0
    assert not only.severity_uncertain


def test_a_later_card_is_shown_though_a_more_severe_one_is_unknown(
    rules: Any, chart: Any
) -> None:
    patient = chart(conditions=[CONDITION], requests=[BETA_BLOCKER])

    (only,) = with_cards(rules, patient).items

    assert (only.outcome, only.card.index, only.severity_uncertain) == (
        "fires",
        1,
        True,
    )
    assert {reason.kind for reason in only.reasons} == {"not_recorded"}


def test_no_card_is_no_outcome(rules: Any, chart: Any, reading: Any) -> None:
    patient = chart(requests=[BETA_BLOCKER], observations=[reading(80)])

    (only,) = with_cards(rules, patient).items

    assert only.outcome is Outcome.NO


WHENS = [
    "dm: present",
    "hr: {latest: {above: 100}}",
    "all: [{dm: present}, {bb: present}]",
    "all: [{bb: present}, {dm: absent}]",
    "all: [{hr: {latest: {above: 100}}}, {any: [{low: present}, {dm: absent}]}]",
    "all: [{all: [{low: present}, {bb: present}]}, {hr: {count: {below: 1}}}]",
    "any: [{dm: present}, {hr: absent}]",
    "none: [{dm: present}]",
    "all: [{low: {value: {below: 40}}}, {none: [{bb: present}]}]",
]


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("if_unknown", ["silent", "note"])
def test_the_trigger_index_overlooks_nothing(
    rules: Any, chart: Any, reading: Any, wearable: Any, when: str, if_unknown: str
) -> None:
    """Asked or not asked, a rule shows the same and notes the same."""
    conditions = [[], [CONDITION], [UNCODED]]
    requests = [[], [BETA_BLOCKER]]
    observations = [[], [reading(110)], [reading("?")]]
    alerts = [[], [wearable(value=38.0, unit="/min")]]
    states = [{}, {"conditions": PARTIAL}, {"observations": MISSING}]
    rules.evaluate(FACTS, when, chart(), more=f"if_unknown: {if_unknown}")
    compiled = rules.compile()
    service = compiled.rulebook.services["review", "patient-view"]

    for c, r, o, a, s in product(conditions, requests, observations, alerts, states):
        patient = chart(conditions=c, requests=r, observations=o, states=s)
        found = evaluate(service, patient, Wearables(a), rules.now)
        asked = evaluate_rule(service.rules[0], found.case)
        heard = asked.outcome is Outcome.FIRES or asked.could_not_check or asked.noted
        if heard:
            assert [each.outcome for each in found.items] == [asked.outcome]
            assert found.items[0].could_not_check == asked.could_not_check


REFUTED = {**CONDITION, "verificationStatus": {"coding": [{"code": "refuted"}]}}


@pytest.mark.parametrize(
    ("read", "asked"),
    [
        ({"conditions": [CONDITION], "requests": [BETA_BLOCKER]}, 1),
        ({"conditions": [CONDITION]}, 0),
        ({"requests": [BETA_BLOCKER]}, 0),
        ({"conditions": [REFUTED], "requests": [BETA_BLOCKER]}, 0),
        ({"conditions": [CONDITION], "states": {"medication_requests": MISSING}}, 1),
        ({"requests": [BETA_BLOCKER], "states": {"conditions": PARTIAL}}, 1),
        ({"states": {"conditions": PARTIAL}}, 0),
    ],
)
def test_a_rule_that_lacks_what_must_be_present_is_not_asked(
    rules: Any, chart: Any, read: Any, asked: int
) -> None:
    when = "all: [{dm: present}, {bb: present}]"

    assert len(rules.evaluate(FACTS, when, chart(**read)).items) == asked


@pytest.mark.parametrize(
    ("governance", "asked"),
    [
        ("", True),
        ("governance: {effective: 2026-11-22}", True),
        ("governance: {effective: 2026-11-23}", False),
        ("governance: {expires: 2026-11-22}", False),
        ("governance: {expires: 2026-11-23}", True),
    ],
)
def test_a_rule_is_in_force_by_the_sites_calendar(
    rules: Any, chart: Any, governance: str, asked: bool
) -> None:
    patient = chart(conditions=[CONDITION])

    found = rules.evaluate(FACTS, "dm: present", patient, more=governance)

    assert bool(found.items) is asked


@pytest.mark.parametrize(
    ("site", "status", "asked", "served"),
    [
        ("unapproved: serve", "active", True, True),
        ("unapproved: withhold", "active", True, False),
        ("unapproved: serve", "shadow", True, False),
        ("unapproved: serve", "draft", False, False),
    ],
)
def test_status_and_approval_decide_what_is_shown(
    rules: Any, chart: Any, site: str, status: str, asked: bool, served: bool
) -> None:
    rules.files["site.yaml"] = (
        f"format: 1\ntime_zone: UTC\n{site}\nrules: {{test: {{status: {status}}}}}\n"
    )

    found = rules.evaluate(FACTS, "dm: present", chart(conditions=[CONDITION]))

    assert bool(found.items) is asked
    assert all(each.rule.served is served for each in found.items)


def test_alerts_are_read_as_far_back_as_the_rules_look(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, "low: present", chart())
    week = rules.compile().rulebook.services["review", "patient-view"]
    rules.evaluate("dm: {condition: {in: diabetes}}", "dm: present", chart())
    never = rules.compile().rulebook.services["review", "patient-view"]

    asked = wearables_asked(week, rules.now).alerts

    assert asked == {"low-heart-rate": rules.now - timedelta(days=7)}
    assert wearables_asked(never, rules.now).alerts == {}


def test_the_past_is_asked_for_in_months_of_the_sites_calendar(
    rules: Any, chart: Any
) -> None:
    facts = "low: {wearable_alert: {type: [low-heart-rate], within: 1 month}}"
    rules.evaluate(facts, "low: present", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]
    in_winter_time = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)

    asked = wearables_asked(service, in_winter_time).alerts

    assert asked == {"low-heart-rate": datetime(2026, 10, 22, 1, 30, tzinfo=UTC)}


def test_alerts_are_asked_as_far_back_as_any_rule_looks_for_their_type(
    rules: Any, chart: Any
) -> None:
    facts = """\
        week: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
        day: {wearable_alert: {type: [low-heart-rate], within: 1 day}}
        odd: {wearable_alert: {type: [irregular-rhythm, fast-heart], within: 2 days}}
        """
    any_of = "any: [{week: present}, {day: present}, {odd: present}]"
    rules.evaluate(dedent(facts), any_of, chart())
    service = rules.compile().rulebook.services["review", "patient-view"]

    asked = wearables_asked(service, rules.now).alerts

    assert {each: (rules.now - since).days for each, since in asked.items()} == {
        "low-heart-rate": 7,
        "irregular-rhythm": 2,
        "fast-heart": 2,
    }


def test_alerts_without_a_window_are_asked_for_for_ever(rules: Any, chart: Any) -> None:
    facts = """\
        low: {wearable_alert: {type: [low-heart-rate]}}
        odd: {wearable_alert: {type: [irregular-rhythm], within: 7 days}}
        """
    rules.evaluate(dedent(facts), "all: [{low: present}, {odd: present}]", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]

    asked = wearables_asked(service, rules.now).alerts

    assert asked["low-heart-rate"] == EVER.low
    assert asked["irregular-rhythm"] == rules.now - timedelta(days=7)


def test_alerts_that_last_need_none_of_those_that_are_long_over(
    rules: Any, chart: Any
) -> None:
    facts = "lasts: {wearable_alert: {type: [irregular-rhythm], status: open}}"
    rules.evaluate(facts, "lasts: present", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]

    asked = wearables_asked(service, rules.now).alerts

    # Which of a row it is shows by what was shortly before it.
    assert asked == {"irregular-rhythm": rules.now - timedelta(days=30)}


def test_those_that_ended_are_asked_for_ever_where_no_window_is_named(
    rules: Any, chart: Any
) -> None:
    facts = "over: {wearable_alert: {type: [irregular-rhythm], status: closed}}"
    rules.evaluate(facts, "over: present", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]

    assert wearables_asked(service, rules.now).alerts == {"irregular-rhythm": EVER.low}


def test_text_is_of_a_fact_of_the_patient_or_of_a_param(
    rules: Any, chart: Any, reading: Any
) -> None:
    seen = chart(requests=[BETA_BLOCKER], observations=[reading(80)])
    (found,) = rules.evaluate(
        FACTS, "bb: present", seen, more="params: {limit: {default: 50, unit: /min}}"
    ).items

    def shown(fact: str, attribute: str) -> str:
        text = found.text(fact, attribute)
        return text.text if text else "-"

    assert shown("hr", "latest") == "80 /min"
    assert shown("patient", "age") == "68"
    assert shown("patient", "sex") == "-"
    assert shown(PARAMETER, "limit") == "50 /min"


def test_the_newest_row_of_a_fact_is_the_last_in_time(
    rules: Any, chart: Any, reading: Any
) -> None:
    readings = [reading(value, f"{value} hours") for value in (60, 70, 80)]
    (found,) = rules.evaluate(FACTS, "hr: present", chart(observations=readings)).items

    assert found.newest("hr").resource == readings[0]
    assert found.newest("dm") is None


@pytest.mark.parametrize(
    ("when", "card", "decided"),
    [
        ("all: [{dm: present}, {bb: present}]", "", True),
        ("dm: present", "", False),
        ("dm: present", "  when: {bb: present}\n", True),
        ("dm: present", "  when: {hr: absent}\n", False),
        ("any: [{dm: present}, {all: [{bb: present}]}]", "", True),
    ],
)
def test_a_name_decides_where_a_condition_asks_for_what_it_alone_identifies(
    rules: Any, chart: Any, when: str, card: str, decided: bool
) -> None:
    rules.rule(FACTS, when)
    rules.files["test.yaml"] += card
    service = rules.compile().rulebook.services["review", "patient-view"]
    seen = chart(conditions=[CONDITION], requests=[BETA_BLOCKER])

    (found,) = evaluate(service, seen, Wearables(), rules.now).items

    assert (found.by_name, found.decided_by_name) == (("metoprolol",), decided)


def test_a_medicine_that_a_code_identifies_as_well_is_none_by_name(
    rules: Any, chart: Any
) -> None:
    coding = {"system": "rxnorm", "code": "6918"}
    coded = {
        **BETA_BLOCKER,
        "id": "m2",
        "medicationCodeableConcept": {"coding": [coding]},
    }

    (found,) = rules.evaluate(
        FACTS, "bb: present", chart(requests=[BETA_BLOCKER, coded])
    ).items

    assert (found.by_name, found.decided_by_name) == ((), False)


def test_all_rules_may_be_asked_also_those_that_cannot_fire(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(FACTS, "dm: present", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]
    case = open_case(service, chart(), Wearables(), rules.now)

    assert [each.outcome for each in ask_all(service, case).items] == [Outcome.NO]
    assert evaluate_case(service, case).items == ()


def test_what_may_be_disclosed_and_drawn_is_known_by_the_case(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(FACTS, "dm: present", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]

    kept = evaluate(
        service, chart(), Wearables(), rules.now, may_disclose=False, draws=False
    ).case
    usual = evaluate(service, chart(), Wearables(), rules.now).case

    assert (kept.may_disclose, kept.draws) == (False, False)
    assert (usual.may_disclose, usual.draws) == (True, True)


def test_a_name_of_what_is_not_taken_decides_nothing(rules: Any, chart: Any) -> None:
    held = {**BETA_BLOCKER, "status": "on-hold"}
    either = "any: [{dm: present}, {bb: present}]"

    (found,) = rules.evaluate(FACTS, either, chart([CONDITION], [held])).items

    assert (found.by_name, found.decided_by_name) == ((), False)


@pytest.mark.parametrize(
    ("when", "states", "outcome", "reasons"),
    [
        ("dm: present", {}, Outcome.FIRES, set()),
        ("dm: absent", {}, Outcome.NO, set()),
        ("hr: {latest: {above: 100}}", {}, Outcome.UNKNOWN, {"not_recorded"}),
        (
            "bb: present",
            {"medication_requests": MISSING},
            Outcome.UNKNOWN,
            {"not_read"},
        ),
    ],
)
def test_an_evaluation_says_of_which_rule_and_which_case_it_is(
    rules: Any,
    chart: Any,
    when: str,
    states: dict[str, SourceState],
    outcome: Outcome,
    reasons: set[str],
) -> None:
    rules.rule(FACTS, when, "if_unknown: note")
    rulebook = rules.compile().rulebook
    service = rulebook.services["review", "patient-view"]
    case = open_case(service, chart([CONDITION], states=states), Wearables(), rules.now)

    found = evaluate_rule(rulebook.rules["test"], case)

    assert (found.rule, found.case) == (rulebook.rules["test"], case)
    assert found.outcome is outcome
    assert {each.kind.value for each in found.reasons} == reasons


def test_a_rule_of_which_no_card_is_due_says_so_of_its_case(
    rules: Any, chart: Any, reading: Any
) -> None:
    seen = chart(requests=[BETA_BLOCKER], observations=[reading(80)])

    found = with_cards(rules, seen)

    (only,) = found.items
    assert (only.rule.id, only.case, only.outcome) == ("test", found.case, Outcome.NO)


def test_a_case_is_opened_as_the_site_reads_it(rules: Any, chart: Any) -> None:
    rules.rule(FACTS, "dm: present")
    rules.files[
        "site.yaml"
    ] += "unresolved: ignore\nreading: {encounter_diagnosis: 1 month}\n"
    service = rules.compile().rulebook.services["review", "patient-view"]
    encounter = [{"coding": [{"code": "encounter-diagnosis"}]}]
    said = {**CONDITION, "category": encounter, "recordedDate": "2026-09-01"}
    late_in_the_evening = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)

    case = open_case(service, chart([said]), Wearables(), late_in_the_evening)

    assert (case.zone, case.today) == (service.site.time_zone, date(2026, 11, 21))
    assert case.heeding_unresolved() is not case
    (found,) = evaluate_case(service, case).items
    assert [each.why for each in found.reasons] == [
        "a diagnosis of an encounter long ago, without a status"
    ]


def test_what_is_asked_of_wearables_is_told_with_how_far_back(
    rules: Any, chart: Any
) -> None:
    facts = """
        rate: {wearable: {metric: heart-rate, unit: /min, within: 7 days}}
        lately: {wearable: {metric: heart-rate, summary: max, within: 2 days}}
        steady: {wearable: {metric: heart-rate, summary: min, within: 3 days}}
        night: {wearable: {metric: heart-rate, part: night, unit: /min, within: 3 days}}
        silent: {stream: {metric: steps, silent_for: 3 days}}
        unjudged: {stream: {detector: fast, within: 5 days}}
        not_lately: {stream: {detector: fast, within: 2 days}}
        """
    names = ("rate", "lately", "steady", "night", "silent", "unjudged", "not_lately")
    asked = ", ".join(f"{{{name}: present}}" for name in names)
    when = f"any: [{asked}]"
    rules.evaluate(dedent(facts), when, chart())
    service = rules.compile().rulebook.services["review", "patient-view"]

    found = wearables_asked(service, rules.now)

    # A day more, since it may be another day where the wearer is.
    assert found == WearablesAsked(
        {},
        {
            ("heart-rate", "day"): date(2026, 11, 14),
            ("heart-rate", "night"): date(2026, 11, 18),
        },
        frozenset({"steps"}),
        {"fast": date(2026, 11, 16)},
    )
    evening = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
    assert wearables_asked(service, evening).detectors == {"fast": date(2026, 11, 15)}


def test_rules_that_ask_nothing_of_wearables_have_nothing_read(
    rules: Any, chart: Any
) -> None:
    rules.evaluate("dm: {condition: {in: diabetes}}", "dm: present", chart())
    service = rules.compile().rulebook.services["review", "patient-view"]

    assert not wearables_asked(service, rules.now)
