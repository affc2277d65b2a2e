"""Life cycle: what status and dates demand, and what they lead to."""

from datetime import date, datetime
from typing import Any

import pytest

from cds_service.fhir.chart import SourceState
from cds_service.rulebook.cards.cards import draft_cards, identify
from cds_service.rulebook.compile.life_cycle import check_dates, overdue

FACTS = "dm: {condition: {in: diabetes}}"
CONDITION = {
    "resourceType": "Condition",
    "clinicalStatus": {"coding": [{"code": "active"}]},
    "code": {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]
    },
    "subject": {"reference": "Patient/p"},
}
SITE = "format: 1\ntime_zone: America/New_York\nunapproved: serve\n"
APPROVED = "approved: {by: Dr. A. Rivera, on: 2026-01-05}"


def compiled(rules: Any, chart: Any, more: str = "", site: str = "") -> Any:
    """What becomes of the rule under test with *more* in its file or site.yaml."""
    if site:
        rules.files["site.yaml"] = SITE + site
    rules.evaluate(FACTS, "dm: present", chart(), more=more)
    return rules.compile()


def codes(findings: Any) -> list[tuple[str, str]]:
    return [(each.code, each.level.value) for each in findings]


def shown(rules: Any, chart: Any, when: str = "dm: present", **read: Any) -> list[Any]:
    found = rules.evaluate(FACTS, when, chart(**read))
    (service,) = rules.compile().rulebook.services.values()
    return [each.card for each in identify(draft_cards(found, service.service), "seed")]


@pytest.mark.parametrize("status", ["draft", "shadow", "active", "retired"])
def test_only_an_active_rule_shows_its_card(
    rules: Any, chart: Any, status: str
) -> None:
    rules.files["site.yaml"] = SITE + f"rules: {{test: {{status: {status}}}}}\n"

    cards = shown(rules, chart, conditions=[CONDITION])

    assert [card.summary for card in cards] == ["It fires"] * (status == "active")


@pytest.mark.parametrize("status", ["shadow", "active"])
def test_a_check_that_could_not_be_made_is_told_of_active_rules_alone(
    rules: Any, chart: Any, status: str
) -> None:
    rules.files["site.yaml"] = SITE + f"rules: {{test: {{status: {status}}}}}\n"

    cards = shown(rules, chart, states={"conditions": SourceState.MISSING})

    summaries = [card.summary for card in cards]
    assert summaries == ["Some checks could not be made"] * (status == "active")


def test_a_shadow_rule_is_evaluated_all_the_same(rules: Any, chart: Any) -> None:
    rules.files["site.yaml"] = SITE + "rules: {test: {status: shadow}}\n"

    (item,) = rules.evaluate(FACTS, "dm: present", chart(conditions=[CONDITION])).items

    assert item.outcome.value == "fires"


@pytest.mark.parametrize(
    ("status", "asked"),
    [("draft", False), ("retired", False), ("shadow", True), ("active", True)],
)
def test_what_is_not_evaluated_asks_the_ehr_for_nothing(
    rules: Any, chart: Any, status: str, asked: bool
) -> None:
    site = f"rules: {{test: {{status: {status}}}}}\n"

    (service,) = compiled(rules, chart, site=site).rulebook.services.values()

    assert ("conditions" in {each.source for each in service.queries}) is asked


@pytest.mark.parametrize(
    ("unapproved", "governance", "says", "cards"),
    [
        ("serve", "", [("CDS604", "note")], 1),
        ("withhold", "", [("CDS604", "warning")], 0),
        ("withhold", f"governance: {{{APPROVED}}}", [], 1),
    ],
)
def test_an_active_rule_needs_approval_unless_the_site_serves_it_without(
    rules: Any, chart: Any, unapproved: str, governance: str, says: Any, cards: int
) -> None:
    rules.files["site.yaml"] = SITE.replace("serve", unapproved)
    found = rules.evaluate(
        FACTS, "dm: present", chart(conditions=[CONDITION]), more=governance
    )
    result = rules.compile()
    (service,) = result.rulebook.services.values()
    built = identify(draft_cards(found, service.service), "seed")

    assert codes(result.findings) == says
    assert len(built) == cards
    for each in built:
        assert ("awaits" in each.card.detail) is (not governance)


ACTIONS = "system_actions: [{description: D, create: {resourceType: Task}}]"


@pytest.mark.parametrize(
    ("status", "governance", "says"),
    [
        ("active", "", [("CDS604", "note"), ("CDS618", "warning")]),
        ("active", f"governance: {{{APPROVED}}}", []),
        ("shadow", "", []),
        ("draft", "", []),
    ],
)
@pytest.mark.parametrize("place", ["card_defaults", "card", "cards"])
def test_r_5_what_an_unapproved_rule_would_do_without_a_person_is_warned_of(
    rules: Any, chart: Any, status: str, governance: str, says: Any, place: str
) -> None:
    rules.evaluate(FACTS, "dm: present", chart(), more=governance)
    text = rules.files["test.yaml"].replace("status: active", f"status: {status}")
    card = "card:\n  summary: It fires\n  source: {label: Test}\n"
    acting = {
        "card_defaults": f"{card}card_defaults:\n  {ACTIONS}\n",
        "card": f"{card}  {ACTIONS}\n",
        "cards": f"cards:\n- summary: S\n  source: {{label: T}}\n  {ACTIONS}\n",
    }
    rules.files["test.yaml"] = text.replace(card, acting[place])

    found = rules.compile().findings

    assert codes(found) == says
    lines = rules.files["test.yaml"].splitlines()
    where = [each for each in found if each.code == "CDS618"]
    assert all(lines[each.line - 1].strip() == ACTIONS for each in where)


@pytest.mark.parametrize(
    ("dates", "now", "asked"),
    [
        ("effective: 2026-03-08", "2026-03-08T04:59:59+00:00", False),
        ("effective: 2026-03-08", "2026-03-08T05:00:00+00:00", True),
        ("expires: 2026-03-09", "2026-03-09T03:59:59+00:00", True),
        ("expires: 2026-03-09", "2026-03-09T04:00:00+00:00", False),
    ],
)
def test_days_begin_at_midnight_in_the_sites_zone(
    rules: Any, chart: Any, dates: str, now: str, asked: bool
) -> None:
    """On 8 March 2026 New York changes from five to four hours behind UTC."""
    rules.now = datetime.fromisoformat(now)

    found = rules.evaluate(
        FACTS,
        "dm: present",
        chart(conditions=[CONDITION]),
        more=f"governance: {{{dates}}}",
    )

    assert bool(found.items) is asked


@pytest.mark.parametrize(
    ("governance", "today", "says"),
    [
        ("review_by: 2026-11-22", "2026-11-22", []),
        ("review_by: 2026-11-22", "2026-11-23", [("CDS612", "warning")]),
        ("expires: 2026-11-22", "2026-11-21", []),
        ("expires: 2026-11-22", "2026-11-22", [("CDS614", "warning")]),
        ("effective: 2026-11-22", "2026-11-22", []),
        ("effective: 2026-11-22", "2026-11-21", [("CDS615", "note")]),
    ],
)
def test_the_calendar_is_said_of_a_rule(
    rules: Any, chart: Any, governance: str, today: str, says: Any
) -> None:
    result = compiled(rules, chart, more=f"governance: {{{governance}}}")
    book = result.rulebook.rules.values()
    day = date.fromisoformat(today)

    assert codes(check_dates(book, result.documents, day)) == says


def test_an_expired_rule_says_since_when_and_where(rules: Any, chart: Any) -> None:
    result = compiled(rules, chart, more="governance:\n  expires: 2026-03-01")
    book = result.rulebook.rules.values()

    (finding,) = check_dates(book, result.documents, date(2026, 3, 2))

    assert finding.message == "this rule has not been evaluated since 2026-03-01"
    line = rules.files["test.yaml"].splitlines()[finding.line - 1]
    assert line[finding.column - 1 :] == "2026-03-01"


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_the_calendar_says_nothing_of_what_is_not_evaluated(
    rules: Any, chart: Any, status: str
) -> None:
    result = compiled(
        rules,
        chart,
        more="governance: {review_by: 2020-01-01, expires: 2020-01-01}",
        site=f"rules: {{test: {{status: {status}}}}}\n",
    )
    book = result.rulebook.rules.values()

    assert codes(check_dates(book, result.documents, date(2026, 3, 2))) == []


def test_an_overdue_review_is_counted_while_the_rule_is_in_force(
    rules: Any, chart: Any
) -> None:
    more = "governance: {review_by: 2026-01-01, expires: 2026-06-01}"
    book = compiled(rules, chart, more=more).rulebook.rules.values()

    assert [each.id for each in overdue(book, date(2026, 1, 1))] == []
    assert [each.id for each in overdue(book, date(2026, 1, 2))] == ["test"]
    assert [each.id for each in overdue(book, date(2026, 6, 1))] == []


def retire(rules: Any, chart: Any, successor: str) -> Any:
    """What becomes of the rule under test when another takes its place."""
    compiled(rules, chart)
    test = rules.files["test.yaml"]
    rules.files["other.yaml"] = test.replace("rule: test", "rule: other")
    rules.files["test.yaml"] = test.replace(
        "status: active", f"status: retired\nreplaced_by: {successor}"
    )
    return rules.compile()


@pytest.mark.parametrize(
    ("successor", "errors"),
    [("absent-rule", ["CDS611"]), ("test", ["CDS611"]), ("other", [])],
)
def test_what_replaces_a_rule_is_another_rule(
    rules: Any, chart: Any, successor: str, errors: list[str]
) -> None:
    found = retire(rules, chart, successor).findings

    assert [each.code for each in found if each.level == "error"] == errors


def test_a_service_that_names_a_retired_rule_is_warned(rules: Any, chart: Any) -> None:
    found = retire(rules, chart, "other").findings

    told = [(each.file, each.code) for each in found if each.level == "warning"]
    # Nobody asks the one that replaces it.
    assert told == [("other.yaml", "CDS641"), ("services.yaml", "CDS610")]


def test_a_site_may_switch_a_rule_off_without_naming_another(
    rules: Any, chart: Any
) -> None:
    result = compiled(rules, chart, site="rules: {test: {status: retired}}\n")

    assert result.rulebook.rules["test"].status == "retired"


def test_a_site_that_brings_a_retired_rule_back_is_warned(
    rules: Any, chart: Any
) -> None:
    compiled(rules, chart, more="governance: {retired_because: Superseded}")
    test = rules.files["test.yaml"]
    rules.files["test.yaml"] = test.replace("status: active", "status: retired")
    rules.files["site.yaml"] = SITE + "rules: {test: {status: active}}\n"

    (warning,) = [each for each in rules.compile().findings if each.code == "CDS613"]

    assert (warning.file, warning.level.value) == ("site.yaml", "warning")


def test_a_site_may_not_raise_a_severity(rules: Any, chart: Any) -> None:
    compiled(rules, chart)
    rules.files["site.yaml"] = SITE + "rules:\n  test: {severity: critical}\n"

    (error,) = [each for each in rules.compile().findings if each.level == "error"]

    assert (error.file, error.line, error.code) == ("site.yaml", 5, "CDS616")
    assert "warning" in error.message


@pytest.mark.parametrize(
    "tuned",
    [
        "when: {dm: absent}",
        "facts: {}",
        "if_unknown: fire",
        "hooks: [order-sign]",
        "card: {summary: Another}",
        "version: 9.9.9",
    ],
)
def test_a_site_never_changes_what_a_rule_means(
    rules: Any, chart: Any, tuned: str
) -> None:
    compiled(rules, chart)
    rules.files["site.yaml"] = SITE + f"rules: {{test: {{{tuned}}}}}\n"

    result = rules.compile()

    assert result.rulebook is None
    assert {each.file for each in result.findings if each.level == "error"} == {
        "site.yaml"
    }


@pytest.mark.parametrize(
    ("value", "loads"), [(6, False), (7, True), (9, True), (10, False)]
)
def test_a_site_tunes_a_param_within_the_rules_own_bounds(
    rules: Any, chart: Any, value: int, loads: bool
) -> None:
    facts = "hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}"
    more = "params: {limit: {default: 8, min: 7, max: 9}}"
    rules.evaluate(facts, "hr: {latest: {above: $limit}}", chart(), more=more)
    rules.files["site.yaml"] = SITE + f"rules: {{test: {{params: {{limit: {value}}}}}}}"

    book = rules.compile().rulebook

    assert (book is not None) is loads
    if book:
        assert book.rules["test"].params["limit"].value == value


def test_a_site_may_set_when_a_card_is_shown_again(rules: Any, chart: Any) -> None:
    assert compiled(rules, chart, site="rules: {test: {repeat_after: 7 days}}\n")


@pytest.mark.parametrize("day", ["2026-02-30", "2026-13-01", "20261122", "soon"])
def test_what_is_no_date_is_a_finding(rules: Any, chart: Any, day: str) -> None:
    compiled(rules, chart)
    rules.files["test.yaml"] += f"governance: {{review_by: '{day}'}}\n"

    (error,) = [each for each in rules.compile().findings if each.level == "error"]

    assert error.file == "test.yaml"


@pytest.mark.parametrize(
    ("unapproved", "said"),
    [
        ("serve", "its cards are still shown"),
        ("withhold", "its results are recorded and no card is shown"),
    ],
)
def test_what_an_unapproved_rule_does_is_said_as_it_is(
    rules: Any, chart: Any, unapproved: str, said: str
) -> None:
    rules.files["site.yaml"] = SITE.replace("serve", unapproved)
    rules.evaluate(FACTS, "dm: present", chart(conditions=[CONDITION]))

    (told,) = rules.compile().findings

    assert told.message == "this active rule has no `governance.approved`"
    assert said in told.help


def test_a_rule_that_the_site_makes_active_is_not_called_active(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(FACTS, "dm: present", chart(conditions=[CONDITION]))
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("status: active", "status: draft")
    rules.files["site.yaml"] = SITE + "rules: {test: {status: active}}\n"

    (told,) = rules.compile().findings

    assert told.code == "CDS604"
    assert told.message.startswith("this draft rule is made active by site.yaml")
