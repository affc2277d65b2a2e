"""Every kind of mistake once: where it is told, as what, and that nothing is served."""

from functools import cache

import pytest
from jsonschema import Draft7Validator, FormatChecker

from cds_service.fhir.models import check_resource
from cds_service.protocol.schemas import Validator
from cds_service.rulebook.compile.compiler import compile_rulebook, kind_of
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.schemas import bundle
from cds_service.rulebook.language.source import parse_yaml

from .good_folder import (
    ALERTS,
    FOLDER,
    GOOD,
    RULE,
    SERVICES,
    SITE,
    errors,
    laid,
)

UNKNOWN_SYSTEM = "unit: /min, codes: [{system: lonc, codes: [8867-4]}]}"
MISTYPED_CODE = "unit: /min, codes: [{system: loinc, codes: [hr]}]}"
SENTENCE = "Heart rate above the limit "
CARD = GOOD[GOOD.index("card:") : GOOD.index("alerting:")]
FACTS = GOOD[GOOD.index("facts:") : GOOD.index("when:")]
CHOICES = GOOD[GOOD.index("        - sbp: {latest") : GOOD.index("if_unknown")]
UNDECIDED = GOOD.replace("severity: warning", "severity: critical").replace(
    "if_unknown: note\n", ""
)
SUMMARY = "summary: Heart rate {{ hr.mean }}"

MISTAKES = [
    # file, what stands there, what stands there by mistake, line, column, code
    (RULE, "title: Heart rate above the limit on a beta-blocker\n", "", 1, 1, "CDS101"),
    (RULE, "severity:", "severty:", 6, 1, "CDS102"),
    (RULE, "severity: warning", "severity: warning\nfoo: bar", 7, 1, "CDS102"),
    (RULE, "title:", "titl\u0435:", 4, 1, "CDS102"),
    (RULE, "title:", "Title:", 4, 1, "CDS102"),
    (RULE, "share: 0.8", "share: most", 22, 60, "CDS103"),
    (
        RULE,
        "title: Heart rate above the limit on a beta-blocker",
        "title: 100",
        4,
        8,
        "CDS103",
    ),
    (
        RULE,
        GOOD[GOOD.index("params:") : GOOD.index("facts:")],
        "params: [limit]\n",
        8,
        9,
        "CDS103",
    ),
    (RULE, "hooks: [patient-view]", "hooks: patient-view", 7, 8, "CDS103"),
    (
        RULE,
        "if_unknown: note\ncard:\n",
        "if_unknown: note\ncards:\ncard:\n",
        1,
        1,
        "CDS110",
    ),
    (
        RULE,
        "    - drug: present\n    - sugar: absent\n",
        "    - drug: present\n      sugar: absent\n",
        21,
        7,
        "CDS106",
    ),
    (RULE, "    - sugar: absent", "    - {}", 21, 7, "CDS106"),
    (RULE, "    - sugar: absent", "    - sugar absent", 21, 7, "CDS103"),
    (
        RULE,
        "{latest: {below: 90}}",
        "{latest: {below: 90, above: 60}}",
        24,
        37,
        "CDS106",
    ),
    (
        RULE,
        "sugar: {use: diabetes}",
        "sugar: {use: diabetes, condition: {in: diabetes}}",
        16,
        26,
        "CDS106",
    ),
    (
        RULE,
        "sugar: {use: diabetes}",
        "sugar: {allergy: {in: diabetes}}",
        16,
        11,
        "CDS102",
    ),
    (RULE, "alerting:", "cards: [{summary: x}]\nalerting:", 1, 1, "CDS110"),
    (RULE, "severity: warning", "severity: high", 6, 11, "CDS104"),
    (RULE, "status: active", "status: on", 5, 9, "CDS104"),
    (RULE, "format: 1", "format: 2", 1, 9, "CDS104"),
    (RULE, "format: 1", 'format: "1"', 1, 9, "CDS104"),
    (RULE, "sbp: {latest:", "sbp: {lastest:", 24, 17, "CDS102"),
    (RULE, "{below: 90}", "{equals: 90}", 24, 26, "CDS102"),
    (
        RULE,
        "create: {resourceType: ServiceRequest, status: draft, intent: proposal}",
        "update: drug",
        39,
        11,
        "CDS108",
    ),
    (
        RULE,
        "hooks: [patient-view]",
        "hooks: [patient-view, patient-view]",
        7,
        8,
        "CDS107",
    ),
    (
        RULE,
        "taken_for: 14 days}",
        "taken_for: 14 days, started_within: 3 days}",
        12,
        10,
        "CDS110",
    ),
    (
        RULE,
        "sugar: {use: diabetes}",
        "sugar: {condition: {in: diabetes, onset_within: 1 day, "
        "recorded_within: 1 day}}",
        16,
        11,
        "CDS110",
    ),
    (RULE, "in: heart-rate,", "in: heartrate,", 13, 26, "CDS221"),
    (RULE, "- drug: present", "- drugs: present", 20, 7, "CDS301"),
    (RULE, "above: $limit", "above: $limt", 22, 31, "CDS303"),
    (RULE, "[patient-view]", "[patient-veiw]", 7, 9, "CDS015"),
    (RULE, "rule: good", "rule: Good", 2, 7, "CDS105"),
    (RULE, "  hr: {obs", "  heart-rate: {obs", 13, 3, "CDS105"),
    (RULE, "in: heart-rate,", "in: heart-r\u0430te,", 13, 26, "CDS105"),
    (RULE, "[low-heart-rate]", "[low-hart-rate]", 15, 34, "CDS224"),
    (RULE, "{use: diabetes}", "{use: diabetis}", 16, 16, "CDS223"),
    (RULE, "[cds-not-applicable]", "[cds-not-aplicable]", 32, 22, "CDS507"),
    (RULE, "priority: 50}", "priority: 50, group: Rate Control}", 40, 82, "CDS105"),
    (RULE, "once_per: [patient, rule]", "once_per: [patient, visit]", 40, 32, "CDS105"),
    (RULE, "rule: good", "rule: better", 2, 7, "CDS607"),
    (SERVICES, "[cardiology]", "[cardiolgy]", 7, 13, "CDS017"),
    (RULE, "{age: {at_least: 18 years}}", "{sex: {in: [woman]}}", 19, 28, "CDS104"),
    (RULE, "priority: 50", "priority: 500", 40, 71, "CDS107"),
    (
        RULE,
        '{in: systolic, unit: "mm[Hg]", within',
        "{in: systolic, within",
        24,
        17,
        "CDS305",
    ),
    (RULE, 'unit: "mm[Hg]"', "unit: mmhg", 14, 43, "CDS228"),
    (RULE, 'unit: "mm[Hg]"', "unit: fortnights", 14, 43, "CDS228"),
    (RULE, 'unit: "mm[Hg]"', "unit: ''", 14, 43, "CDS107"),
    (RULE, "in: heart-rate, unit: /min", "in: heart-rate, unit: kg", 22, 31, "CDS309"),
    (RULE, "default: 100, unit: /min", "default: 100, unit: bmp", 9, 31, "CDS228"),
    (RULE, "unit: /min, within: 7 days", "unit: /min, within: 7d", 13, 58, "CDS105"),
    (RULE, "unit: /min, within: 7 days", "unit: /min, within: 7", 13, 58, "CDS103"),
    (
        RULE,
        "unit: /min, within: 7 days",
        "unit: /min, within: 7 day s",
        13,
        58,
        "CDS105",
    ),
    (
        RULE,
        "unit: /min, within: 7 days",
        "unit: /min, within: -7 days",
        13,
        58,
        "CDS105",
    ),
    (
        RULE,
        "unit: /min, within: 7 days",
        "unit: /min, within: 0 days",
        13,
        58,
        "CDS222",
    ),
    (
        RULE,
        "unit: /min, within: 7 days",
        "unit: /min, within: 99999999999 years",
        13,
        58,
        "CDS222",
    ),
    (
        RULE,
        "unit: /min, within: 7 days",
        "unit: /min, within: 1.5 months",
        13,
        58,
        "CDS222",
    ),
    (
        RULE,
        "unit: /min, within: 7 days",
        "unit: /min, within: a week",
        13,
        58,
        "CDS105",
    ),
    (RULE, "unit: /min, within: 7 days", "unit: /min, within: P7D", 13, 58, "CDS105"),
    (RULE, "above: $limit", "above: $period", 22, 31, "CDS304"),
    (RULE, "for: $period", "for: $limit", 22, 44, "CDS222"),
    (RULE, "at_least: 18 years", "at_least: 18", 19, 33, "CDS103"),
    (RULE, "effective: 2026-10-01", "effective: 01.10.2026", 43, 14, "CDS105"),
    (RULE, "effective: 2026-10-01", "effective: 2026-02-30", 43, 14, "CDS105"),
    (
        RULE,
        "effective: 2026-10-01",
        "effective: 2026-10-01T00:00:00Z",
        43,
        14,
        "CDS105",
    ),
    (
        RULE,
        "effective: 2026-10-01",
        "effective: 2026-10-01\n  expires: 2026-09-01",
        44,
        12,
        "CDS608",
    ),
    (RULE, '["07:00", "22:00"]', "[7, 22]", 25, 41, "CDS103"),
    (RULE, '["07:00", "22:00"]', '["07:00", "25:00"]', 25, 50, "CDS105"),
    (RULE, "year: 2023", "year: 23", 45, 70, "CDS107"),
    (RULE, "version: 1.2.0", "version: 1.2", 3, 10, "CDS105"),
    (RULE, "version: 1.2.0", "version: v1.2.0", 3, 10, "CDS105"),
    (RULE, "version: 1.2.0", "version: 1.02.0", 3, 10, "CDS105"),
    (RULE, "below: 90", "below: .nan", 24, 33, "CDS105"),
    (RULE, "below: 90", "below: .inf", 24, 33, "CDS105"),
    (RULE, "below: 90", "below: 090", 24, 33, "CDS105"),
    (RULE, "below: 90", "below: 0x5A", 24, 33, "CDS105"),
    (RULE, "below: 90", "below: 9999999999999999999", 24, 33, "CDS105"),
    (RULE, "below: 90", "below: 9e1", 24, 33, "CDS105"),
    (RULE, "below: 90", "below: 90 mmHg", 24, 33, "CDS105"),
    (RULE, "below: 90", "below: '90,5'", 24, 33, "CDS105"),
    (RULE, "share: 0.8", "share: 0.8, readings: -1", 22, 75, "CDS107"),
    (RULE, "share: 0.8", "share: 80", 22, 60, "CDS107"),
    (RULE, "priority: 50}", "priority: 50, allow_suppress: yes}", 40, 91, "CDS103"),
    (
        RULE,
        "default: 100, unit: /min, min: 80",
        "default: 60, unit: /min, min: 80",
        9,
        20,
        "CDS310",
    ),
    (RULE, "min: 80, max: 150", "min: 150, max: 80", 9, 42, "CDS310"),
    (RULE, "min: 80, max: 150", "min: 3 days, max: 150", 9, 42, "CDS310"),
    (RULE, "{latest: {below: 90}}", "{latest: {between: [120, 60]}}", 24, 35, "CDS307"),
    (RULE, "{{ hr.mean }}", "{{ hr.mean ", 28, 23, "CDS501"),
    (RULE, "{{ hr.mean }}", "hr.mean }}", 28, 31, "CDS501"),
    (RULE, "{{ hr.mean }}", "{{ hrr.mean }}", 28, 23, "CDS502"),
    (RULE, "{{ hr.mean }}", "{{ hr.average }}", 28, 23, "CDS503"),
    (RULE, "{{ sbp.latest or 'not recorded' }}", "{{ sbp.latest }}", 30, 20, "CDS504"),
    (RULE, "{{ hr.mean }}", "{{ hr.mean | round }}", 28, 23, "CDS501"),
    (RULE, "{{ hr.mean }}", "{{ hr.mean + 1 }}", 28, 23, "CDS501"),
    (RULE, "{{ hr.mean }}", "{{ }}", 28, 23, "CDS501"),
    (RULE, "{{ hr.mean }}", "{% if x %}", 28, 23, "CDS501"),
    (RULE, "{{ hr.mean }}", "{{ hr }}", 28, 23, "CDS501"),
    (RULE, "{{ hr.mean }}", "{{ hr.__class__ }}", 28, 23, "CDS501"),
    (RULE, "{{ hr.mean }}", "{{ $limt }}", 28, 23, "CDS303"),
    (
        RULE,
        "summary: Heart rate {{ hr.mean }} on",
        "summary: {{ hr.mean }} on",
        28,
        13,
        "CDS033",
    ),
    (
        RULE,
        "summary: Heart rate {{ hr.mean }} on {{ drug.name }}",
        "summary: ''",
        28,
        12,
        "CDS107",
    ),
    (
        RULE,
        "url: https://example.org/guideline, type",
        "url: http://example.org/guideline, type",
        34,
        31,
        "CDS105",
    ),
    (
        RULE,
        "url: https://example.org/guideline, type",
        "url: 'javascript:alert(1)', type",
        34,
        31,
        "CDS105",
    ),
    (
        RULE,
        "url: https://example.org/guideline, type",
        "url: https://example.org/a b, type",
        34,
        31,
        "CDS105",
    ),
    (
        RULE,
        "  source: {label: Example, url: https://example.org/guideline}\n",
        "",
        28,
        3,
        "CDS506",
    ),
    (RULE, "intent: proposal}", "intent: proposal, urgency: now}", 39, 19, "CDS509"),
    (RULE, ", intent: proposal}", "}", 39, 19, "CDS509"),
    (RULE, "resourceType: ServiceRequest", "resourceType: EcgOrder", 39, 19, "CDS509"),
    (RULE, "resourceType: ServiceRequest, status", "status", 39, 11, "CDS101"),
    (RULE, "intent: proposal}", "intent: [proposal]}", 39, 19, "CDS509"),
    (
        RULE,
        "create: {resourceType: ServiceRequest, status: draft, intent: proposal}",
        "remove: slow",
        39,
        19,
        "CDS508",
    ),
    (
        RULE,
        "sugar: {use: diabetes}",
        "sugar: {use: diabetes}\n  both: {any_of: [drug, hr]}",
        17,
        25,
        "CDS226",
    ),
    (
        RULE,
        "sugar: {use: diabetes}",
        "sugar: {use: diabetes}\n  both: {any_of: [sugar, both]}",
        17,
        26,
        "CDS227",
    ),
    (
        RULE,
        "sugar: {use: diabetes}",
        "sugar: {use: diabetes}\n  both: {any_of: [sugar]}",
        17,
        18,
        "CDS107",
    ),
    (
        RULE,
        "sugar: {use: diabetes}",
        "sugar: {use: diabetes}\n  both: {any_of: [sugar, salt]}",
        17,
        26,
        "CDS301",
    ),
    (RULE, "- drug: present", "- drug: {latest: {above: 1}}", 20, 14, "CDS302"),
    (
        RULE,
        'slow: {local_time: {between: ["07:00", "22:00"]}}',
        "slow: absent",
        25,
        17,
        "CDS306",
    ),
    (
        RULE,
        "{in: heart-rate, unit: /min, within: 7 days}",
        "{unit: /min, within: 7 days}",
        13,
        8,
        "CDS101",
    ),
    (RULE, "status: active", "status: retired", 5, 9, "CDS603"),
    (
        SITE,
        "unapproved: serve\n",
        "unapproved: serve\nrules: {godo: {severity: info}}\n",
        4,
        9,
        "CDS014",
    ),
    (
        SITE,
        "unapproved: serve\n",
        "unapproved: serve\nrules: {good: {params: {limit: 200}}}\n",
        4,
        32,
        "CDS018",
    ),
    (
        SITE,
        "unapproved: serve\n",
        "unapproved: serve\nrules: {good: {params: {limmit: 100}}}\n",
        4,
        33,
        "CDS018",
    ),
    (
        SITE,
        "unapproved: serve\n",
        "unapproved: serve\nrules: {good: {params: {limit: 3 days}}}\n",
        4,
        32,
        "CDS018",
    ),
    (
        SITE,
        "unapproved: serve\n",
        "unapproved: serve\nrules: {good: {when: {}}}\n",
        4,
        16,
        "CDS102",
    ),
    (SITE, "America/New_York", "EST5EDT4", 2, 12, "CDS011"),
    (SITE, "America/New_York", "../../etc/passwd", 2, 12, "CDS011"),
    (
        SITE,
        "unapproved: serve\n",
        "unapproved: serve\noverlays: [nowhere]\n",
        4,
        12,
        "CDS012",
    ),
    (SERVICES, "[patient-view]", "[patient-veiw]", 4, 13, "CDS015"),
    (SERVICES, "id: review", "id: re view", 3, 9, "CDS105"),
    (
        "valuesets/diabetes.yaml",
        "include: [",
        "include: [{valueset: diabetes}, ",
        5,
        22,
        "CDS204",
    ),
    (
        "valuesets/diabetes.yaml",
        "include: [",
        "include: [{valueset: nowhere}, ",
        5,
        22,
        "CDS202",
    ),
    ("valuesets/diabetes.yaml", "system: icd10cm", "system: icd11", 5, 20, "CDS205"),
    ("valuesets/diabetes.yaml", "under: [E11]", "codes: [E1]", 5, 37, "CDS208"),
    (
        "valuesets/heart-rate.yaml",
        "codes: [8867-4]",
        "under: [8867-4]",
        5,
        27,
        "CDS206",
    ),
    (
        "valuesets/diabetes.yaml",
        "valueset: diabetes",
        "valueset: diabetis",
        2,
        11,
        "CDS203",
    ),
    (
        "valuesets/diabetes.yaml",
        "under: [E11]}]",
        "codes: [E11.9]}]\nexclude: [{system: icd10cm, under: [E11]}]",
        5,
        1,
        "CDS212",
    ),
    ("valuesets/diabetes.yaml", ", under: [E11]", "", 5, 11, "CDS110"),
    (
        "facts/diabetes.yaml",
        "condition: {in: diabetes}",
        "any_of: [diabetes, other]",
        4,
        10,
        "CDS225",
    ),
    ("facts/diabetes.yaml", "{in: diabetes}", "{in: diabetis}", 4, 17, "CDS221"),
    (ALERTS, "unit: /min", "unit: bmp", 3, 69, "CDS228"),
    (ALERTS, "unit: /min}", UNKNOWN_SYSTEM, 3, 92, "CDS205"),
    (ALERTS, "unit: /min}", MISTYPED_CODE, 3, 107, "CDS208"),
    (ALERTS, "low-heart-rate:", "Low Heart Rate:", 3, 3, "CDS105"),
    (RULE, "  hr: {obs", "\thr: {obs", 13, 1, "CDS006"),
    (RULE, "title: Heart", "title: 'Heart", 4, 8, "CDS005"),
    (RULE, "hooks: [patient-view]", "hooks: [patient-view", 7, 8, "CDS005"),
    (RULE, "{use: diabetes}", "{use: diabetes", 16, 10, "CDS005"),
    (RULE, "  drug: {medi", "    drug: {medi", 13, 3, "CDS005"),
    (RULE, "Heart rate above", "Heart\x07 rate above", 4, 13, "CDS007"),
    (RULE, "Heart rate above", "Heart\x00 rate above", 4, 13, "CDS007"),
    (RULE, "Heart rate above", "Heart \u202e rate above", 4, 14, "CDS007"),
    (RULE, "status: active", "---\nstatus: active", 5, 1, "CDS031"),
    (RULE, "limit: {default", "limit: &x {default", 9, 10, "CDS009"),
    (RULE, "{use: diabetes}", "*x", 16, 10, "CDS009"),
    (RULE, "default: 100", "default: !!int 100", 9, 20, "CDS030"),
    (RULE, "  limit: {default", "  <<: {}\n  limit: {default", 9, 3, "CDS009"),
    (RULE, "status: active", "status: active\nstatus: draft", 6, 1, "CDS032"),
    (RULE, "title: Heart rate", "title: Heart: rate", 4, 13, "CDS005"),
    (RULE, "status: active", "status:active", 5, 1, "CDS005"),
    (RULE, '["07:00"', "[\u201c07:00\u201d", 25, 41, "CDS105"),
    (RULE, "  drug: {medi", "\xa0\xa0drug: {medi", 12, 1, "CDS006"),
    (RULE, "status: active", "[a]: b\nstatus: active", 5, 1, "CDS033"),
    (RULE, "title: Heart", "title: @Heart", 4, 8, "CDS005"),
    (RULE, "- drug: present", "-drug: present", 20, 5, "CDS005"),
    (RULE, GOOD, "- " + GOOD.replace("\n", "\n  "), 1, 1, "CDS103"),
    (RULE, GOOD, "just a sentence\n", 1, 1, "CDS103"),
    (RULE, GOOD, "42\n", 1, 1, "CDS103"),
    (RULE, GOOD, "", 1, 1, "CDS004"),
    (RULE, GOOD, "\ufeff", 1, 1, "CDS004"),
    (RULE, CARD, "", 1, 1, "CDS110"),
    (RULE, FACTS, "facts: {}\n", 15, 7, "CDS301"),
    (RULE, CHOICES, "        []\n", 24, 9, "CDS107"),
    (RULE, "title: ", "title: " + SENTENCE * 8, 4, 8, "CDS107"),
    (RULE, SUMMARY, f"summary: {SENTENCE * 6}", 28, 12, "CDS505"),
    (RULE, "- sugar: absent", "- " + "{any: [" * 25 + "]}" * 25, 21, 139, "CDS008"),
    (
        RULE,
        "- sugar: absent",
        "- any:\n" + "      - sugar: absent\n" * 101,
        22,
        7,
        "CDS107",
    ),
    (SERVICES, FOLDER[SERVICES], "format: 1\nservices: []\n", 2, 11, "CDS107"),
    (RULE, GOOD, UNDECIDED, 2, 7, "CDS801"),
]


@cache
def both_checks(name: str) -> tuple[Validator, Draft7Validator]:
    """The quick check of a kind of file, and jsonschema's."""
    schema, checker = bundle(name), FormatChecker(["date"])
    return Validator(schema), Draft7Validator(schema, format_checker=checker)


def test_the_folder_without_a_mistake_is_served() -> None:
    compiled = compile_rulebook(FOLDER, check_resource)

    assert compiled.rulebook is not None
    assert errors(compiled.findings) == []


@pytest.mark.parametrize(("file", "old", "new", "line", "column", "code"), MISTAKES)
def test_a_mistake_is_told_at_its_place_with_what_to_do_and_nothing_is_served(
    file: str, old: str, new: str, line: int, column: int, code: str
) -> None:
    compiled = compile_rulebook(laid(file, old, new), check_resource)

    assert compiled.rulebook is None
    found = errors(compiled.findings)
    places = [(e.file, e.line, e.column, e.code) for e in found]
    assert (file, line, column, code) in places
    for each in found:
        said = f"{each.message} {each.help}"
        assert each.message and each.help, each
        for odd in ("None", "Traceback", "<class", " object at ", "\\x", "\\u", "['"):
            assert odd not in said, said
        assert said.isprintable()


@pytest.mark.parametrize(
    ("file", "old", "new"), [each[:3] for each in MISTAKES if each[0] == RULE]
)
def test_the_quick_check_says_of_a_mistake_what_jsonschema_says(
    file: str, old: str, new: str
) -> None:
    document = parse_yaml(laid(file, old, new)[file], file, Findings())
    quick_check, validator = both_checks(kind_of(file))

    if document is not None:
        assert quick_check.holds(document.data) is validator.is_valid(document.data)


def test_old_line_breaks_are_read_and_counted() -> None:
    for line_break in ("\r\n", "\r"):
        files = laid(RULE, GOOD, GOOD.replace("severity: w", "severity: W"))
        files[RULE] = files[RULE].replace("\n", line_break)

        (found,) = errors(compile_rulebook(files, check_resource).findings)

        assert (found.line, found.column, found.code) == (6, 11, "CDS104")
