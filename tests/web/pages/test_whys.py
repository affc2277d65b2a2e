"""Why a card was shown, as a clinician follows it."""

from typing import Any
from zoneinfo import ZoneInfo

from cds_service.web.pages.whys import (
    AskedStep,
    tell_day,
    tell_held,
    tell_rule,
    tell_sources,
)


def node(text: str, truth: str, **more: Any) -> dict[str, Any]:
    empty = {"operator": None, "fact": None, "value": None, "resources": []}
    return {
        "text": text,
        "truth": truth,
        "reasons": [],
        "children": [],
        **empty,
        **more,
    }


def several(operator: str, truth: str, *children: Any) -> dict[str, Any]:
    return node(operator, truth, operator=operator, children=list(children))


FACTS = {
    "hr": {
        "title": "Heart rate",
        "kind": "observation",
        "rows": [
            {
                "resource": "Observation/o1",
                "name": "Resting heart rate",
                "value": "107 /min",
                "at": "2026-11-21 08:00",
            }
        ],
    },
    "watch": {
        "title": "high heart rate",
        "kind": "wearable_alert",
        "rows": [
            {
                "resource": "WearableAlert/w1",
                "name": "high heart rate",
                "value": "118 /min",
                "at": "2026-11-21 22:12",
                "until": "2026-11-21 22:40",
                "device": "Example Watch",
                "source": "watch",
            }
        ],
    },
}
HEART = node(
    "hr latest above 100 /min",
    "true",
    fact="hr",
    operator="compare",
    value={"name": "latest", "text": "107 /min"},
    resources=["Observation/o1"],
)


def rule(when: Any, **more: Any) -> Any:
    usual = {
        "rule": "tachycardia",
        "version": "1.2.0",
        "title": "Tachycardia",
        "outcome": "fires",
        "card": 0,
        "reasons": [],
        "when": when,
        "cards": [{"index": 0, "severity": "warning", "when": None}],
        "facts": FACTS,
        "owner": "Cardiology",
        "approved": False,
        "review_by": "2027-11-01",
        "evidence": [{"citation": "A", "url": "https://example.org", "year": 2023}],
    }
    return tell_rule({**usual, **more})


def test_a_criterion_is_told_with_its_value_its_time_and_its_resource() -> None:
    (step,) = rule(HEART).steps

    assert (step.mark, step.word) == ("yes", "Holds")
    assert (step.subject, step.text) == ("Heart rate", "latest above 100 /min")
    assert step.value == "107 /min"
    (seen,) = step.seen
    assert (seen.name, seen.value) == ("Resting heart rate", "107 /min")
    assert (seen.at, seen.resource) == ("21 Nov 2026 08:00", "Observation/o1")


def test_a_limit_is_told_in_the_unit_that_people_write() -> None:
    facts = {"bp": {**FACTS["hr"], "title": "Systolic", "unit": ["mm[Hg]", "mmHg"]}}
    limit = node("bp latest above 180 mm[Hg]", "false", fact="bp", operator="compare")

    (step,) = rule(limit, facts=facts).steps

    assert (step.subject, step.text) == ("Systolic", "latest above 180 mmHg")


def test_a_notice_is_told_with_its_device_and_how_long_it_lasted() -> None:
    watch = node("watch present", "true", fact="watch", resources=["WearableAlert/w1"])

    (seen,) = rule(watch).steps[0].seen

    assert seen.at == "21 Nov 2026 22:12 to 21 Nov 2026 22:40"
    assert seen.told_by == "Example Watch, watch"


def test_an_all_within_an_all_is_one_list() -> None:
    alive = node("patient is alive", "true")

    steps = rule(several("all", "true", alive, several("all", "true", HEART))).steps

    assert [each.subject or each.text for each in steps] == [
        "Patient is alive",
        "Heart rate",
    ]


def test_what_was_not_needed_is_folded_away() -> None:
    missing = node("watch present", "false", fact="watch")

    (step,) = rule(several("any", "true", HEART, missing)).steps

    assert step.text == "At least one of these"
    assert [each.subject for each in step.steps] == ["Heart rate"]
    assert [each.subject for each in step.folded] == ["High heart rate"]


def test_while_nothing_was_enough_nothing_is_folded_away() -> None:
    missing = node("watch present", "unknown", fact="watch")

    (step,) = rule(several("any", "unknown", missing, missing)).steps

    assert len(step.steps) == 2 and step.folded == ()


def test_an_all_among_several_stays_a_list_of_its_own() -> None:
    both = several("all", "true", HEART, HEART)

    (step,) = rule(several("any", "true", both, HEART)).steps

    assert step.steps[0].text == "All of these"
    assert len(step.steps[0].steps) == 2


def test_what_is_not_known_says_why_in_a_sentence() -> None:
    unknown = node(
        "hr latest above 100 /min",
        "unknown",
        fact="hr",
        reasons=[
            {
                "kind": "not_read",
                "fact": "hr",
                "sources": ["observations"],
                "why": None,
            },
            {"kind": "unusable", "fact": "hr", "sources": [], "why": "no number"},
        ],
        in_doubt=[{"resource": "Observation/o2", "why": "no number", "codes": ["a|b"]}],
    )

    told = rule(unknown, outcome="unknown")

    assert (told.mark, told.word) == ("unknown", "Not known")
    assert told.steps[0].reasons == (
        "Heart rate: it could not be read (results and readings).",
        "Heart rate: what is recorded cannot be used; no number.",
    )
    assert told.steps[0].doubts == ("Observation/o2: no number: a|b",)


def test_each_truth_has_a_word_and_a_shape_of_its_own() -> None:
    steps = [rule(node("x", each)).steps[0] for each in ("true", "false", "unknown")]

    assert len({each.word for each in steps}) == 3
    assert len({each.mark for each in steps}) == 3


def test_it_is_told_who_answers_for_the_rule() -> None:
    told = rule(HEART)

    assert told.key == "tachycardia@1.2.0"
    assert ("Owner", "Cardiology") in told.facts
    assert ("Approved", "not by this site yet") in told.facts
    assert ("Review due", "1 Nov 2027") in told.facts
    assert told.evidence[0].citation == "A"


def test_of_several_cards_it_is_told_why_it_is_this_one() -> None:
    cards = [
        {"index": 0, "severity": "critical", "when": node("x", "false")},
        {"index": 1, "severity": "warning", "when": HEART},
    ]

    steps: tuple[AskedStep, ...] = rule(HEART, card=1, cards=cards).card_steps

    assert [each.subject for each in steps] == ["Heart rate"]


def test_what_could_not_be_read_is_marked_as_not_read() -> None:
    read = tell_sources(
        [
            {"name": "conditions", "state": "loaded", "resources": 1, "why": None},
            {"name": "observations", "state": "missing", "resources": 0, "why": "404"},
        ]
    )

    assert [(each.name, each.word, each.count) for each in read] == [
        ("problems", "Read", "1 entry"),
        ("results and readings", "Not read", ""),
    ]
    assert read[1].why == "404"


def test_a_card_that_is_held_back_says_since_when_and_until_when() -> None:
    (told,) = tell_held(
        [
            {
                "rule": "tachycardia",
                "title": "Tachycardia",
                "why": "repeated",
                "since": "2026-11-20T09:00:00+00:00",
                "until": None,
            }
        ],
        ZoneInfo("America/New_York"),
    )

    assert (told.title, told.why) == ("Tachycardia", "shown before")
    assert (told.since, told.until) == ("20 Nov 2026 04:00", "")


def test_days_are_told_so_that_nobody_reads_them_the_wrong_way_round() -> None:
    assert tell_day("2026-11-05 to 2026-12-01") == "5 Nov 2026 to 1 Dec 2026"
    assert tell_day("2026-13-05") == "2026-13-05"
