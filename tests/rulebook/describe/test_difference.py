"""What a change means, and which step of the version it is."""

from textwrap import dedent
from typing import Any

import pytest

from cds_service.rulebook.describe.difference import RuleDifference, compare_books
from cds_service.rulebook.describe.rule_difference import Book, compare_rules
from cds_service.rulebook.describe.versions import Change, VersionStep, following, moved

RULE = dedent("""\
    format: 1
    rule: test
    version: 1.0.0
    title: The rule under test
    status: active
    severity: info
    hooks: [patient-view]
    params:
      limit: {default: 100, unit: /min, min: 90, max: 130, describe: A limit.}
    facts:
      sugar: {condition: {in: diabetes}}
      blocker: {medication: {in: beta-blockers, taken_for: 14 days}}
      hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
      alert: {wearable_alert: {type: [low-heart-rate], within: 3 days}}
      shown: {condition: {in: diabetes, status: any}}
      risk:
        score:
          title: Risk
          items:
            - {points: 1, label: Sugar, when: {sugar: present}}
            - {points: 2, label: Fast, when: {hr: {max: {above: 120}}}}
    when:
      all:
        - patient: {age: {at_least: 18 years}, sex: {in: [female]}}
        - blocker: present
        - sugar: absent
        - any:
            - hr: {latest: {above: $limit}}
            - hr: {sustained: {above: 90, for: 3 days, share: 0.8, readings: 4}}
            - alert: {value: {below: 45}, local_time: {between: ["07:00", "22:00"]}}
        - none: [hr: {min: {below: 30}}]
        - risk: {value: {at_least: 1}}
    card:
      summary: "Rate {{ hr.latest or 'unknown' }}, {{ shown.name or 'no sugar' }}"
      source: {label: Test}
      suggestions:
        - {label: Do it, actions: [{description: Do, create: {resourceType: Task}}]}
    alerting: {repeat_after: 7 days}
    governance: {owner: We, funding: None}
    """)

MAKE = "{description: Make, create: {resourceType: Task}}"
PAUSE = "{description: Pause, update: blocker, set: {status: on-hold}}"


def book(rules: Any, text: str, **files: str) -> Book:
    rules.files["test.yaml"] = text
    rules.files.update(files)
    compiled = rules.compile()
    assert compiled.rulebook, compiled.findings
    return Book(compiled.rulebook, compiled.trees)


def changes_of(rules: Any, old: str, new: str, text: str = RULE) -> list[Change]:
    assert old in text
    return compare_rules(
        "test",
        "test",
        book(rules, text),
        book(rules, text.replace(old, new, 1)),
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("format: 1\n", "format: 1\n# a comment\n\n"),
        ("above: $limit", "above: 100"),
        ("within: 7 days", "within: 168 hours"),
        ("18 years", "216 months"),
        ("[female]", "[ female ]"),
        ("    - blocker: present\n", "    - all: [{blocker: present}]\n"),
        ("none: [hr: {min: {below: 30}}]", "none: [any: [hr: {min: {below: 30}}]]"),
        ("status: active", "'status': 'active'"),
        ("severity: info\n", ""),
    ],
)
def test_how_it_is_written_is_no_change(rules: Any, old: str, new: str) -> None:
    assert changes_of(rules, old, new) == []


def test_the_order_of_keys_and_clauses_is_no_change(rules: Any) -> None:
    old = "    - blocker: present\n    - sugar: absent\n"
    new = "    - sugar: absent\n    - blocker: present\n"

    assert changes_of(rules, old, new) == []


def test_a_renamed_fact_that_is_the_reason_for_an_order_is_no_change(
    rules: Any,
) -> None:
    task = "create: {resourceType: Task}"
    order = "create: {resourceType: ServiceRequest}, reason: [shown]"
    text = RULE.replace(task, order)
    renamed = text.replace("shown", "listed")

    assert compare_rules("test", "test", book(rules, text), book(rules, renamed)) == []


def test_any_within_none_is_the_same_as_none_of_all(rules: Any) -> None:
    old = "none: [hr: {min: {below: 30}}]"
    plain = RULE.replace(old, "none: [hr: {min: {below: 30}}, shown: present]")
    nested = RULE.replace(old, "none: [any: [hr: {min: {below: 30}}, shown: present]]")

    assert compare_rules("test", "test", book(rules, plain), book(rules, nested)) == []


def test_what_decides_between_cards_may_change_either_way(rules: Any) -> None:
    two = RULE.replace("taken_for: 14 days", "started_within: 9 days").replace(
        "card:\n", "cards:\n- when: {blocker: present}\n"
    )

    (change,) = changes_of(rules, "within: 9 days", "within: 8 days", two)

    assert (change.step, change.effect) == (VersionStep.MINOR, "either way")


def test_another_category_is_another_question(rules: Any) -> None:
    (change,) = changes_of(
        rules,
        "sugar: {condition: {in: diabetes}}",
        "sugar: {condition: {in: diabetes, category: [problem-list-item]}}",
    )

    assert change.step is VersionStep.MAJOR
    assert change.text == "sugar category problem-list-item, was any"


def test_entries_of_a_shorter_time_are_fewer(rules: Any) -> None:
    old = "sugar: {condition: {in: diabetes}}"
    new = "sugar: {condition: {in: diabetes, recorded_within: 12 months}}"

    (change,) = changes_of(rules, old, new)

    assert change.step is VersionStep.MINOR
    assert change.text == "sugar recorded_within 12 months, was of any time"


def test_another_name_for_a_fact_is_no_change(rules: Any) -> None:
    assert (
        compare_rules(
            "test",
            "test",
            book(rules, RULE),
            book(rules, RULE.replace("hr:", "pulse:").replace("hr.", "pulse.")),
        )
        == []
    )


@pytest.mark.parametrize(
    ("old", "new", "step", "effect", "text"),
    [
        (
            "default: 100",
            "default: 110",
            2,
            "narrower",
            "$limit 110 /min, was 100 /min",
        ),
        ("default: 100", "default: 95", 2, "wider", "$limit 95 /min, was 100 /min"),
        ("above: $limit", "at_least: $limit", 2, "wider", "hr latest at least 100"),
        ("above: $limit", "below: $limit", 3, "", "hr latest below 100 /min, was"),
        ("latest: {above", "max: {above", 3, "", "hr max above 100 /min, was hr lat"),
        ("min: 90", "min: 80", 2, "", "$limit: min 80, was 90"),
        ("A limit.", "The limit.", 1, "", "$limit: describe The limit., was A limit."),
        ("18 years", "21 years", 2, "narrower", "patient age at least 21 years, was"),
        ("[female]", "[female, male]", 2, "wider", "patient sex female or male, was"),
        ("[female]", "[male]", 3, "", "patient sex male, was female"),
        ("for: 3 days", "for: 2 days", 2, "either way", "hr sustained for 2 days, was"),
        ("share: 0.8", "share: 0.9", 2, "narrower", "hr sustained share 0.9, was 0.8"),
        ("below: 45", "below: 40", 2, "narrower", "alert value below 40 /min, was"),
        ('"07:00"', '"06:00"', 2, "wider", "alert local_time at least 06:00, was"),
        ("below: 30", "below: 35", 2, "narrower", "hr min below 35 /min, was min"),
        ("sugar: absent", "sugar: present", 3, "", "sugar present, was sugar absent"),
        ("    - blocker: present\n", "", 3, "", "blocker present: no longer in"),
        ("    - none", "    - shown: present\n    - none", 3, "", "shown"),
        ("within: 3 days", "within: 5 days", 2, "wider", "alert within 5 days, was"),
        ("taken_for: 14", "taken_for: 28", 2, "narrower", "blocker taken_for 28 days"),
        (", taken_for: 14 days", "", 2, "wider", "blocker of any time, was taken_for"),
        ("within: 7 days", "within: 9 days", 2, "either way", "hr within 9 days, was"),
        ("{in: diabetes}", "{in: diabetes, status: any}", 3, "", "sugar status any, w"),
        ("{in: diabetes, status: any}", "{in: diabetes}", 1, "", "(shown only)"),
        ("in: beta-blockers", "in: other-drugs", 3, "", "blocker in other-drugs, was"),
        (
            "type: [low-",
            "type: [irregular-rhythm, low-",
            2,
            "",
            "alert also reads alert",
        ),
        ("points: 2", "points: 1", 2, "either way", "risk: Fast +1, was +2"),
        ("above: 120", "above: 125", 2, "either way", "risk, Fast: hr max above 125"),
        ("label: Fast", "label: Quick", 3, "", "risk counts Quick"),
        ("severity: info", "severity: warning", 2, "", "card: severity warning, was"),
        ('summary: "Rate', 'summary: "The rate', 1, "", "card: summary"),
        ("label: Do it", "label: Do this", 2, "", "card: suggestions changed"),
        (
            "source: {label: Test}\n",
            "source: {label: Test}\n  links: [{type: smart, page: why, label: Why}]\n",
            *(1, "", "card: links added"),
        ),
        (
            "source: {label: Test}",
            "source: {label: Test}\n  selection: any",
            2,
            "",
            "card: selection any, was",
        ),
        (
            "source: {label: Test}",
            f"source: {{label: Test}}\n  system_actions: [{MAKE}]",
            3,
            "",
            "card: system_actions added",
        ),
        (
            "hooks: [patient-view]",
            "hooks: [order-sign]",
            3,
            "",
            "hooks order-sign, was",
        ),
        ("status: active", "status: shadow", 1, "", "status shadow, was active"),
        ("title: The", "title: A", 1, "", "title A rule under test, was The rule"),
        (
            "alerting: {repeat_after: 7",
            "alerting: {repeat_after: 9",
            2,
            "",
            "repeat_af",
        ),
        ("owner: We", "owner: They", 1, "", "owner They, was We"),
        ("alerting:", "if_unknown: note\nalerting:", 3, "", "if_unknown note, was sil"),
        ("alerting:", "deceased: any\nalerting:", 3, "", "deceased any, was not there"),
    ],
)
def test_each_change_has_its_step_and_effect(
    rules: Any, old: str, new: str, step: int, effect: str, text: str
) -> None:
    rules.files["services.yaml"] = rules.files["services.yaml"].replace(
        "[patient-view]", "[patient-view, order-sign]"
    )
    text_of_old = RULE
    if old == "type: [low-":
        # Alerts of a rhythm have no value that could be asked.
        text_of_old = RULE.replace("value: {below: 45}, ", "")
    found = changes_of(rules, old, new, text_of_old)

    change = next(each for each in found if text in each.text)
    assert (change.step, change.effect) == (VersionStep(step), effect)
    assert max(each.step for each in found) == VersionStep(step)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (MAKE, PAUSE, "card: system_actions changed"),
        (f"  system_actions: [{MAKE}]\n", "", "card: system_actions removed"),
    ],
)
def test_whatever_else_is_done_without_a_person_is_another_rule(
    rules: Any, old: str, new: str, text: str
) -> None:
    acting = RULE.replace("card:\n", f"card:\n  system_actions: [{MAKE}]\n")

    (change,) = changes_of(rules, old, new, acting)

    assert (change.text, change.step) == (text, VersionStep.MAJOR)


def test_a_fact_whose_record_is_changed_without_a_person_is_more_than_shown(
    rules: Any,
) -> None:
    old, new = "{in: diabetes, status: any}", "{in: diabetes, status: resolved}"
    acting = RULE.replace(
        "card:\n", "card:\n  system_actions: [{description: D, remove: shown}]\n"
    )

    (shown,) = changes_of(rules, old, new)
    (changed,) = changes_of(rules, old, new, acting)

    assert (shown.step, changed.step) == (VersionStep.PATCH, VersionStep.MAJOR)


def test_another_name_for_a_fact_that_actions_name_is_no_change(rules: Any) -> None:
    acting = RULE.replace("card:\n", f"card:\n  system_actions: [{PAUSE}]\n")
    renamed = acting.replace("blocker", "drug").replace("beta-drugs", "beta-blockers")

    assert (
        compare_rules("test", "test", book(rules, acting), book(rules, renamed)) == []
    )


def test_a_change_stands_at_its_line_in_the_new_file(rules: Any) -> None:
    (change,) = changes_of(rules, "taken_for: 14", "taken_for: 28")

    assert change.file == "test.yaml"
    assert RULE.splitlines()[change.line - 1].strip().startswith("blocker:")


def test_a_limit_in_a_parameter_is_told_once_where_the_parameter_stands(
    rules: Any,
) -> None:
    twice = RULE.replace("above: 90,", "above: $limit,")

    (change,) = changes_of(rules, "default: 100", "default: 110", twice)

    assert "limit:" in RULE.splitlines()[change.line - 1]


def test_codes_that_a_value_set_gains_and_loses_are_named(rules: Any) -> None:
    old = book(rules, RULE)
    valueset = rules.files["valuesets/diabetes.yaml"]
    new = book(
        rules,
        RULE,
        **{
            "valuesets/diabetes.yaml": valueset.replace(
                "under: [E11]", "codes: [E10.9]"
            )
        },
    )

    found = compare_rules("test", "test", old, new)

    assert [(each.text, each.effect) for each in found if "sugar" in each.text] == [
        ("sugar: the value set diabetes gained ICD-10-CM E10.9", "either way"),
        ("sugar: the value set diabetes lost ICD-10-CM E11…", "either way"),
    ]


def test_a_range_of_plausible_values_is_a_change_of_what_the_rule_reads(
    rules: Any,
) -> None:
    valueset = rules.files["valuesets/heart-rate.yaml"]
    unit = "unit: /min\n"
    assert unit in valueset

    def with_range(said: str) -> Any:
        text = valueset.replace(unit, said)
        return book(rules, RULE, **{"valuesets/heart-rate.yaml": text})

    none = with_range("")
    old = with_range("unit: /min\nplausible: [20, 300]\n")
    new = with_range("unit: /min\nplausible: [20, 250]\n")

    assert [
        (each.text, each.step, each.effect) for each in _about_range(none, old)
    ] == [
        (
            "hr: results plausible 20 to 300 /min, were of any value",
            VersionStep.MINOR,
            "either way",
        )
    ]
    assert [each.text for each in _about_range(old, new)] == [
        "hr: results plausible 20 to 250 /min, were plausible 20 to 300 /min"
    ]
    assert _about_range(old, old) == []


@pytest.mark.parametrize(
    ("said", "step"),
    [("unit: /min", VersionStep.PATCH), ("unit: '{steps}/d'", VersionStep.MINOR)],
)
def test_a_set_that_says_its_unit_changes_only_what_a_shorter_text_means(
    rules: Any, said: str, step: VersionStep
) -> None:
    name = "valuesets/heart-rate.yaml"
    unit = said.removeprefix("unit: ")
    rule = RULE.replace("unit: /min", said)
    text = rules.files[name].replace("unit: /min\n", "")
    title = "title: Heart rate\n"

    old = book(rules, rule, **{name: text})
    new = book(rules, rule, **{name: text.replace(title, f"{title}{said}\n")})

    (told,) = _about_range(old, new)
    assert told.step is step
    assert unit.strip("'") in told.text


def _about_range(old: Any, new: Any) -> list[Any]:
    return [e for e in compare_rules("test", "test", old, new) if "results" in e.text]


def difference(rules: Any, old: str, new: str) -> RuleDifference:
    (found,) = compare_books(book(rules, old), book(rules, new))
    return found


@pytest.mark.parametrize(
    ("change", "version", "message"),
    [
        (("default: 100", "default: 110"), "1.1.0", None),
        (("default: 100", "default: 110"), "1.0.1", "needs 1.1.0, has 1.0.1"),
        (("default: 100", "default: 110"), "2.0.0", None),
        (("owner: We", "owner: They"), "1.0.0", "needs 1.0.1, has 1.0.0"),
        (("sugar: absent", "sugar: present"), "1.9.0", "needs 2.0.0, has 1.9.0"),
        (("owner: We", "owner: We"), "1.0.1", None),
        (("owner: We", "owner: We"), "0.9.0", "the version went back from 1.0.0"),
    ],
)
def test_the_version_must_say_what_changed(
    rules: Any, change: tuple[str, str], version: str, message: str | None
) -> None:
    new = RULE.replace(*change).replace("version: 1.0.0", f"version: {version}")

    finding = difference(rules, RULE, new).finding()

    assert (finding.message if finding else None) == message
    if finding:
        assert (finding.code, finding.line) == ("CDS617", 3)


def test_rules_that_come_go_and_change_their_name_are_told_apart(rules: Any) -> None:
    other = RULE.replace("rule: test", "rule: other").replace(
        "above: $limit", "below: 9"
    )
    services = rules.files["services.yaml"]
    rules.files["services.yaml"] = services.replace("[test]", "[test, other]")
    old = book(rules, RULE, **{"other.yaml": other})
    del rules.files["other.yaml"], rules.files["test.yaml"]
    rules.files["services.yaml"] = services.replace("[test]", "[again, fresh]")
    fresh = RULE.replace("rule: test", "rule: fresh").replace(
        "blocker: pres", "blocker: abs"
    )
    rules.files["fresh.yaml"] = fresh
    compiled = book_of(rules, {"again.yaml": RULE.replace("rule: test", "rule: again")})

    found = compare_books(old, compiled)

    assert [(each.rule, each.state, each.renamed_from) for each in found] == [
        ("again", "renamed", "test"),
        ("fresh", "added", ""),
        ("other", "removed", ""),
    ]
    assert not any(each.finding() for each in found)


def book_of(rules: Any, files: dict[str, str]) -> Book:
    rules.files.update(files)
    compiled = rules.compile()
    assert compiled.rulebook, compiled.findings
    return Book(compiled.rulebook, compiled.trees)


def test_what_a_site_tunes_is_no_change_of_the_rule(rules: Any) -> None:
    old = book(rules, RULE)
    site = rules.files["site.yaml"]
    rules.files["site.yaml"] = site + "rules: {test: {params: {limit: 120}}}\n"

    assert compare_rules("test", "test", old, book(rules, RULE)) == []


@pytest.mark.parametrize(
    ("old", "new", "step"),
    [
        ("1.2.3", "1.2.3", VersionStep.NONE),
        ("1.2.3", "1.2.2", VersionStep.NONE),
        ("1.2.3", "1.2.4", VersionStep.PATCH),
        ("1.2.3", "1.3.0", VersionStep.MINOR),
        ("1.9.9", "2.0.0", VersionStep.MAJOR),
        ("1.9.9", "1.10.0", VersionStep.MINOR),
    ],
)
def test_the_step_between_versions(old: str, new: str, step: VersionStep) -> None:
    assert moved(old, new) is step


def test_the_least_version_after_a_step() -> None:
    assert [following("1.2.3", step) for step in VersionStep] == [
        "1.2.3",
        "1.2.4",
        "1.3.0",
        "2.0.0",
    ]
