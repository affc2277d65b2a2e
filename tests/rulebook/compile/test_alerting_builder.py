"""The ``alerting`` section of rules, and what a site tunes of it."""

from typing import Any

import pytest

from cds_service.protocol.feedback import NON_ADHERENCE
from cds_service.rulebook.engine.alerting import ANY_REASON, Alerting, CardLimits
from cds_service.rulebook.language.diagnostics import Level
from cds_service.rulebook.values.intervals import Duration

FACTS = "drug: {medication: {in: beta-blockers}}"
WHEN = "all: [drug: present]"


def compiled(rules: Any, chart: Any, alerting: str, site: str = "") -> Any:
    rules.files["site.yaml"] += site
    return rules.evaluate(
        FACTS, WHEN, chart(), more=alerting and f"alerting: {alerting}"
    )


def alerting_of(rules: Any, chart: Any, alerting: str, site: str = "") -> Alerting:
    compiled(rules, chart, alerting, site)
    built: Alerting = rules.compile().rulebook.rules["test"].alerting
    return built


def complaints(rules: Any, alerting: str) -> list[tuple[str, str, int]]:
    from textwrap import dedent

    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text + dedent(alerting)
    return [(each.code, each.message, each.line) for each in rules.compile().findings]


def test_a_rule_that_says_nothing_is_shown_each_time(rules: Any, chart: Any) -> None:
    assert alerting_of(rules, chart, "") == Alerting(("patient", "rule", "user"))


def test_everything_that_a_rule_may_say(rules: Any, chart: Any) -> None:
    built = alerting_of(
        rules,
        chart,
        "{once_per: [patient, user, encounter, drug.code], repeat_after: 2 weeks,"
        " snooze_on_override: {action-completed: 3 months, artifact: 12 hours,"
        " other: 1 day}, group: rate, priority: 7, allow_suppress: true}",
        "override_reasons: [{system: 'urn:s', code: artifact, display: Artifact}]",
    )

    assert built == Alerting(
        once_per=("patient", "user", "encounter", "drug.code"),
        repeat_after=Duration(2, "week"),
        snooze={
            f"{NON_ADHERENCE}|action-completed": Duration(3, "month"),
            "urn:s|artifact": Duration(12, "hour"),
            ANY_REASON: Duration(1, "day"),
        },
        group="rate",
        priority=7,
        allow_suppress=True,
    )


def test_one_duration_is_for_every_reason(rules: Any, chart: Any) -> None:
    built = alerting_of(rules, chart, "{snooze_on_override: 90 days}")

    assert built.snooze == {ANY_REASON: Duration(90, "day")}
    assert built.snoozed_for("urn:s|whatever") == Duration(90, "day")


def test_a_reason_that_is_not_named_does_not_snooze(rules: Any, chart: Any) -> None:
    built = alerting_of(
        rules, chart, "{snooze_on_override: {action-completed: 90 days}}"
    )

    assert built.snoozed_for(f"{NON_ADHERENCE}|patient-refuses") is None
    assert built.snoozed_for("urn:other-system|action-completed") is None
    assert built.snoozed_for(ANY_REASON) is None


@pytest.mark.parametrize("own", ["", "{repeat_after: 7 days}"])
def test_a_site_has_the_last_word_on_when_a_card_is_repeated(
    rules: Any, chart: Any, own: str
) -> None:
    built = alerting_of(rules, chart, own, "rules: {test: {repeat_after: 36 hours}}")

    assert built.repeat_after == Duration(36, "hour")


def test_a_site_limits_what_is_shown(rules: Any, chart: Any) -> None:
    compiled(rules, chart, "")
    assert rules.compile().rulebook.site.limits == CardLimits()

    rules.files["site.yaml"] += "limits: {cards_per_response: 5, info_per_day: 3}"

    assert rules.compile().rulebook.site.limits == CardLimits(5, 3)


@pytest.mark.parametrize(
    ("alerting", "code", "said"),
    [
        ("{once_per: [patient, drg.code]}", "CDS502", "drg"),
        ("{once_per: [patient, drug.colour]}", "CDS503", "colour"),
        ("{snooze_on_override: {action-complete: 1 day}}", "CDS507", "action-complete"),
        ("{repeat_after: 0.5 months}", "CDS222", "0.5 months"),
        ("{repeat_after: 151 years}", "CDS222", "151 years"),
        ("{repeat_after: 60000 days}", "CDS222", "60000 days"),
        ("{snooze_on_override: {other: 1.5 years}}", "CDS222", "1.5 years"),
    ],
)
def test_a_mistake_has_its_place(
    rules: Any, chart: Any, alerting: str, code: str, said: str
) -> None:
    compiled(rules, chart, "")
    last = len(rules.files["test.yaml"].splitlines()) + 1

    ((found, message, line),) = [
        each
        for each in complaints(rules, f"alerting: {alerting}\n")
        if each[0] in ("CDS502", "CDS503", "CDS507", "CDS222")
    ]

    assert (found, line) == (code, last)
    assert said in message


def test_a_mistake_of_the_site_stands_in_its_file(rules: Any, chart: Any) -> None:
    compiled(rules, chart, "")
    rules.files["site.yaml"] += "rules: {test: {repeat_after: 0.5 years}}"

    (found,) = [each for each in rules.compile().findings if each.code == "CDS222"]

    assert found.file == "site.yaml"


def test_a_fact_that_only_once_per_names_is_used(rules: Any, chart: Any) -> None:
    rules.evaluate(
        FACTS + "\nother: {medication: {in: other-drugs}}",
        WHEN,
        chart(),
        more="alerting: {once_per: [patient, other.code]}",
    )

    assert "CDS401" not in [each.code for each in rules.compile().findings]


def test_a_card_may_rest_once_somebody_took_it_up(rules: Any, chart: Any) -> None:
    built = alerting_of(rules, chart, "{snooze_on_accept: 7 days}")

    assert built == Alerting(snooze_on_accept=Duration(7, "day"))
    assert alerting_of(rules, chart, "").snooze_on_accept is None


@pytest.mark.parametrize(
    ("once_per", "said"),
    [
        ("[patient, rule]", True),
        ("[patient, encounter]", True),
        ("[patient, rule, user]", False),
        ("[user, severity]", False),
    ],
)
def test_an_author_who_silences_a_card_for_all_is_told_so(
    rules: Any, chart: Any, once_per: str, said: bool
) -> None:
    built = alerting_of(rules, chart, f"{{once_per: {once_per}}}")

    found = [each for each in rules.compile().findings if each.code == "CDS803"]
    assert [each.level for each in found] == ([Level.NOTE] if said else [])
    assert built.is_for_all is said


def test_a_site_says_which_reasons_are_about_the_data(rules: Any, chart: Any) -> None:
    rules.files["site.yaml"] += (
        "override_reasons:\n"
        "  - {system: 'urn:s', code: artifact, display: A, about: data}\n"
        "  - {code: not-wearer, display: B, about: data, snooze: 30 days}\n"
        "  - {code: busy, display: C, about: advice}\n"
        "  - {code: known, display: D}\n"
    )
    compiled(rules, chart, "{snooze_on_override: {artifact: 2 days}}")

    book = rules.compile().rulebook
    local = "urn:cds-service:local-override-reasons|not-wearer"
    assert book.site.data_reasons == {
        "urn:s|artifact": None,
        local: Duration(30, "day"),
    }
    (service,) = book.services.values()
    assert service.about_data.lasts("test", "urn:s|artifact") == Duration(2, "day")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("{code: busy, display: C, snooze: 3 days}", "CDS019"),
        ("{code: busy, display: C, about: advice, snooze: 3 days}", "CDS019"),
        ("{code: busy, display: C, about: data, snooze: 0.5 months}", "CDS222"),
        ("{code: busy, display: C, about: reading}", "CDS104"),
    ],
)
def test_a_reason_that_says_it_wrongly_has_its_place(
    rules: Any, chart: Any, reason: str, code: str
) -> None:
    compiled(rules, chart, "")
    rules.files["site.yaml"] += f"override_reasons: [{reason}]\n"

    found = [each for each in rules.compile().findings if each.file == "site.yaml"]

    assert [each.code for each in found] == [code]
