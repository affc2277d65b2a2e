"""What the compiler refuses, with the place, the code and the way out."""

from typing import Any

import pytest

from cds_service.rulebook.compile.compiler import compile_rulebook, digest_of
from cds_service.rulebook.language.diagnostics import Level

FACTS = """\
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
bb: {medication: {in: beta-blockers}}
low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
"""
WHEN = "all: [{hr: {latest: {above: 100}}}, {bb: present}, {low: present}]"


@pytest.mark.parametrize(
    ("wrong", "right", "code", "help"),
    [
        ("in: heart-rat", "in: heart-rate", "CDS221", "did you mean `heart-rate`?"),
        (
            "type: [low-heart-rat]",
            "type: [low-heart-rate]",
            "CDS224",
            "did you mean `low-heart-rate`?",
        ),
        ("unit: bpm", "unit: /min", "CDS228", "write `/min`"),
        (
            "{hq: {latest",
            "{hr: {latest",
            "CDS301",
            "allowed here: all, any, bb, hr, low, none, patient",
        ),
        (
            "{bb: {latest: {above: 1}}}",
            "{bb: present}",
            "CDS302",
            "allowed here: absent, count, present",
        ),
        ("{above: $limit}", "{above: 100}", "CDS303", "define it under `params`"),
        (
            "{low: absent}",
            "{low: present}",
            "CDS306",
            "no alert proves nothing; test for one that was received",
        ),
        (
            "{between: [100, 100]}",
            "{above: 100}",
            "CDS307",
            "write the lower limit first",
        ),
        (
            "{low: {local_time: {between: ['06:00', '06:00']}}}",
            "{low: present}",
            "CDS307",
            "let it end at a different time from its start",
        ),
    ],
)
def test_a_mistake_in_facts_or_conditions(
    rules: Any, chart: Any, wrong: str, right: str, code: str, help: str
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    assert right in text
    rules.files["test.yaml"] = text.replace(right, wrong, 1)

    compiled = rules.compile()

    errors = [each for each in compiled.findings if each.level is Level.ERROR]
    assert compiled.rulebook is None
    assert [(each.code, each.help) for each in errors] == [(code, help)]
    line = rules.files["test.yaml"].splitlines()[errors[0].line - 1]
    assert wrong.split(":")[0].strip("{") in line


@pytest.mark.parametrize(
    ("summary", "code", "column"),
    [
        ("Rate {{ hr.lastest }}", "CDS503", 17),
        ("Rate {{ hq.latest }}", "CDS502", 17),
        ("Rate {{ $limit }}", "CDS303", 17),
        ("Rate {{ hr.latest", "CDS501", 17),
        ("Rate {{ hr.latest_date }}", "CDS504", 17),
        ("Device {{ low.device }}", "CDS504", 19),
        ("Age {{ patient.age }}", "CDS504", 16),
        ("x" * 140, "CDS505", 12),
    ],
)
def test_a_mistake_in_card_text_is_found_where_it_stands(
    rules: Any, chart: Any, summary: str, code: str, column: int
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("It fires", summary)

    errors = [each for each in rules.compile().findings if each.level is Level.ERROR]

    assert [(each.code, each.column) for each in errors] == [(code, column)]
    assert summary in rules.files["test.yaml"].splitlines()[errors[0].line - 1]


def test_a_placeholder_of_a_fact_that_may_be_missing_needs_an_alternative(
    rules: Any, chart: Any
) -> None:
    either = "any: [{hr: {latest: {above: 100}}}, {bb: present}, {low: present}]"
    rules.evaluate(FACTS, either, chart())
    text = rules.files["test.yaml"]

    bare = text.replace("It fires", "'{{ hr.latest }}'")
    safe = text.replace("It fires", "\"{{ hr.latest or 'not known' }}\"")
    rules.files["test.yaml"] = bare
    assert [
        each.code for each in rules.compile().findings if each.level is Level.ERROR
    ] == ["CDS504"]
    rules.files["test.yaml"] = safe
    assert rules.compile().rulebook is not None


def test_a_unit_is_needed_to_compare_numbers(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["test.yaml"] = rules.files["test.yaml"].replace(" unit: /min,", "")

    codes = [each.code for each in rules.compile().findings]

    assert "CDS305" in codes


@pytest.mark.parametrize(
    ("site", "code"),
    [
        ("time_zone: Mars/Olympus", "CDS011"),
        ("time_zone: UTC\noverlays: [snomed]", "CDS012"),
        ("time_zone: UTC\nrules: {tset: {status: shadow}}", "CDS014"),
        ("time_zone: UTC\nreading: {supply_grace: 999999 days}", "CDS222"),
        ("time_zone: UTC\nreading: {supply_grace: 90}", "CDS103"),
        ("time_zone: UTC\nreading: {supply: 90 days}", "CDS102"),
        ("time_zone: UTC\nrules: {test: {params: {limit: 3}}}", "CDS018"),
    ],
)
def test_a_mistake_in_site_settings(
    rules: Any, chart: Any, site: str, code: str
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["site.yaml"] = f"format: 1\n{site}\n"

    errors = [each for each in rules.compile().findings if each.level is Level.ERROR]

    assert [(each.file, each.code) for each in errors] == [("site.yaml", code)]


PARAMS = "params: {limit: {default: 100, unit: /min, min: 80, max: 150}}"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("110", None),
        ("80", None),
        ("79", "outside"),
        ("151", "outside"),
        ("3 days", "fit"),
    ],
)
def test_a_site_tunes_a_param_within_the_rules_bounds(
    rules: Any, chart: Any, reading: Any, value: str, problem: str | None
) -> None:
    when = "hr: {latest: {above: $limit}}"
    patient = chart(observations=[reading(105)])
    facts = FACTS.splitlines()[0]
    before = rules.evaluate(facts, when, patient, more=PARAMS)
    rules.files["site.yaml"] += f"rules: {{test: {{params: {{limit: {value}}}}}}}\n"

    compiled = rules.compile()

    assert [each.outcome for each in before.items] == ["fires"]
    if problem:
        (error,) = [each for each in compiled.findings if each.level is Level.ERROR]
        assert problem in error.message
    else:
        after = rules.evaluate(facts, when, patient, more=PARAMS)
        assert [each.outcome for each in after.items] == (
            ["no"] if value == "110" else ["fires"]
        )


def test_a_site_may_lower_a_severity(rules: Any, chart: Any) -> None:
    for wanted in ("info", "warning"):
        rules.files["site.yaml"] = (
            "format: 1\ntime_zone: UTC\nunapproved: serve\n"
            f"rules: {{test: {{severity: {wanted}}}}}\n"
        )
        rules.evaluate(FACTS, "low: present", chart())
        (card,) = rules.compile().rulebook.rules["test"].cards
        assert card.severity.name == wanted.upper()


def test_shared_facts_may_be_used_and_joined_but_not_in_a_circle(
    rules: Any, chart: Any, reading: Any
) -> None:
    shared = "format: 1\nfact: {}\ntitle: Shared\n{}\n"
    fast = "observation: {in: heart-rate, unit: /min, within: 7 days}"
    old = "observation: {in: heart-rate, unit: /min, within: 30 days}"
    rules.files["facts/fast.yaml"] = shared.format("fast", fast)
    rules.files["facts/old.yaml"] = shared.format("old", old)
    rules.files["facts/pulse.yaml"] = shared.format("pulse", "any_of: [fast, old]")
    patient = chart(observations=[reading(105)])

    found = rules.evaluate("hr: {use: pulse}", "hr: {latest: {above: 100}}", patient)
    rules.files["facts/fast.yaml"] = shared.format("fast", "any_of: [pulse, old]")
    circle = [each for each in rules.compile().findings if each.level is Level.ERROR]

    assert [each.outcome for each in found.items] == ["fires"]
    assert {each.code for each in circle} == {"CDS225"}


def test_any_of_joins_facts_with_windows_of_their_own(
    rules: Any, chart: Any, reading: Any
) -> None:
    facts = """\
    day: {observation: {in: heart-rate, unit: /min, within: 1 day}}
    week: {observation: {in: heart-rate, unit: /min, within: 7 days}}
    either: {any_of: [day, week]}
    """
    patient = chart(observations=[reading(105, "3 days"), reading(90, "1 hours")])

    count = rules.verdict(facts, "either: {count: {equals: 2}}", patient)
    highest = rules.verdict(facts, "either: {max: {above: 100}}", patient)

    assert (count, highest) == (True, True)


def test_what_is_never_used_is_a_warning(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, "bb: present", chart(), more=PARAMS)

    codes = [
        each.code for each in rules.compile().findings if each.level is Level.WARNING
    ]

    assert codes.count("CDS401") == 2
    assert codes.count("CDS402") == 1


def test_a_critical_card_needs_a_word_about_the_unknown(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("severity: warning", "severity: critical")

    codes = [
        each.code for each in rules.compile().findings if each.level is Level.ERROR
    ]

    assert codes == ["CDS801"]


def test_several_services_share_a_hook_and_one_service_has_several(
    rules: Any, chart: Any
) -> None:
    rules.files["services.yaml"] = """\
format: 1
services:
  - id: review
    hooks: [patient-view, encounter-start]
    title: A
    description: A
    rules: [test]
  - {id: other, hooks: [patient-view], title: B, description: B, rules: [test]}
"""
    rules.evaluate(FACTS, WHEN, chart())

    services = rules.compile().rulebook.services

    assert set(services) == {
        ("review", "patient-view"),
        ("review", "encounter-start"),
        ("other", "patient-view"),
    }
    assert services["review", "encounter-start"].rules == ()


def test_the_digest_knows_rules_from_tests(rules: Any) -> None:
    before = digest_of(rules.files)

    with_test = digest_of({**rules.files, "test.test.yaml": "test: test"})
    with_change = digest_of({**rules.files, "site.yaml": "format: 1"})

    assert with_test == before
    assert with_change != before


def test_one_wrong_file_keeps_the_whole_set_from_being_served(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["valuesets/broken.yaml"] = "format: ["

    assert rules.compile().rulebook is None


def test_a_known_file_is_compiled_again_only_where_its_text_changed(
    rules: Any, chart: Any
) -> None:
    rules.evaluate(FACTS, "low: present", chart())
    first = rules.compile()
    rules.files["test.yaml"] = rules.files["test.yaml"].replace("1.0.0", "2.0.0")

    again = compile_rulebook(rules.files, known=first.documents)

    assert again.rulebook and again.rulebook.rules["test"].version == "2.0.0"
    assert again.rulebook.digest == rules.compile().rulebook.digest
    assert again.documents["site.yaml"] is first.documents["site.yaml"]
    assert again.documents["test.yaml"] is not first.documents["test.yaml"]


def test_somebody_may_rest_between_the_files(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, "low: present", chart())
    rests: list[None] = []

    compile_rulebook(rules.files, pause=lambda: rests.append(None))

    assert len(rests) >= len(rules.files)
