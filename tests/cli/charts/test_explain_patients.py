"""What ``explain`` makes of Bundles, of rules that nobody asks, and of test cases."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.charts.explain import explain

FILES = {
    "site.yaml": "format: 1\ntime_zone: UTC\nunapproved: serve\n",
    "services.yaml": """
        format: 1
        services:
          - id: review
            hooks: [patient-view]
            title: Review
            description: Reviews.
            rules: [fast]
        """,
    "alert-types.yaml": """
        format: 1
        alert_types: {low-heart-rate: {title: Low heart rate, unit: /min}}
        """,
    "valuesets/heart-rate.yaml": """
        format: 1
        valueset: heart-rate
        version: 1.0.0
        title: Heart rate
        include: [{system: loinc, codes: [8867-4]}]
        """,
    "valuesets/asthma.yaml": """
        format: 1
        valueset: asthma
        version: 1.0.0
        title: Asthma
        include: [{system: icd10cm, under: [J45]}]
        """,
    "fast.yaml": """
        format: 1
        rule: fast
        version: 1.0.0
        title: Fast
        status: active
        severity: warning
        hooks: [patient-view]
        facts:
          hr: {observation: {in: heart-rate, unit: /min, within: 7 days}}
          asthma: {condition: {in: asthma}}
        when:
          all:
            - asthma: present
            - any:
                - hr: {latest: {above: 100}}
                - hr: {mean: {above: 90}}
        card: {summary: Fast, source: {label: Test}}
        """,
    "fast.test.yaml": """
        test: fast
        now: 2026-11-22T12:00:00Z
        patients:
          base:
            born: 1958-03-14
            conditions: [{code: icd10cm|J45.909}]
        cases:
          - name: not read
            patient: base
            set: {not_loaded: [Observation]}
            expect: unknown
          - name: none
            patient: base
            expect: unknown
        """,
}
NOW = "2026-11-22T12:00:00Z"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A small rules folder."""
    for name, text in FILES.items():
        path = tmp_path / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return tmp_path / "rules"


def patient(id: str = "p") -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, "birthDate": "1958-03-14"}


def asthma(id: str = "c", subject: str = "Patient/p") -> dict[str, Any]:
    coding = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J45.909"}
    return {
        "resourceType": "Condition",
        "id": id,
        "code": {"coding": [coding], "text": "Asthma of Mrs Smith"},
        "subject": {"reference": subject},
    }


def pulse(value: Any, id: str = "o", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": "@now-6h",
        "valueQuantity": {"value": value, "code": "/min"},
        "subject": {"reference": "Patient/p"},
        **more,
    }


def bundle(*resources: Any) -> dict[str, Any]:
    entries = [{"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def run(rules: Path, content: Any, *more: str, rule: str = "fast") -> Result:
    file = rules.parent / "bundle.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    asked = [rule, "--patient", str(file), "--rules", str(rules), "--now", NOW]
    return CliRunner().invoke(explain, [*asked, *more])


def as_json(rules: Path, content: Any, *more: str, rule: str = "fast") -> Any:
    result = run(rules, content, "--json", *more, rule=rule)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def case(rules: Path, name: str, *more: str) -> Result:
    asked = ["fast", "--case", name, "--rules", str(rules)]
    return CliRunner().invoke(explain, [*asked, *more])


def test_a_machine_reads_the_whole_tree_with_its_places(rules: Path) -> None:
    said = as_json(rules, bundle(patient(), asthma(), pulse(104)))

    assert (said["rule"], said["version"], said["outcome"]) == (
        "fast", "1.0.0", "fires"
    )  # fmt: skip
    assert (said["indicator"], said["service"]) == ("warning", "review")
    assert (said["patient"], said["now"]) == ("Patient/p", "2026-11-22T12:00:00+00:00")
    assert len(said["rulebook"]) == 64
    alive, rest = said["when"]["children"]
    assert (alive["text"], alive["truth"]) == ("patient is alive", "true")
    assert rest["operator"] == "all"
    assert rest["children"][1]["children"][0] == {
        "text": "hr latest above 100 /min",
        "truth": "true",
        "file": "fast.yaml",
        "line": 16,
        "column": 16,
        "operator": "compare",
        "fact": "hr",
        "value": {"name": "latest", "text": "104 /min"},
        "counts": {
            "match": 1,
            "by_name": 0,
            "unusable": 0,
            "uncertain": 0,
            "perhaps_out_of_time": 0,
            "not_obtained": 0,
            "unresolved": 0,
        },
        "resources": ["Observation/o"],
        "in_doubt": [],
        "reasons": [],
        "children": [],
    }


def test_reasons_are_told_by_kind_and_source(rules: Path) -> None:
    said = json.loads(case(rules, "not read", "--json").output)

    assert (said["outcome"], said["indicator"]) == ("unknown", None)
    assert said["reasons"] == [
        {"kind": "not_read", "fact": "hr", "sources": ["observations"], "why": None}
    ]
    latest = said["when"]["children"][1]["children"][1]["children"][0]
    assert latest["reasons"] == said["reasons"]
    states = {each["name"]: each["state"] for each in said["sources"]}
    assert states["observations"] == "missing"


def test_what_cannot_be_used_and_what_is_anothers_is_counted(rules: Path) -> None:
    orphan = {**asthma("c2"), "subject": {}}
    anothers = asthma("c3", "Patient/q")
    given = bundle(patient(), orphan, anothers, asthma(), pulse("fast"))

    said = as_json(rules, given)
    text = run(rules, given).output

    (conditions,) = [each for each in said["sources"] if each["name"] == "conditions"]
    assert (conditions["resources"], conditions["foreign"]) == (1, 1)
    assert conditions["unusable"] == [
        {"reason": "no subject", "resource": "Condition/c2"}
    ]
    latest = said["when"]["children"][1]["children"][1]["children"][0]
    assert latest["in_doubt"] == [
        {
            "resource": "Observation/o",
            "state": "unusable",
            "why": "no number in the unit asked for",
            "codes": ["loinc|8867-4"],
            "unit": "/min",
            "refers_to": None,
        }
    ]
    assert (
        "conditions: partial (entries unreadable), 1 unusable (no subject), "
        "1 about others"
    ) in text


def test_no_name_of_the_record_is_told(rules: Path) -> None:
    given = bundle(patient(), asthma(), pulse(104))

    assert "Smith" not in run(rules, given).output
    assert "Smith" not in run(rules, given, "--json").output


def test_of_many_resources_the_newest_are_named(rules: Path) -> None:
    pulses = [pulse(90, f"o{n}", effectiveDateTime=f"@now-{9 - n}h") for n in range(9)]

    output = run(rules, bundle(patient(), asthma(), *pulses)).output

    assert "[Observation/o5, Observation/o6, Observation/o7, Observation/o8" in output
    assert "and 5 more]" in output


def test_full_urls_are_followed(rules: Path) -> None:
    url = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    given = bundle(patient(), asthma("c", url), pulse(104, subject={"reference": url}))
    given["entry"][0]["fullUrl"] = url

    assert as_json(rules, given)["outcome"] == "fires"


def test_of_several_patients_one_must_be_named(rules: Path) -> None:
    given = bundle(patient(), patient("q"), asthma(), pulse(104))

    unsaid = run(rules, given)
    assert (unsaid.exit_code, "name one with --id: p, q" in unsaid.output) == (1, True)
    assert as_json(rules, given, "--id", "p")["outcome"] == "fires"
    assert as_json(rules, given, "--id", "q")["outcome"] == "no"
    wrong = run(rules, given, "--id", "r")
    assert (wrong.exit_code, "no Patient r" in wrong.output) == (1, True)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (("status: active", "status: shadow"), "its status is shadow"),
        (("status: active", "status: draft"), "its status is draft"),
        (
            ("status: active", "status: active\ngovernance: {expires: 2026-01-01}"),
            "it is not in force on 2026-11-22",
        ),
        (
            (
                "{summary: Fast,",
                "{summary: Fast, links: [{type: smart, page: why, label: Why}],",
            ),
            "its links to pages of this server are left out for clients that open none",
        ),
    ],
)
def test_a_rule_that_is_not_heard_is_explained_and_why_it_is_not(
    rules: Path, change: tuple[str, str], note: str
) -> None:
    file = rules / "fast.yaml"
    file.write_text(file.read_text().replace(*change))

    output = run(rules, bundle(patient(), asthma(), pulse(104))).output

    assert output.startswith("fast v1.0.0  ->  fires (warning)\n")
    assert note in output


def test_a_rule_that_no_service_asks_is_explained(rules: Path) -> None:
    text = (rules / "fast.yaml").read_text()
    (rules / "slow.yaml").write_text(text.replace("rule: fast", "rule: slow"))
    given = bundle(patient(), asthma(), pulse(104))

    said = as_json(rules, given, rule="slow")

    assert (said["outcome"], said["service"]) == ("fires", None)
    assert "no service uses this rule" in said["notes"]


def test_a_rule_that_a_call_would_not_even_ask_is_explained(rules: Path) -> None:
    output = run(rules, bundle(patient(), pulse(104))).output

    assert output.startswith("fast v1.0.0  ->  no\n")
    assert "latest = 104 /min" in output
    assert "it is not evaluated in this call" in output


def test_a_test_case_is_explained_by_its_name_or_a_part_of_it(rules: Path) -> None:
    whole, part = case(rules, "not read"), case(rules, "not")

    assert whole.exit_code == 0
    assert whole.output == part.output
    assert "observations: missing" in whole.output


def test_a_test_case_that_is_not_there_leads_to_those_that_are(rules: Path) -> None:
    several, none = case(rules, "no"), case(rules, "nowhere")

    for result in (several, none):
        assert result.exit_code == 1
        assert "  not read\n  none\n" in result.output
    assert "several cases" in several.output
    assert "no case" in none.output


def test_a_rule_without_test_cases_is_told_so(rules: Path) -> None:
    (rules / "fast.test.yaml").unlink()

    result = case(rules, "none")

    assert (result.exit_code, "no test case of fast" in result.output) == (1, True)


def test_it_must_be_said_of_whom_and_once(rules: Path) -> None:
    both = run(rules, bundle(patient()), "--case", "none")

    assert (both.exit_code, "--case NAME" in both.output) == (2, True)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        "null",
        '"text"',
        '{"entry": 1}',
        '{"entry": [1, null, {}, {"resource": 1}, {"resource": {}}]}',
        '{"entry": [{"resource": {"resourceType": "Patient", "id": 1}}]}',
        "[" * 100_000,
        "\ufeff{}",
    ],
)
def test_a_file_that_is_no_record_is_one_sentence(rules: Path, content: str) -> None:
    result = run(rules, content)

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert isinstance(result.exception, SystemExit)


def test_a_record_with_odd_parts_is_read_as_far_as_it_goes(rules: Path) -> None:
    odd: list[Any] = [
        {"resourceType": "Condition"},
        {"resourceType": 7},
        {"resourceType": "Condition", "id": [], "code": [], "subject": 3},
        {"resourceType": "Observation", "note": [{"text": "@home"}]},
    ]

    said = as_json(rules, bundle(patient(), asthma(), pulse(104), *odd), rule="fast")

    assert said["rule"] == "fast"
