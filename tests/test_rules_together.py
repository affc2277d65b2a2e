"""The shipped rules side by side: what a patient gets whom several of them concern.

All are asked as on a real call, with those in shadow made active by the site.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import wrap
from typing import Any

import pytest

from cds_service.protocol.cards import Card, Indicator
from cds_service.rulebook.cards.cards import draft_cards
from cds_service.rulebook.cards.shape import flaws
from cds_service.rulebook.cards.suppression import Held, Why, decide, hold_back
from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.engine.alerting import Display
from cds_service.rulebook.engine.evaluate import evaluate
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.load import read_folder
from cds_service.rulebook.testing.example_patients import PatientWriter
from cds_service.rulebook.testing.examples import Example, example_names, read_examples
from cds_service.wearables.worn import Wearables

pytestmark = pytest.mark.no_cover

FILES = read_folder(Path(__file__).parent.parent / "rules")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

BETA_BLOCKER = "beta-blocker-resting-tachycardia"
NO_ANTICOAGULANT = "af-irregular-rhythm-no-anticoagulant"
POSSIBLE_AF = "irregular-rhythm-no-known-af"
FAST_AF = "af-fast-rate"
SLOWING_MEDICINE = "av-nodal-agent-bradycardia"
TWO_MEDICINES = "two-av-nodal-agents-bradycardia"
DEMENTIA_MEDICINE = "cholinesterase-inhibitor-bradycardia"
LOW_GLUCOSE = "hypoglycaemia-on-insulin-or-sulfonylurea"
FAST_AT_REST = "fast-heart-rate-at-rest"

FIBRILLATION = {"code": "icd10cm|I48.20", "name": "Chronic atrial fibrillation"}
METOPROLOL = {"code": "rxnorm|6918", "name": "metoprolol", "status": "active"}
VERAPAMIL = {"code": "rxnorm|11170", "name": "verapamil", "status": "active"}
DONEPEZIL = {"code": "rxnorm|135447", "name": "donepezil", "status": "active"}
GLARGINE = {"code": "rxnorm|274783", "name": "insulin glargine", "status": "active"}
SLOW = {"type": "low-heart-rate", "at": "2026-11-21T15:10:00-05:00", "value": 43}
FAST = {
    "type": "high-resting-heart-rate",
    "at": "2026-11-21T15:10:00-05:00",
    "for": "45 minutes",
    "value": 131,
    "stat": "mean",
}
IRREGULAR = {"type": "irregular-rhythm", "at": "2026-11-20T21:40:00-05:00"}


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    """The shipped rules, those in shadow made active."""
    shipped = compile_rulebook(FILES).rulebook
    assert shipped is not None
    site = FILES["site.yaml"] + "rules:\n"
    for name, rule in shipped.rules.items():
        if rule.status == "shadow":
            site += f"  {name}: {{ status: active }}\n"
    active = compile_rulebook({**FILES, "site.yaml": site}).rulebook
    assert active is not None
    assert {rule.status for rule in active.rules.values()} == {"active"}
    return active


def ask(rulebook: Rulebook, patient: Mapping[str, Any], now: datetime = NOW) -> Held:
    """What is shown and held back where the patient's chart is opened."""
    ((_, service),) = rulebook.services.items()
    site = rulebook.site
    written = PatientWriter(patient, now, site.time_zone, ())
    alerts = written.alerts(rulebook.catalogue.alert_types)
    evaluations = evaluate(service, written.chart(), Wearables(alerts), now)
    drafts = draft_cards(evaluations, service.service)
    return hold_back(drafts, (), site.limits, now, site.time_zone)


def adult(**more: Any) -> dict[str, Any]:
    return {"born": "1955-08-30", "sex": "male", **more}


def only_card(held: Held) -> Card:
    (shown,) = held.shown
    return shown.card


def shown(held: Held) -> list[str]:
    return [each.rule for each in held.shown]


def grouped(held: Held) -> list[str]:
    assert {each.why for each in held.suppressed} <= {Why.GROUPED}
    return [each.card.rule for each in held.suppressed]


def test_a_fast_rate_in_fibrillation_on_a_beta_blocker_is_one_card(
    rulebook: Rulebook,
) -> None:
    patient = adult(
        conditions=[FIBRILLATION], medications=[METOPROLOL], wearable_alerts=[FAST]
    )

    held = ask(rulebook, patient)

    assert (shown(held), grouped(held)) == ([FAST_AF], [BETA_BLOCKER])
    assert (
        "**Also:** Resting heart rate 131 /min 15 h ago despite metoprolol: ask about "
        "missed doses."
    ) in only_card(held).detail


def test_a_slow_rate_on_two_medicines_is_the_card_of_the_two(
    rulebook: Rulebook,
) -> None:
    patient = adult(
        conditions=[],
        medications=[METOPROLOL, VERAPAMIL],
        wearable_alerts=[SLOW],
    )

    held = ask(rulebook, patient)

    assert (shown(held), grouped(held)) == ([TWO_MEDICINES], [SLOWING_MEDICINE])
    assert (
        "**Also:** Heart rate 43 /min awake 16 h ago on verapamil, metoprolol: ask "
        "about symptoms."
    ) in only_card(held).detail


def test_a_slow_rate_on_a_medicine_for_dementia_as_well_is_one_card(
    rulebook: Rulebook,
) -> None:
    patient = adult(
        conditions=[], medications=[METOPROLOL, DONEPEZIL], wearable_alerts=[SLOW]
    )

    held = ask(rulebook, patient)

    assert (shown(held), grouped(held)) == ([SLOWING_MEDICINE], [DEMENTIA_MEDICINE])
    assert (
        "**Also:** Heart rate 43 /min awake 16 h ago on donepezil: ask about syncope."
    ) in only_card(held).detail


def test_all_three_slowing_causes_are_one_card(rulebook: Rulebook) -> None:
    medicines = [METOPROLOL, VERAPAMIL, DONEPEZIL]
    patient = adult(conditions=[], medications=medicines, wearable_alerts=[SLOW])

    held = ask(rulebook, patient)

    assert shown(held) == [TWO_MEDICINES]
    assert grouped(held) == [SLOWING_MEDICINE, DEMENTIA_MEDICINE]


def test_a_syncope_on_a_medicine_for_dementia_outranks_an_old_slow_rate(
    rulebook: Rulebook,
) -> None:
    patient = adult(
        conditions=[{"code": "icd10cm|R55", "name": "Syncope", "onset": "2026-11-01"}],
        medications=[METOPROLOL, DONEPEZIL],
        wearable_alerts=[{**SLOW, "at": "2026-11-09T15:10:00-05:00"}],
    )

    held = ask(rulebook, patient)

    assert (shown(held), grouped(held)) == ([DEMENTIA_MEDICINE], [SLOWING_MEDICINE])


@pytest.mark.parametrize(
    ("conditions", "rule"),
    [([FIBRILLATION], NO_ANTICOAGULANT), ([], POSSIBLE_AF)],
)
def test_an_irregular_rhythm_is_either_known_or_possible(
    rulebook: Rulebook, conditions: list[Any], rule: str
) -> None:
    patient = adult(
        born="1940-08-30",
        conditions=conditions,
        medications=[],
        wearable_alerts=[IRREGULAR],
    )

    held = ask(rulebook, patient)

    assert (shown(held), grouped(held)) == ([rule], [])


def test_a_low_glucose_on_a_beta_blocker_says_that_symptoms_may_be_masked(
    rulebook: Rulebook,
) -> None:
    lasting = {"type": "low-glucose", "at": "20 minutes ago", "status": "open"}
    patient = adult(
        conditions=[],
        medications=[GLARGINE, METOPROLOL],
        wearable_alerts=[{**lasting, "value": 48}],
    )

    held = ask(rulebook, patient)

    card = only_card(held)
    assert (shown(held), card.indicator) == ([LOW_GLUCOSE], Indicator.CRITICAL)
    said = "May mask symptoms: metoprolol"
    assert said in " ".join(card.detail.split())


@pytest.mark.parametrize(
    ("medications", "rule"), [([METOPROLOL], BETA_BLOCKER), ([], FAST_AT_REST)]
)
def test_a_fast_rate_on_a_beta_blocker_is_not_told_twice(
    rulebook: Rulebook, medications: list[Any], rule: str
) -> None:
    patient = adult(
        conditions=[], medications=medications, wearable_alerts=[FAST], observations=[]
    )

    held = ask(rulebook, patient)

    assert (shown(held), grouped(held)) == ([rule], [])


EXAMPLES = [
    (file.rule, file.examples)
    for file in (read_examples({n: FILES[n]})[0][0] for n in example_names(FILES))
]


@pytest.mark.parametrize(
    ("rule", "examples"), [pytest.param(*each, id=each[0]) for each in EXAMPLES]
)
def test_no_patient_of_any_example_gets_two_cards_of_one_group(
    rulebook: Rulebook, rule: str, examples: Iterable[Example]
) -> None:
    for each in examples:
        held = ask(rulebook, each.patient, each.now)

        groups = [card.alerting.group for card in held.shown if card.alerting.group]
        told = {*shown(held), *grouped(held)}
        assert len(groups) == len(set(groups)), each.name
        assert not {NO_ANTICOAGULANT, POSSIBLE_AF} <= told, each.name
        assert not {BETA_BLOCKER, FAST_AT_REST} <= told, each.name
        assert not {FAST_AF, FAST_AT_REST} <= told, each.name


def on_screen(card: Card) -> int:
    """About how far down, in pixels, the first button of a card ends.

    In the public CDS Hooks sandbox at 1280 by 800, beside its developer panel, which
    leaves a card the narrowest column.
    """
    lines = 27 * len(wrap(card.summary, 55)) + 20
    for block in re.split(r"\n\n", re.sub(r"[*\\]", "", card.detail)):
        bullets = re.split(r"\n?- ", block)
        width = 62 if len(bullets) == 1 else 60
        text = (" ".join(each.split()) for each in bullets if each.strip())
        lines += 16 + 24 * sum(len(wrap(each, width)) for each in text)
    return 304 + lines + 16 + 37


@pytest.mark.parametrize(
    ("rule", "examples"), [pytest.param(*each, id=each[0]) for each in EXAMPLES]
)
def test_what_can_be_done_is_on_the_screen_without_scrolling(
    rulebook: Rulebook, rule: str, examples: Iterable[Example]
) -> None:
    for each in examples:
        for built in ask(rulebook, each.patient, each.now).shown:
            card = built.card

            assert list(flaws(card.detail, card.indicator)) == [] or not built.rule
            if card.suggestions:
                assert on_screen(card) <= 800, (each.name, card.detail)


def test_no_shipped_rule_silences_a_card_for_a_colleague(rulebook: Rulebook) -> None:
    for rule in rulebook.rules.values():
        assert not rule.alerting.is_for_all, rule.id
        assert rule.alerting.snooze_on_accept, rule.id


def test_an_artifact_or_another_wearer_is_about_the_data_for_every_shipped_rule(
    rulebook: Rulebook,
) -> None:
    reasons = {
        f"{each.system}|{each.code}"
        for code, each in rulebook.site.override_reasons.items()
        if code in ("artifact", "not-wearer")
    }
    ((_, service),) = rulebook.services.items()

    assert set(rulebook.site.data_reasons) == reasons
    for rule in rulebook.rules:
        for reason in reasons:
            assert service.about_data.lasts(rule, reason), rule


def test_an_artifact_holds_back_every_rule_that_rests_on_the_alert(
    rulebook: Rulebook,
) -> None:
    ((_, service),) = rulebook.services.items()
    call = {"user": "Practitioner/1", "encounter": None}
    artifact = rulebook.site.override_reasons["artifact"]
    medicines = [VERAPAMIL, DONEPEZIL]

    def opened(*alerts: Mapping[str, Any], seen: tuple[Display, ...] = ()) -> Held:
        patient = adult(medications=medicines, wearable_alerts=list(alerts))
        written = PatientWriter(patient, NOW, rulebook.site.time_zone, ())
        sent = written.alerts(rulebook.catalogue.alert_types)
        evaluations = evaluate(service, written.chart(), Wearables(sent), NOW)
        drafts = draft_cards(evaluations, service.service, call)
        return decide(evaluations, drafts, seen, service, call)

    first = opened(SLOW)
    (lead,) = first.shown
    overridden = Display(
        lead.rule,
        lead.version,
        lead.dedup_key,
        lead.card.indicator,
        NOW - timedelta(hours=1),
        overridden=NOW - timedelta(minutes=50),
        reason=f"{artifact.system}|{artifact.code}",
        evidence=lead.evidence,
        user="Practitioner/1",
    )

    again = opened(SLOW, seen=(overridden,))
    assert again.shown == ()
    assert {each.card.rule for each in again.suppressed} == {
        lead.rule,
        *(each.card.rule for each in first.suppressed),
    }
    assert {each.why for each in again.suppressed} == {Why.SNOOZED}
    newer = opened(
        SLOW, {**SLOW, "at": "2026-11-21T20:10:00-05:00"}, seen=(overridden,)
    )
    assert [each.rule for each in newer.shown] == [lead.rule]
