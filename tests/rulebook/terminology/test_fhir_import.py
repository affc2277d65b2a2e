"""ValueSets of others: what is taken, and what is refused at which place."""

import json
from typing import Any

import pytest

from cds_service.fhir.models import check_resource
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.json_source import parse_json
from cds_service.rulebook.terminology.fhir_export import as_fhir
from cds_service.rulebook.terminology.fhir_import import (
    Imported,
    name_for,
    read_valueset,
    write_valueset,
)
from cds_service.rulebook.terminology.valuesets import ValueSet

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"


def read(resource: Any) -> tuple[Imported | None, list[tuple[int, str, str]]]:
    findings = Findings()
    text = resource if isinstance(resource, str) else json.dumps(resource, indent=1)
    document = parse_json(text, "x.json", findings, "CDS217")
    assert document is not None
    found = read_valueset(document, findings)
    return found, [(each.line, each.code, each.message) for each in findings]


def composed(*include: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "compose": {"include": [*include], **more}}


def expanded(*contains: Any, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ValueSet",
        "expansion": {"timestamp": "2026-01-01", "contains": [*contains], **more},
    }


def test_enumerated_concepts_are_taken_with_what_is_excluded() -> None:
    found, said = read(
        {
            **composed(
                {"system": ICD, "concept": [{"code": "I10", "display": "HTN"}]},
                exclude=[{"system": "urn:oid:2.16.840.1.113883.6.90",
                          "concept": [{"code": "I15.0"}]}],
            ),
            "name": "Hypertension",
            "title": "Essential hypertension!",
            "url": "https://example.org/ValueSet/htn",
            "version": "20260101",
            "date": "2026-01-01",
        }
    )  # fmt: skip

    assert said == []
    assert found == Imported(
        name="Hypertension",
        title="Essential hypertension!",
        url="https://example.org/ValueSet/htn",
        version="20260101",
        date="2026-01-01",
        included=((ICD, "I10", "HTN"),),
        excluded=((ICD, "I15.0", ""),),
    )


def test_an_expansion_is_taken_to_the_last_level_without_what_is_abstract() -> None:
    leaf = {"system": ICD, "code": "I10", "inactive": True}
    found, said = read(
        {
            **expanded(
                {
                    "system": SNOMED,
                    "code": "38341003",
                    "abstract": True,
                    "contains": [leaf, {"contains": [{"system": ICD, "code": "I11"}]}],
                },
                leaf,
                total=5,
                parameter=[
                    {"name": "version", "valueUri": f"{ICD}|2026"},
                    {"name": "limitedExpansion", "valueBoolean": False},
                ],
            ),
            "compose": {"include": [{"system": ICD, "filter": []}]},
        }
    )

    assert said == []
    assert found is not None
    assert {code for _, code, _ in found.included} == {"I10", "I11"}
    assert found.inactive == 2
    assert found.terminologies == {ICD: "2026"}


@pytest.mark.parametrize(
    ("resource", "line", "words"),
    [
        ("[]", 1, "no FHIR resource"),
        ({"resourceType": "CodeSystem"}, 1, "a CodeSystem and not"),
        ({"resourceType": "ValueSet"}, 1, "lists no codes"),
        (composed(), 1, "no code that can be used"),
        (composed({"system": ICD}), 5, "all codes of a code system"),
        (composed({"system": ICD, "filter": [{}]}), 7, "terminology server"),
        (composed({"valueSet": ["http://x"]}), 6, "another value set"),
        (composed({"system": ICD, "concept": [{}]}), 8, "the code is missing"),
        (composed({"system": ICD, "concept": [{"code": 10}]}), 8, "is missing"),
        (composed({"system": ICD, "concept": "I10"}), 7, "is not a list"),
        (composed({"system": ICD, "concept": ["I10"]}), 8, "not an object"),
        (composed({"concept": [{"code": "I10"}]}), 7, "system is not named"),
        (
            composed({"system": ICD, "concept": [{"code": "38341003"}]}),
            9,
            "does not look like a code",
        ),
        (expanded({"code": "I10"}), 6, "system is not named"),
        (expanded({"system": ICD, "code": "I10"}, total=2), 11, "one page"),
        (expanded({"system": ICD, "code": "I10"}, offset=1), 3, "one page"),
        (
            expanded(
                {"system": ICD, "code": "I10"},
                parameter=[{"name": "limitedExpansion", "valueBoolean": True}],
            ),
            12,
            "incomplete",
        ),
    ],
)
def test_what_does_not_list_all_its_codes_is_refused(
    resource: Any, line: int, words: str
) -> None:
    found, said = read(resource)

    assert found is None
    assert (said[0][0], said[0][1]) == (line, "CDS216")
    assert words in said[0][2]


STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
ONE = {"system": ICD, "code": "I10"}


LISTED_CODES = {"system": ICD, "concept": [{"code": "I10"}]}
LISTED = composed(LISTED_CODES)
UNCLOSED = {"url": STRUCTURE + "valueset-unclosed", "valueBoolean": True}


def marked(name: str, **value: Any) -> dict[str, Any]:
    return expanded(ONE, extension=[{"url": STRUCTURE + name, **value}])


def asked(name: str, **value: Any) -> dict[str, Any]:
    return expanded(ONE, parameter=[{"name": name, **value}])


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (marked("valueset-toocostly", valueBoolean=True), "too costly"),
        (marked("valueset-unclosed", valueBoolean=True), "may have more codes"),
        (marked("valueset-unclosed", valueBoolean="true"), "may have more codes"),
        (marked("valueset-toocostly"), "too costly"),
        (
            {
                **expanded(ONE),
                "extension": [
                    {"url": STRUCTURE + "valueset-unclosed", "valueBoolean": True}
                ],
            },
            "may have more codes",
        ),
        (
            expanded({**ONE, "extension": [{"url": STRUCTURE + "valueset-unclosed"}]}),
            "may have more codes",
        ),
        (
            expanded(
                ONE, modifierExtension=[{"url": STRUCTURE + "valueset-toocostly"}]
            ),
            "too costly",
        ),
        (
            {**expanded(ONE), "modifierExtension": [{"url": "http://x/y"}]},
            "changes what it means",
        ),
        (
            expanded({**ONE, "modifierExtension": [{"url": "http://x/y"}]}),
            "changes what it means",
        ),
        (marked("valueset-toocostly|5.0.0", valueBoolean=True), "too costly"),
        (marked("valueset-unclosed/", valueBoolean=True), "may have more codes"),
        (
            expanded(ONE, extension=[{"url": "http://x/y", "extension": [UNCLOSED]}]),
            "may have more codes",
        ),
        (
            expanded(ONE, _timestamp={"extension": [UNCLOSED]}),
            "may have more codes",
        ),
        (LISTED | {"compose": {**LISTED["compose"], "extension": [UNCLOSED]}}, "more"),
        (composed({**LISTED_CODES, "extension": [UNCLOSED]}), "may have more codes"),
        (
            composed({**LISTED_CODES, "modifierExtension": [{"url": "http://x/y"}]}),
            "changes what it means",
        ),
        (
            expanded(
                ONE,
                extension=[{"url": "http://x/list-truncated", "valueBoolean": True}],
            ),
            "marked as incomplete",
        ),
        ({**LISTED, "status": "entered-in-error"}, "entered in error"),
        ({**LISTED, "implicitRules": "http://x/rules"}, "rules that are not known"),
        (
            {**expanded(ONE), "meta": {"tag": [{"code": "SUBSETTED"}]}},
            "labelled as cut",
        ),
        (
            {**expanded(ONE), "meta": {"security": [{"code": "redacted"}]}},
            "labelled as cut",
        ),
        (asked("count", valueString="1"), "1 code was asked for"),
        (asked("count", valueDecimal=1.0), "1 code was asked for"),
        (asked("limitedExpansion", valueBoolean=True), "incomplete"),
        (asked("limitedExpansion", valueString="true"), "incomplete"),
        (asked("LimitedExpansion", valueBoolean=True), "incomplete"),
        (asked("partial", valueBoolean=True), "incomplete"),
        (asked("tooCostly", valueBoolean=True), "incomplete"),
        (asked("unclosed", valueBoolean=True), "incomplete"),
        (asked("incomplete", valueBoolean=True), "incomplete"),
        (asked("truncated", valueBoolean=True), "incomplete"),
        (asked("count", valueInteger=1), "1 code was asked for"),
        (asked("_count", valueInteger=1), "1 code was asked for"),
        (asked("offset", valueInteger=100), "does not begin with the first code"),
        (asked("filter", valueString="hyper"), "only the codes that match `hyper`"),
        (asked("exclude-system", valueUri=SNOMED), "codes of a system were left out"),
        (asked("excludeNotForUI", valueBoolean=True), "codes were left out"),
        (expanded(ONE, next="http://x/next"), "another page"),
        (expanded(ONE, total="2"), "one page"),
        (expanded(ONE, total=2.0), "one page"),
        (expanded(ONE, offset="100"), "one page"),
    ],
    ids=str,
)
def test_an_expansion_that_calls_itself_incomplete_is_refused_like_a_page(
    resource: Any, words: str
) -> None:
    found, said = read(resource)

    assert found is None
    assert said[0][1] == "CDS216" and words in said[0][2]


@pytest.mark.parametrize(
    "resource",
    [
        marked("valueset-toocostly", valueBoolean=False),
        marked("valueset-unclosed", valueBoolean="false"),
        marked("valueset-expansionSource", valueUri="http://x"),
        asked("limitedExpansion", valueBoolean=False),
        asked("count", valueInteger=1000),
        asked("count", valueString="1000"),
        asked("count"),
        {**expanded(ONE), "meta": {"tag": [{"code": "R"}], "security": "x"}},
        asked("offset", valueInteger=0),
        asked("filter", valueString=""),
        asked("excludeNested", valueBoolean=True),
        asked("excludeNotForUI", valueBoolean=False),
        asked("activeOnly", valueBoolean=True),
        expanded(ONE, total=1, parameter=[{"name": "count", "valueInteger": 1}]),
        expanded(ONE, total=1, offset=0),
        expanded(ONE, total=1.0),
        expanded(ONE, total="1", offset="0"),
        expanded(ONE, extension=[{"url": "http://x/partial", "valueString": "x"}]),
        expanded(ONE, extension=[{"url": "http://x/partial", "valueBoolean": False}]),
        {**LISTED, "status": "retired", "contained": [{"extension": [UNCLOSED]}]},
        composed(
            {"system": ICD, "concept": [{"code": "I10"}]},
        )
        | {"extension": [{"url": "http://x", "valueBoolean": True}]},
    ],
    ids=str,
)
def test_an_expansion_that_is_whole_is_taken(resource: Any) -> None:
    found, said = read(resource)

    assert said == []
    assert found is not None and [code for _, code, _ in found.included] == ["I10"]


def test_an_export_without_the_codes_below_its_prefixes_says_so() -> None:
    whole = as_fhir(ValueSet("a", codes={ICD: frozenset({"I10"})}), {}, "2026-01-01")
    part = as_fhir(
        ValueSet("a", codes={ICD: frozenset({"I10"})}, prefixes={ICD: ("I11",)}),
        {},
        "2026-01-01",
    )

    assert read(whole)[1] == []
    assert "may have more codes" in read(part)[1][0][2]
    assert check_resource(part) == check_resource(whole) == []


def test_it_is_written_as_a_file_of_ours_without_terms() -> None:
    imported = Imported(
        name="Htn",
        title='Hypertension: "all" 1',
        url="https://example.org/ValueSet/htn",
        version="2026.1",
        date="2026-01-01",
        included=((SNOMED, "38341003", "Hypertensive disorder"), (ICD, "i11.0", "")),
        excluded=((ICD, "I15", ""),),
        terminologies={ICD: "2026"},
    )

    assert name_for(imported) == "hypertension-all-1"
    assert write_valueset(imported, "hypertension-all-1") == """\
format: 1
valueset: hypertension-all-1
version: 2026.1
title: "Hypertension: \\"all\\" 1"
include:
  - system: icd10cm
    codes:
      - "I11.0"
  - system: snomed
    codes:
      - "38341003"
exclude:
  - system: icd10cm
    codes:
      - "I15"
provenance:
  source: FHIR ValueSet
  url: "https://example.org/ValueSet/htn"
  version: "2026.1"
  date: "2026-01-01"
  release: "icd10cm 2026"
"""


def test_a_value_set_is_a_valid_fhir_resource_with_its_expansion() -> None:
    rxnorm, atc = (
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "http://www.whocc.no/atc",
    )
    valueset = ValueSet(
        name="beta-blockers",
        title="Beta-blockers",
        version="1.0.0",
        codes={rxnorm: frozenset({"6918", "866436"}), ICD: frozenset({"I4891"})},
        prefixes={atc: ("C07",)},
        excluded_codes={rxnorm: frozenset({"1923424"})},
    )

    resource = as_fhir(valueset, {"6918": "metoprolol"}, "2026-11-22T12:00:00Z")

    assert check_resource(resource) == []
    assert resource["name"] == "BetaBlockers"
    assert resource["expansion"] == {
        "timestamp": "2026-11-22T12:00:00Z",
        "total": 3,
        "contains": [
            {"system": ICD, "code": "I48.91"},
            {"system": rxnorm, "code": "6918", "display": "metoprolol"},
            {"system": rxnorm, "code": "866436"},
        ],
        "extension": [{"url": f"{STRUCTURE}valueset-unclosed", "valueBoolean": True}],
    }
    assert {"system": atc, "filter": [
        {"property": "code", "op": "regex", "value": "C07.*"}
    ]} in resource["compose"]["include"]  # fmt: skip


FHIR_SET = {
    "valuesets/diabetes.yaml": """
        format: 1
        valueset: diabetes
        version: 1.0.0
        title: Diabetes
        include: [{fhir: imported/diabetes.json}]
        """,
    "valuesets/imported/diabetes.json": json.dumps(
        composed({"system": ICD, "concept": [{"code": "E11.9"}]})
    ),
}


def test_a_value_set_may_include_a_fhir_file_beside_it(rules: Any, chart: Any) -> None:
    rules.files.update(FHIR_SET)

    rules.verdict("dm: {condition: {in: diabetes}}", "dm: present", chart())

    compiled = rules.compile()

    assert not [each for each in compiled.findings if each.file != "test.yaml"]
    assert compiled.rulebook.valuesets["diabetes"].codes == {ICD: {"E119"}}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("imported/diabetis.json", "CDS215"),
        ("../diabetes.json", "CDS215"),
        ("../../etc/passwd.json", "CDS215"),
        ("imported/../../x.json", "CDS215"),
        ("/etc/passwd.json", "CDS105"),
        ("diabetes.yaml", "CDS105"),
    ],
)
def test_it_leads_nowhere_else(rules: Any, name: str, code: str) -> None:
    rules.files.update(FHIR_SET)
    rules.files["valuesets/diabetes.yaml"] = FHIR_SET[
        "valuesets/diabetes.yaml"
    ].replace("imported/diabetes.json", name)

    found = {(each.file, each.line, each.code) for each in rules.compile().findings}

    assert ("valuesets/diabetes.yaml", 6, code) in found
