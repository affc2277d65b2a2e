import json
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft7Validator

from cds_service.rulebook.authoring.project import (
    modeline,
    project_schema,
    schema_folder,
    with_modeline,
)
from cds_service.rulebook.compile.compiler import kind_of
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.language.diagnostics import Findings
from cds_service.rulebook.language.document import Document
from cds_service.rulebook.language.schemas import NAMES, bundle
from cds_service.rulebook.language.source import parse_yaml

from ... import shipped
from ...shipped import FILES, RULES

LINE = "# yaml-language-server: $schema="
GMI = "glucose-management-indicator"
FACTS = {"palliative-care": "Palliative care", "pregnancy": "Pregnant"}


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return shipped.rulebook()


def data(kind: str) -> list[Any]:
    """What the shipped files of a kind hold."""
    return [parse(file).data for file in FILES if kind_of(file) == kind]


@cache
def parse(file: str) -> Document:
    document = parse_yaml(FILES[file], file, Findings())
    assert document is not None
    return document


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_refers_to_nothing_outside_itself(name: str) -> None:
    schema = bundle(name)

    Draft7Validator.check_schema(schema)
    assert '"$ref": "grammar' not in json.dumps(schema)
    for each in data(name):
        assert list(Draft7Validator(schema).iter_errors(each)) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_file_fits_the_schema_of_its_project(
    rulebook: Rulebook, name: str
) -> None:
    schema = project_schema(name, rulebook, FACTS)

    Draft7Validator.check_schema(schema)
    for each in data(name):
        assert list(Draft7Validator(schema).iter_errors(each)) == []


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("rule", ("facts", "pacing_device", "condition", "in"), "pacing-devices"),
        ("rule", ("facts", "pacing_device", "condition", "in"), "beta-blockers"),
        ("rule", ("facts", "slowing_drug", "medication", "in"), "beta-blocker"),
        ("rule", ("facts", "heart_rate", "observation", "in"), "heart"),
        ("rule", ("facts", "low_hr_alert", "wearable_alert", "type", 0), "low-rate"),
        ("rule", ("facts", "palliative_care", "use"), "paliative-care"),
        ("rule", ("hooks", 0), "patient-veiw"),
        ("rule", ("card_defaults", "override_reasons", 0), "action-complete"),
        ("rule-test", ("test",), "av-nodal-agent"),
        ("services", ("services", 0, "rules", 0), "cardiologie"),
        ("alert-types", ("alert_types", "low-glucose", "metric"), "glucos"),
        ("metrics", ("metrics", GMI, "derived", "from"), "glucos"),
        ("outputs", ("metrics", "steps", "categories", 0), "activities"),
        ("outputs", ("episodes", "categories", 0), "vitals"),
        ("metrics", ("metrics", "time-asleep", "includes", 0), "lite-sleep"),
    ],
)
def test_a_name_that_the_project_does_not_have_is_marked(
    rulebook: Rulebook, name: str, path: tuple[str | int, ...], value: str
) -> None:
    schema = project_schema(name, rulebook, FACTS)
    written = next(
        each
        for each in data(name)
        if "av-nodal-agent-bradycardia" in (each.get("rule"), each.get("test"))
        or name in ("services", "alert-types", "metrics", "outputs")
    )
    written = deepcopy(written)
    node = written
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value

    assert list(Draft7Validator(bundle(name)).iter_errors(written)) == []
    assert list(Draft7Validator(schema).iter_errors(written))


@pytest.mark.parametrize(
    ("fact", "key", "value"),
    [
        ({"wearable": {"metric": "steps", "within": "7 days"}}, "metric", "stepps"),
        (
            {
                "wearable": {
                    "metric": "sensor-glucose",
                    "summary": "band:in-range",
                    "within": "7 days",
                }
            },
            "summary",
            "band:inrange",
        ),
        ({"stream": {"metric": "steps", "silent_for": "7 days"}}, "metric", "stepps"),
        (
            {"stream": {"detector": "low-glucose", "within": "7 days"}},
            "detector",
            "glucose-low",
        ),
    ],
)
def test_what_a_fact_takes_of_wearables_is_completed_and_marked(
    rulebook: Rulebook, fact: dict[str, Any], key: str, value: str
) -> None:
    schema = project_schema("rule", rulebook, FACTS)
    rule = {**deepcopy(data("rule")[0])}
    rule["facts"] = {**rule["facts"], "worn": fact}
    (body,) = fact.values()
    wrong = {**rule, "facts": {**rule["facts"], "worn": deepcopy(fact)}}
    next(iter(wrong["facts"]["worn"].values()))[key] = value

    assert body[key] != value
    assert list(Draft7Validator(schema).iter_errors(rule)) == []
    assert list(Draft7Validator(bundle("rule")).iter_errors(wrong)) == []
    assert list(Draft7Validator(schema).iter_errors(wrong))


def test_what_leaves_is_written_under_the_names_of_metrics(
    rulebook: Rulebook,
) -> None:
    (shipped,) = data("outputs")
    shipped["metrics"]["stepps"] = shipped["metrics"].pop("steps")

    assert list(Draft7Validator(bundle("outputs")).iter_errors(shipped)) == []
    schema = project_schema("outputs", rulebook, FACTS)
    assert list(Draft7Validator(schema).iter_errors(shipped))


@pytest.mark.parametrize(
    ("name", "key", "entry"),
    [
        ("metrics", "metrics", "heart-rate"),
        ("alert-types", "alert_types", "low-heart-rate"),
    ],
)
def test_a_format_that_there_is_not_is_marked(
    rulebook: Rulebook, name: str, key: str, entry: str
) -> None:
    (shipped,) = data(name)
    names = shipped[key][entry]["names"]
    names["aple-health"] = names.pop("apple-health")

    (error,) = Draft7Validator(project_schema(name, rulebook, FACTS)).iter_errors(
        shipped
    )

    assert error.message.startswith("'aple-health' is not one of")


def test_a_hook_of_an_ehr_of_its_own_is_allowed(rulebook: Rulebook) -> None:
    schema = project_schema("rule", rulebook, FACTS)
    hook = schema["definitions"]["grammar.hook"]

    assert Draft7Validator(hook).is_valid("com.example.chart-close")
    assert not Draft7Validator(hook).is_valid("chart-close")


def test_names_come_with_what_they_are(rulebook: Rulebook) -> None:
    schema = project_schema("rule", rulebook, FACTS)
    use = schema["definitions"]["grammar.fact"]["properties"]["use"]

    assert use["enum"] == ["palliative-care", "pregnancy"]
    assert use["markdownEnumDescriptions"] == ["Palliative care", "Pregnant"]


def test_descriptions_with_marks_are_shown_as_markdown() -> None:
    sustained = bundle("rule")["definitions"]["grammar.sustained"]

    assert sustained["markdownDescription"] == sustained["description"]


@pytest.mark.parametrize("file", FILES)
def test_every_shipped_file_begins_with_the_line_that_names_its_schema(
    file: str,
) -> None:
    first = FILES[file].split("\n", 1)[0]

    assert first == modeline(file, "../cds_service/rulebook/language/schemas")
    target = (RULES / file).parent / first.removeprefix(LINE)
    assert target.is_file()


def test_the_line_leads_from_the_file_to_the_schema() -> None:
    assert modeline("site.yaml", "../schemas") == f"{LINE}../schemas/site.schema.json"
    assert (
        modeline("valuesets/snomed/a.yaml", "../schemas")
        == f"{LINE}../../../schemas/valueset.schema.json"
    )
    assert modeline("x/a.yaml", "/s") == f"{LINE}/s/rule.schema.json"


def test_the_folder_of_the_schemas_is_read_from_the_line() -> None:
    line = modeline("cardiology/a.yaml", "../schemas")

    assert schema_folder("cardiology/a.yaml", f"{line}\nformat: 1\n") == "../schemas"
    assert schema_folder("a.yaml", "format: 1\n") is None
    assert schema_folder("a.yaml", f"{LINE}https://example.org/rule.json\n") is None


def test_a_line_takes_the_place_of_the_one_before() -> None:
    assert with_modeline("format: 1\n", "# new") == "# new\nformat: 1\n"
    assert with_modeline(f"{LINE}a\nformat: 1\n", "# new") == "# new\nformat: 1\n"
    assert with_modeline(f"{LINE}a\r\nformat: 1\r\n", "# new") == "# new\nformat: 1\r\n"
