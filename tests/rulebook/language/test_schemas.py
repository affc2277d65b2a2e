from pathlib import Path

import pytest

from cds_service.rulebook.language.diagnostics import Finding, Findings
from cds_service.rulebook.language.schemas import NAMES, check_shape, read_schema
from cds_service.rulebook.language.source import parse_yaml
from cds_service.wearables.detection.episodes import NotJudged

from ...small_rules import FAST_AT_REST

RULE = """\
format: 1
rule: fast-heart
version: 1.2.0
title: Fast heart
status: active
severity: warning
hooks: [patient-view]
params:
  limit: {default: 100, unit: /min, min: 80, max: 150}
facts:
  hr:
    observation: {in: heart-rate, unit: /min, within: 7 days}
  drug:
    medication: {in: beta-blockers, status: current, taken_for: 14 days}
  alert:
    wearable_alert: {type: [high-heart-rate], within: 3 days}
when:
  all:
    - patient: {age: {at_least: 18 years}, sex: {in: [female]}}
    - drug: present
    - any:
        - hr: {sustained: {above: $limit, for: 3 days, share: 0.8}}
        - hr: {on_days: {at_least: $limit, days: 2}}
        - alert: {local_time: {between: ["22:00", "06:00"]}}
if_unknown: note
card:
  summary: Heart rate {{ hr.latest }}
  source: {label: Example}
alerting: {once_per: [patient, rule], repeat_after: 14 days}
governance:
  owner: cardiology
  effective: 2026-10-15
  evidence: [{citation: A guideline, year: 2023}]
"""
TEST = """\
test: fast-heart
now: 2026-11-22T12:00:00Z
patients:
  base:
    born: 1958-03-14
    observations:
      - {code: loinc|8867-4, unit: /min, ends: 6 hours ago, values: 104 _ 9x5}
cases:
  - name: fires
    patient: base
    set: {not_loaded: [Condition]}
    expect: {card: warning}
"""
VALUESET = """\
format: 1
valueset: beta-blockers
version: 2026.11.0
title: Beta-blockers
include:
  - system: rxnorm
    ingredients: [{code: 6918, name: metoprolol}]
  - valueset: others
exclude:
  - dose_forms: [eye]
"""
SITE = """\
format: 1
time_zone: Europe/Berlin
unapproved: serve
unresolved: unknown
overlays: [snomed]
override_reasons: [{code: artifact, display: Artifact}]
rules: {fast-heart: {params: {limit: 110}, severity: info}}
"""
SERVICES = """\
format: 1
services:
  - id: review
    hooks: [patient-view]
    title: Review
    description: Looks.
    rules: [cardiology]
    sources: {observations: required}
"""
FACT = (
    "format: 1\nfact: pregnancy\ncondition: {in: pregnancy, onset_within: 42 weeks}\n"
)
TYPES = (
    "format: 1\nalert_types:\n  low-heart-rate: {title: Low, metric: hr, unit: /min}\n"
)
UNITS = """\
format: 1
units:
  - {title: Heart rate, unit: /min, system: loinc, codes: [8867-4]}
"""
METRICS = """\
format: 1
priority: [garmin, watches]
metrics:
  sensor-glucose:
    title: Glucose by a sensor
    unit: mg/dL
    plausible: [39, 600]
    molar_mass: 180.16
    codes: [{system: loinc, codes: [99504-3]}]
    consent: [{system: loinc, codes: [41653-7]}]
    names:
      nightscout: [sgv]
      health-connect: [{name: blood_glucose_record_table/level/1, unit: mmol/L}]
    cumulative: false
    at_rest: false
    priority: [nightscout]
"""
DETECTOR = FAST_AT_REST.replace("status: active", "status: draft")
DETECTOR_TEST = """\
test: fast-heart-at-rest
begins: 2026-11-20T08:00:00-05:00
wearers:
  still:
    - {metric: steps, values: 0x9, every: 5 minutes, at: 5 minutes before}
cases:
  - name: opens
    wearer: still
    own_limit: 110
    params: {limit: 95}
    readings: [{metric: heart-rate, values: 115x31, context: rest, device: Watch}]
    corrected: [{metric: heart-rate, values: 85 _x3, as: by-hand, source: garmin}]
    known: 3 days
    expect: {episodes: [{opened: 10 minutes, closing: lasts}]}
  - name: does not
    readings: [{metric: heart-rate, values: <40 _ 90+1x3, days: 3}]
    expect: none
  - name: is not judged
    todo: later
    expect: {not_judged: [rest-unknown]}
"""
LEXICON = """\
format: 1
title: English
forms:
  ophthalmic:
    words: [ophthalmic, eye drop*]
    but_not: [eye drop bottle]
    atc: [S01]
    codes: [{system: snomed, codes: ["54485002"]}]
mentions:
  denied: {before: [allergic to], after: [allergy], but_not: [allergy relief]}
"""

OUTPUTS = """\
format: 1
categories:
  vital-signs: [{system: "http://example.org/categories", codes: [vital-signs]}]
metrics:
  heart-rate:
    categories: [vital-signs]
    profiles: ["http://hl7.org/fhir/StructureDefinition/heartrate"]
    days: {max: {text: Highest heart rate}}
"""
GOOD = {
    "rule": RULE,
    "rule-test": TEST,
    "detector": DETECTOR,
    "detector-test": DETECTOR_TEST,
    "valueset": VALUESET,
    "site": SITE,
    "services": SERVICES,
    "fact": FACT,
    "alert-types": TYPES,
    "metrics": METRICS,
    "outputs": OUTPUTS,
    "lexicon": LEXICON,
    "units": UNITS,
}


def check(name: str, text: str) -> list[Finding]:
    findings = Findings()
    document = parse_yaml(text, "a.yaml", findings)
    assert document is not None
    fits = check_shape(name, document, findings)
    assert fits is not findings.has_errors
    return list(findings)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_each_kind_has_the_right_shape(name: str) -> None:
    assert check(name, GOOD[name]) == []


BROKEN = [
    # kind, replaced, by, line, column, code, part of the sentence, part of the help
    ("rule", "format: 1\n", "", 1, 1, "CDS101", "`format` is missing", ""),
    ("rule", "format: 1", "format: 2", 1, 9, "CDS104", "`2`", "allowed: 1"),
    ("rule", "status: active", "statsu: active", 5, 1, "CDS102", "statsu", "`status`"),
    ("rule", "warning", "warn", 6, 11, "CDS104", "`warn`", "did you mean `warning`"),
    ("rule", "1.2.0", "1.2", 3, 10, "CDS105", "`1.2` is not a version", "1.2.0"),
    ("rule", "fast-heart", "Fast Heart", 2, 7, "CDS105", "is not a name", "hyphens"),
    ("rule", "Fast heart", "12", 4, 8, "CDS103", "text, not a number", '"12"'),
    ("rule", "[patient-view]", "patient-view", 7, 8, "CDS103", "a list", "[patient-"),
    ("rule", "[patient-view]", "[]", 7, 8, "CDS107", "no items", ""),
    ("rule", "[patient-view]", "[a, a]", 7, 8, "CDS107", "twice", ""),
    ("rule", " [patient-view]", "", 7, 7, "CDS103", "`hooks` has no value", ""),
    ("rule", "default: 100", "default: x", 9, 20, "CDS105", "`x`", "number"),
    (
        "rule",
        "  hr:\n",
        "  Hr:\n",
        11,
        3,
        "CDS105",
        "`Hr` is not a valid name",
        "underscores",
    ),
    ("rule", "    observation", "    obsrvation", 12, 5, "CDS102", "in `hr`", "`obser"),
    ("rule", "in: heart-rate, ", "", 12, 5, "CDS101", "`in` is missing in", ""),
    ("rule", "7 days}", "7 day s}", 12, 55, "CDS105", "not a duration", "7 days"),
    ("rule", "[high-heart-rate]", "high", 16, 28, "CDS103", "is a list", "[high]"),
    ("rule", "  all:", "  al:", 18, 3, "CDS102", "`al`", "did you mean `all`?"),
    ("rule", "drug: present", "drug: presnt", 20, 13, "CDS104", "presnt", "`present`"),
    ("rule", "drug: present", "drug: 3", 20, 13, "CDS103", "not a number", "`present`"),
    (
        "rule",
        "drug: present",
        "drug: present\n      hr: present",
        21,
        7,
        "CDS106",
        "only one key",
        "`all:`",
    ),
    ("rule", "drug: present", "{}", 20, 7, "CDS106", "there is nothing", "all, any"),
    ("rule", "sustained:", "sustaned:", 22, 16, "CDS102", "in `hr`", "`sustained`"),
    ("rule", "above: $limit, ", "", 22, 16, "CDS110", "name one limit", ""),
    ("rule", "share: 0.8", "share: 80", 22, 63, "CDS107", "`80` is more than 1", ""),
    ("rule", "days: 2", "days: two", 23, 50, "CDS103", "whole number", "quotes"),
    ("rule", '"06:00"', "6 am", 24, 51, "CDS105", "not a time of day", "in quotes"),
    ("rule", "if_unknown: note", "if_unknown: 1", 25, 13, "CDS104", "`1`", "silent"),
    (
        "rule",
        "card:\n",
        "cards: [{summary: x}]\ncard:\n",
        1,
        1,
        "CDS110",
        "either `card` or `cards`",
        "",
    ),
    (
        "rule",
        "2026-10-15",
        "2026-02-30",
        32,
        14,
        "CDS105",
        "not a date in the calendar",
        "",
    ),
    ("rule", "2026-10-15", "15.10.2026", 32, 14, "CDS105", "not a date", "year-month"),
    ("rule", "year: 2023", 'year: "2023"', 33, 44, "CDS103", "whole number", "without"),
    ("rule-test", "Z\n", "\n", 2, 6, "CDS105", "not a moment", "offset"),
    ("rule-test", "6 hours ago", "later", 7, 48, "CDS105", "`later`", "6 hours ago"),
    ("rule-test", "{card: warning}", "card", 12, 13, "CDS104", "`card`", "no card"),
    ("rule-test", "{card: w", "{crad: w", 12, 14, "CDS102", "`crad`", "`card`"),
    ("rule-test", "loinc|", "", 7, 16, "CDS105", "a code with its system", "rxnorm|"),
    ("valueset", "    ingredients", "    ingredient", 7, 5, "CDS102", "incl", "`in"),
    ("valueset", ", name: metoprolol", "", 7, 19, "CDS101", "`name` is missing", ""),
    ("valueset", "l}", "l, also: Lopressor}", 7, 56, "CDS103", "a list", ""),
    ("valueset", "l}", "l, also: [ab]}", 7, 57, "CDS105", "`ab`", "three letters"),
    ("valueset", "l}", "l, brands: [Toprol]}", 7, 50, "CDS102", "`brands`", "also"),
    ("valueset", "title: Beta-blockers\n", "", 2, 1, "CDS108", "requires `title`", ""),
    ("valueset", "valueset: be", "extends: a\nvalueset: be", 1, 1, "CDS110", "", ""),
    ("site", "serve", "yes", 3, 13, "CDS104", "`yes`", "allowed: withhold, serve"),
    ("site", "time_zone", "timezone", 2, 1, "CDS102", "`timezone`", "`time_zone`"),
    ("services", "required", "needed", 8, 29, "CDS104", "`needed`", "optional"),
    ("fact", "condition", "conditoin", 3, 1, "CDS102", "`conditoin`", "`condition`"),
    ("lexicon", "title: English\n", "", 1, 1, "CDS101", "`title` is missing", ""),
    ("lexicon", "words:", "word:", 5, 5, "CDS102", "`word`", "`words`"),
    ("lexicon", "system: snomed, ", "", 8, 13, "CDS101", "`system` is missing", ""),
    ("alert-types", "title: Low, ", "", 3, 3, "CDS101", "`title` is missing", ""),
    ("alert-types", "unit: /min", "plausible: [1, 2]", 3, 44, "CDS108", "", "`unit`"),
    ("alert-types", "/min}", "/min, plausible: 9}", 3, 67, "CDS103", "a list", ""),
    ("metrics", "    plausible: [39, 600]\n", "", 4, 3, "CDS101", "`plausible`", ""),
    ("metrics", "at_rest", "resting", 15, 5, "CDS102", "`resting`", ""),
    ("outputs", "{text: Highest heart rate}", "{}", 8, 12, "CDS101", "`text`", ""),
    ("outputs", "http://hl7.org/fhir", "hl7", 7, 16, "CDS105", "", "a profile"),
    ("outputs", "max:", "maximum:", 8, 12, "CDS105", "`maximum`", ""),
    ("detector", "    clear_by: 5\n", "", 11, 3, "CDS110", "`clear_by`", "add one of"),
    (
        "detector",
        "above: $limit",
        "above: $limit\n    below: 9",
        11,
        3,
        "CDS110",
        "",
        "",
    ),
    ("detector", "coverage: 0.7", "coverage: 70", 16, 15, "CDS107", "more than 1", ""),
    ("detector", "for: 10 minutes", "for: 600", 14, 10, "CDS103", "a duration", ""),
    ("detector", "sustained:", "sustaned:", 11, 3, "CDS102", "", "`sustained`"),
    (
        "detector",
        "longest: 15 minutes",
        "longst: 1 hour",
        23,
        8,
        "CDS102",
        "",
        "`long",
    ),
    ("detector", ", describe: Fast", "", 9, 3, "CDS101", "`describe` is missing", ""),
    ("detector", "status: draft", "status: on", 5, 9, "CDS104", "`on`", "shadow"),
    ("detector-test", "115x31", "115 x 31", 11, 45, "CDS105", "not a series", "115x30"),
    ("detector-test", "expect: none", "expect: nothing", 17, 13, "CDS104", "", "none"),
    (
        "detector-test",
        "opened: 10 minutes",
        "opend: 1 day",
        14,
        26,
        "CDS102",
        "",
        "ned`",
    ),
    ("detector-test", "10 minutes,", "08:10,", 14, 34, "CDS105", "`08:10`", "how long"),
    (
        "detector-test",
        "[rest-unknown]",
        "[rest]",
        20,
        27,
        "CDS104",
        "`rest`",
        "rest-unk",
    ),
    ("units", "unit: /min, ", "", 3, 5, "CDS101", "`unit` is missing", ""),
    ("units", "codes:", "code:", 3, 52, "CDS102", "`code`", "`codes`"),
]


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "column", "code", "said", "help"), BROKEN
)
def test_a_wrong_shape_is_told_once_at_its_place_with_what_to_do(
    name: str,
    old: str,
    new: str,
    line: int,
    column: int,
    code: str,
    said: str,
    help: str,
) -> None:
    assert old in GOOD[name]

    (found,) = check(name, GOOD[name].replace(old, new, 1))

    assert (found.line, found.column, found.code) == (line, column, code)
    assert said in found.message
    assert help in found.help


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["- a", "text", "12", "null", "true"])
def test_a_file_that_is_something_else_altogether_is_told_in_one_sentence(
    name: str, text: str
) -> None:
    assert [each.code for each in check(name, text)] == ["CDS103"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["{}", "{a: [1]}"])
def test_a_file_without_its_keys_is_refused(name: str, text: str) -> None:
    found = check(name, text)

    assert found
    assert all(each.code.startswith("CDS1") for each in found)


def test_a_misspelt_key_is_one_fault_although_another_is_missing_by_it() -> None:
    found = check("fact", FACT.replace("fact:", "fct:"))

    assert [each.code for each in found] == ["CDS102"]


@pytest.mark.parametrize("name", [*NAMES, "grammar"])
def test_every_key_is_explained_to_the_person_who_edits(name: str) -> None:
    schema = read_schema(name)
    kinds = [schema, *schema.get("definitions", {}).values()]
    silent = [
        key
        for kind in kinds
        for key, each in kind.get("properties", {}).items()
        if not {"description", "$ref"} & set(each)
    ]

    assert set(silent) <= {
        "source",
        "links",
        "suggestions",
        "conditions",
        "medications",
        "observations",
        "wearable_alerts",
        "evidence",
    }


def test_every_rule_file_of_the_project_names_a_schema_that_is_there() -> None:
    folder = Path(__file__).parents[3] / "rules"
    files = sorted(folder.rglob("*.yaml"))
    named = {
        file: file.read_text("utf-8").split("\n")[0].rpartition("$schema=")[2]
        for file in files
    }

    assert files
    assert [str(f) for f in files if not (f.parent / named[f]).is_file()] == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("grammar", "definitions.stream.properties.not_judged.items.enum"),
        ("rule-test", "definitions.worn_tallies.properties.reason.enum"),
    ],
)
def test_every_reason_why_something_was_not_judged_can_be_written(
    name: str, path: str
) -> None:
    node = read_schema(name)
    for step in path.split("."):
        node = node[step]

    assert set(node) == {str(each) for each in NotJudged}
