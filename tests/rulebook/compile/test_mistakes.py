"""Mistakes that only the meaning of a file shows: each is found where it stands."""

from textwrap import dedent
from typing import Any

import pytest

from cds_service.fhir.models import check_resource
from cds_service.rulebook.compile.compiler import compile_rulebook
from cds_service.rulebook.language.diagnostics import Level

FACTS = """\
hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
sbp: {observation: {in: systolic, unit: 'mm[Hg]', within: 7 days}}
bb: {medication: {in: beta-blockers}}
low: {wearable_alert: {type: [low-heart-rate], within: 7 days}}
"""
WHEN = "all: [{hr: {latest: {above: 100}}}, {bb: present}, {low: present}]"
PARAMS = "params: {limit: {default: 100, unit: /min}, period: {default: 3 days}}"


def errors_of(rules: Any) -> list[tuple[str, str]]:
    return [
        (each.file, each.code)
        for each in rules.compile().findings
        if each.level is Level.ERROR
    ]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("  both: {any_of: [hr, bb]}", "CDS226"),
        ("  both: {any_of: [hr, sbp]}", "CDS226"),
        ("  both: {any_of: [hr, hx]}", "CDS301"),
        ("  both: {any_of: [hr, both]}", "CDS227"),
        ("  one: {any_of: [hr, two]}\n  two: {any_of: [hr, one]}", "CDS227"),
        ("  both: {use: pulse}", "CDS223"),
    ],
)
def test_facts_that_do_not_fit_together(
    rules: Any, chart: Any, more: str, code: str
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("when:", f"{more}\nwhen:")

    assert set(errors_of(rules)) == {("test.yaml", code)}


def test_a_part_that_is_wrong_is_told_once(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    more = "  odd: {condition: {in: nowhere}}\n  both: {any_of: [hr, odd]}"
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("when:", f"{more}\nwhen:")

    assert set(errors_of(rules)) == {("test.yaml", "CDS221")}


@pytest.mark.parametrize(
    ("test", "code", "help"),
    [
        ("hr: {rise: {at_least: 2, over: 8 days}}", "CDS308", "`within` longer"),
        ("hr: {fall: {at_least: 2, over: 8 days}}", "CDS308", "`over` shorter"),
        ("hr: {rise: {at_least: 2}}", "CDS101", ""),
        ("hr: {rise: {over: 2 days}}", "CDS110", ""),
        ("hr: {rise: {at_least: 2, ovr: 2 days}}", "CDS102", "did you mean `over`?"),
        ("hr: {rises: {at_least: 2, over: 2 days}}", "CDS102", "did you mean `rise`?"),
        ("hr: {rise: 2}", "CDS103", "`{ at_least: 2, over: 3 days }`"),
        ("hr: {repeated: {above: 2, times: 2}}", "CDS101", ""),
        ("hr: {repeated: {above: 2, times: 1, apart: 1 hour}}", "CDS107", ""),
        ("hr: {repeated: {above: 2, time: 2, apart: 1 hour}}", "CDS102", "`times`"),
        ("bb: {rise: {at_least: 2, over: 2 days}}", "CDS302", "allowed here"),
        ("low: {repeated: {above: 2, times: 2, apart: 1 hour}}", "CDS302", "allowed"),
        ("bare: {rise: {at_least: 2, over: 2 days}}", "CDS305", "`unit:`"),
        ("both: {rise: {at_least: 2, over: 3 days}}", "CDS308", "`within` longer"),
    ],
)
def test_a_mistake_in_a_test_of_the_course_of_readings(
    rules: Any, chart: Any, test: str, code: str, help: str
) -> None:
    more = """
        bare: {observation: {in: heart-rate, within: 7 days}}
        short: {observation: {in: heart-rate, unit: /min, within: 2 days}}
        both: {any_of: [hr, short]}
        """
    used = "{bare: present}, {both: present}"
    rules.evaluate(FACTS + dedent(more), f"{WHEN[:-1]}, {used}]", chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("{low: present}", f"{{{test}}}", 1)

    found = [each for each in rules.compile().findings if each.level is Level.ERROR]

    assert [each.code for each in found] == [code]
    assert help in found[0].help


@pytest.mark.parametrize(
    ("test", "codes"),
    [
        ("hr: {latest: {above: $period}}", ["CDS304"]),
        ("hr: {sustained: {above: 100, for: $limit}}", ["CDS222"]),
        ("hr: {sustained: {above: $period, for: 3 days}}", ["CDS304"]),
        ("hr: {sustained: {above: 100, for: $nothing}}", ["CDS303"]),
        ("patient: {age: {at_least: $limit}}", ["CDS222"]),
        ("low: {duration: {at_least: $limit}}", ["CDS222"]),
        ("low: {value: {above: $period}}", ["CDS304"]),
        ("sbp: {on_days: {above: $period, days: 2}}", ["CDS304"]),
        ("hr: {rise: {at_least: $period, over: 3 days}}", ["CDS304"]),
        ("hr: {fall: {at_least: 2, over: $limit}}", ["CDS222"]),
        ("hr: {repeated: {above: 2, times: $period, apart: 1 hour}}", ["CDS304"]),
        ("hr: {repeated: {above: 2, times: 2, apart: $limit}}", ["CDS222"]),
    ],
)
def test_a_param_of_the_wrong_kind(
    rules: Any, chart: Any, test: str, codes: list[str]
) -> None:
    used = "any: [{hr: {sustained: {above: $limit, for: $period}}}, {bb: present}]"
    rules.evaluate(FACTS, f"all: [{{bb: present}}, {{{used}}}]", chart(), more=PARAMS)
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("{bb: present}", f"{{{test}}}", 1)

    assert [code for _, code in errors_of(rules)] == codes


def test_params_may_hold_numbers_and_durations(
    rules: Any, chart: Any, reading: Any
) -> None:
    when = "hr: {sustained: {above: $limit, for: $period}}"
    readings = [reading(104, f"{hours} hours") for hours in (1, 25, 49)]

    (found,) = rules.evaluate(
        FACTS, when, chart(observations=readings), more=PARAMS
    ).items

    assert found.outcome == "fires"
    shown = [found.text("$", name).text for name in ("limit", "period")]
    assert shown == ["100 /min", "3 days"]


CARD = """\
card:
  summary: It fires
  source: {label: Test}
"""


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("  override_reasons: [artefact]", "CDS507"),
        (
            "  suggestions: [{label: X, actions: [{remove: hx, description: D}]}]",
            "CDS502",
        ),
        (
            "  suggestions: [{label: X, actions: [{remove: low, description: D}]}]",
            "CDS508",
        ),
        (
            "  suggestions:\n    - label: X\n      actions:\n"
            "        - {update: hx, set: {a: b}, description: D}",
            "CDS502",
        ),
        (
            "  suggestions:\n    - label: X\n      actions:\n"
            "        - update: bb\n          description: D\n"
            "          set: {note: '{{ hr.lastest }}'}",
            "CDS503",
        ),
        (
            "  suggestions:\n    - label: X\n      actions:\n"
            "        - description: D\n"
            "          create: {resourceType: Task, description: '{{ oops }}'}",
            "CDS501",
        ),
        ("  system_actions: [{remove: hx, description: D}]", "CDS502"),
        (
            "  system_actions: [{update: bb, set: {subject: {}}, description: D}]",
            "CDS510",
        ),
        ("  system_actions: [{remove: low, description: D}]", "CDS508"),
        ("  system_actions: [{remove: bb}]", "CDS101"),
        ("  system_actions: [{remove: bb, set: {a: b}, description: D}]", "CDS108"),
        ("  system_actions: [{description: D}]", "CDS110"),
        ("  system_actions: []", "CDS107"),
        ("  links: [{type: smart, page: why}]", "CDS512"),
        ("  links: [{type: smart, page: whys, label: Why}]", "CDS104"),
        ("  links: [{type: absolute, page: why, label: Why}]", "CDS110"),
        ("  links: [{type: smart, label: Why}]", "CDS110"),
        ("  links: [{type: smart, url: 'https://app.example'}]", "CDS110"),
        (
            "  links: [{type: smart, page: why, label: Why, "
            "url: 'https://app.example'}]",
            "CDS110",
        ),
        (
            "  links: [{type: smart, page: why, label: Why, app_context: x}]",
            "CDS108",
        ),
    ],
)
def test_a_mistake_on_a_card(rules: Any, chart: Any, lines: str, code: str) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace(CARD, f"{CARD}{lines}\n")

    assert errors_of(rules) == [("test.yaml", code)]


def test_a_card_without_a_source_is_refused(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("  source: {label: Test}\n", "")

    assert errors_of(rules) == [("test.yaml", "CDS506")]


@pytest.mark.parametrize(
    ("mistake", "code"),
    [
        ("override_reasons: [artefact]", "CDS507"),
        ("system_actions: [{remove: hx, description: D}]", "CDS502"),
        (
            "system_actions: [{update: bb, set: {a: '{{ x }}'}, description: D}]",
            "CDS501",
        ),
    ],
)
def test_a_mistake_in_card_defaults_is_told_there(
    rules: Any, chart: Any, mistake: str, code: str
) -> None:
    more = f"card_defaults: {{{mistake}}}"
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["test.yaml"] += more + "\n"

    (error,) = [e for e in rules.compile().findings if e.level is Level.ERROR]

    assert error.code == code
    line = rules.files["test.yaml"].splitlines()[error.line - 1]
    assert line.startswith("card_defaults")


def test_a_page_of_this_server_is_called_as_the_rule_says_or_else_the_site(
    rules: Any, chart: Any
) -> None:
    rules.files["site.yaml"] += "pages: {why: Why this card, timeline: Readings}\n"
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["test.yaml"] += (
        "card_defaults:\n  links:\n    - {type: smart, page: why}\n"
        "    - {type: smart, page: timeline, label: Heart rate}\n"
        "    - {type: smart, url: https://app.example/launch, label: App}\n"
    )

    (card,) = rules.compile().rulebook.rules["test"].cards

    assert [(each.page, each.label) for each in card.links] == [
        ("why", "Why this card"),
        ("timeline", "Heart rate"),
        ("", "App"),
    ]


def test_a_site_names_no_page_that_there_is_not(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["site.yaml"] += "pages: {timeliness: Readings}\n"

    assert errors_of(rules) == [("site.yaml", "CDS102")]


def test_a_local_override_reason_has_the_sites_own_system(
    rules: Any, chart: Any
) -> None:
    rules.files[
        "site.yaml"
    ] += "override_reasons: [{code: artefact, display: Artefact}]\n"
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["test.yaml"] += "card_defaults: {override_reasons: [artefact]}\n"

    (card,) = rules.compile().rulebook.rules["test"].cards

    (reason,) = card.override_reasons
    assert (reason.code, reason.display) == ("artefact", "Artefact")
    assert reason.system.startswith("urn:")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("hooks: [patient-view]", "hooks: [patient-veiw]", "CDS015"),
        ("status: active", "status: retired", "CDS603"),
        ("rule: test", "rule: tset", "CDS607"),
    ],
)
def test_a_mistake_at_the_head_of_a_rule(
    rules: Any, chart: Any, old: str, new: str, code: str
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["test.yaml"] = rules.files["test.yaml"].replace(old, new)

    assert ("test.yaml", code) in errors_of(rules)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("governance: {effective: 2026-12-01, expires: 2026-12-01}", "CDS608"),
        ("params: {limit: {default: soon}}", "CDS105"),
    ],
)
def test_dates_and_params_that_make_no_sense(
    rules: Any, chart: Any, more: str, code: str
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["test.yaml"] += more + "\n"

    assert code in [code for _, code in errors_of(rules)]


def test_two_rules_of_one_name_are_refused(rules: Any, chart: Any) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["other/test.yaml"] = rules.files["test.yaml"]

    assert errors_of(rules) == [("test.yaml", "CDS606")]


@pytest.mark.parametrize(
    ("services", "code"),
    [
        ("hooks: [patient-veiw], rules: [test]", "CDS015"),
        ("hooks: [patient-view, patient-view], rules: [test]", "CDS016"),
        ("hooks: [patient-view], rules: [tset]", "CDS017"),
    ],
)
def test_a_mistake_in_services(
    rules: Any, chart: Any, services: str, code: str
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    rules.files["services.yaml"] = (
        "format: 1\nservices:\n"
        f"  - {{id: review, title: A, description: A, {services}}}\n"
    )

    found = errors_of(rules)

    assert found and {file for file, _ in found} == {"services.yaml"}
    assert code in [code for _, code in found] or code == "CDS016"


@pytest.mark.parametrize("name", ["site.yaml", "services.yaml", "alert-types.yaml"])
def test_a_file_that_must_be_there(rules: Any, chart: Any, name: str) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    del rules.files[name]

    assert (name, "CDS010") in errors_of(rules)


TASK = "create: {resourceType: Task, status: draft, intnet: proposal}"


@pytest.mark.parametrize(
    "lines",
    [
        "  suggestions:\n    - label: X\n      actions:\n"
        f"        - description: D\n          {TASK}\n",
        f"  system_actions:\n    - description: D\n      {TASK}\n",
    ],
    ids=["suggested", "without a person"],
)
def test_a_resource_that_fhir_would_refuse_is_refused_with_the_rule(
    rules: Any, chart: Any, lines: str
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace(CARD, CARD + lines)

    lenient = compile_rulebook(rules.files)
    strict = compile_rulebook(rules.files, check_resource)

    assert lenient.rulebook is not None
    errors = [each for each in strict.findings if each.level is Level.ERROR]
    assert {(each.code, each.line) for each in errors} == {("CDS509", errors[0].line)}
    assert any("intnet" in each.message for each in errors)
    assert "create" in rules.files["test.yaml"].splitlines()[errors[0].line - 1]


@pytest.mark.parametrize(
    "body",
    [
        "[bb: present, low: present]",
        "{bb: present}",
        "{any: [bb: present, low: present]}",
    ],
)
@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("and", "did you mean `all`?"),
        ("or", "did you mean `any`?"),
        ("not", "did you mean `none`?"),
        ("unless", "did you mean `none`?"),
        ("neither", "did you mean `none`?"),
        ("xor", "allowed here: all, any, none"),
    ],
)
def test_a_word_of_logic_is_answered_with_the_one_that_means_the_same(
    rules: Any, chart: Any, word: str, meant: str, body: str
) -> None:
    rules.evaluate(FACTS, WHEN, chart())
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace("{bb: present}", f"{{{word}: {body}}}")

    found = [each for each in rules.compile().findings if each.level is Level.ERROR]

    assert [(each.code, each.help) for each in found] == [("CDS102", meant)]


MANY = FACTS + """\
again: {observation: {in: heart-rate, unit: /min, within: 7 days}}
both: {any_of: [hr, again]}
"""
USED = "any: [hr: present, sbp: present, bb: present, low: present, both: present]"


def holes(rules: Any, chart: Any, when: str, shown: str, more: str = "") -> list[str]:
    """What a text may lack, of a rule whose conditions are *when*."""
    rules.evaluate(MANY, f"all: [{{{USED}}}]", chart(), more=more)
    text = rules.files["test.yaml"]
    rules.files["test.yaml"] = text.replace(
        f"{{{USED}}}]", f"{{{USED}}}, {when}]"
    ).replace("summary: It fires", f'summary: "{{{{ {shown} }}}}"')
    found = [each for each in rules.compile().findings if each.level is Level.ERROR]
    return [each.code for each in found]


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        ("{hr: {latest: {above: 100}}}", "hr.latest"),
        ("{hr: {latest: {above: 100}}}", "hr.mean"),
        ("{hr: {latest: {above: 100}}}", "again.latest"),
        ("{hr: {latest: {above: 100}}}", "both.latest"),
        ("{hr: {count: {at_least: 2}}}", "hr.latest"),
        ("{bb: {count: {above: 0}}}", "bb.name"),
        ("{none: [bb: absent]}", "bb.name"),
        ("{none: [any: [bb: absent, hr: absent]]}", "bb.name"),
        ("{none: [none: [bb: present]]}", "bb.name"),
        ("{any: [bb: present, all: [hr: present, bb: present]]}", "bb.name"),
        ("{hr: {rise: {at_least: 5, over: 3 days}}}", "hr.rise"),
        ("{hr: {fall: {at_least: 5, over: 3 days}}}", "hr.fall"),
        ("{hr: {sustained: {above: 100, for: 3 days}}}", "hr.mean"),
        ("{low: {value: {below: 45}}}", "low.value"),
        ("{low: {threshold: {below: 45}}}", "low.threshold"),
        ("{low: {value: {below: 45}, count: {at_least: 2}}}", "low.age"),
        ("{low: {max: {below: 45}}}", "low.max"),
        ("{patient: {age: {at_least: 18 years}}}", "patient.age"),
        ("{patient: {sex: {in: [female]}}}", "patient.sex"),
    ],
)
def test_no_other_words_are_asked_for_what_the_conditions_make_sure_of(
    rules: Any, chart: Any, when: str, shown: str
) -> None:
    assert holes(rules, chart, when, shown) == []


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        ("{hr: absent}", "hr.latest"),
        ("{hr: {count: {below: 2}}}", "hr.latest"),
        ("{none: [hr: present]}", "hr.latest"),
        ("{none: [all: [bb: absent, hr: absent]]}", "bb.name"),
        ("{any: [bb: present, hr: present]}", "bb.name"),
        ("{none: [none: [bb: present, hr: present]]}", "bb.name"),
        ("{hr: {rise: {at_least: 5, over: 3 days}}}", "hr.fall"),
        ("{hr: {latest: {above: 100}}}", "hr.rise"),
        ("{both: present}", "hr.latest"),
        ("{low: present}", "low.value"),
        ("{low: {value: {below: 45}}}", "low.threshold"),
        ("{low: {value: {below: 45}}}, {low: {coverage: {above: 1}}}", "low.value"),
        ("{patient: {sex: {in: [female]}}}", "patient.age"),
        ("{none: [patient: {age: {below: 18 years}}]}", "patient.age"),
    ],
)
def test_other_words_are_asked_for_what_may_be_missing(
    rules: Any, chart: Any, when: str, shown: str
) -> None:
    assert "CDS504" in holes(rules, chart, when, shown)


def test_nothing_is_sure_in_a_rule_that_fires_unknown(rules: Any, chart: Any) -> None:
    when, more = "{hr: {latest: {above: 100}}}", "if_unknown: fire"

    assert holes(rules, chart, when, "hr.latest", more) == ["CDS504"]
