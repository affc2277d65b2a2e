"""What could not be checked is said on one card, in plain words."""

from typing import Any

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.protocol.cards import as_json
from cds_service.rulebook.cards.cards import draft_cards
from cds_service.rulebook.engine.evaluate import Evaluations
from cds_service.rulebook.engine.rules import (
    SuggestionTemplate,
)
from cds_service.rulebook.values.truth import Reason, ReasonKind

from .drafts import ORDER, SERVICE, build, card, case, detail_of, fires, rule, unknown

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
            "Beta-blockers: an entry may be one of these, its codes and words leave it "
            "open (Beloc, an entry without a name, \\_Toprol\\_)",
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


def test_what_an_alert_does_not_tell_is_not_said_to_be_no_alert() -> None:
    silent = Reason(ReasonKind.NOT_RECORDED, "drug", why="value not told")

    assert unchecked(silent, noted=True).endswith("Beta-blockers: value not told")


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
