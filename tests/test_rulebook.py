"""The shipped rules: every example of every rule, and what all content must have."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from cds_service.fhir.code_systems import SYSTEMS
from cds_service.fhir.models import check_resource
from cds_service.protocol.cards import as_json
from cds_service.protocol.schemas import problems
from cds_service.rulebook.cards.cards import draft_cards, identify
from cds_service.rulebook.compile.compiler import compile_rulebook, kind_of
from cds_service.rulebook.engine.evaluate import Outcome, ask_all, evaluate_case
from cds_service.rulebook.language.diagnostics import Findings, Level
from cds_service.rulebook.language.schemas import whole_schema
from cds_service.rulebook.language.source import parse_yaml
from cds_service.rulebook.testing.detector_examples import read_detector_examples
from cds_service.rulebook.testing.detector_runner import DetectorRunner
from cds_service.rulebook.testing.example_runner import ExampleRunner
from cds_service.rulebook.testing.examples import (
    Example,
    Expectation,
    example_names,
    read_examples,
)
from cds_service.rulebook.testing.gate import gate

from .shipped import FILES, RULES, known

pytestmark = pytest.mark.no_cover

RUNNER = ExampleRunner(FILES, known())
RULE_FILES = [name for name in FILES if kind_of(name) == "rule"]


def data_of(name: str) -> Any:
    findings = Findings()
    document = parse_yaml(FILES[name], name, findings)
    assert document is not None and not list(findings)
    return document.data


@cache
def examples_of(name: str) -> tuple[Example, ...]:
    (file,), findings = read_examples({name: FILES[name]})
    assert findings == ()
    return file.examples


EXAMPLES = [each for name in example_names(FILES) for each in examples_of(name)]


def example(**changes: Any) -> Example:
    """The first example of the first shipped rule, which passes, with *changes*."""
    return replace(EXAMPLES[0], **changes)


@pytest.mark.parametrize(
    "shipped", [pytest.param(each, id=each.id) for each in EXAMPLES]
)
def test_the_example_comes_out_as_written(shipped: Example) -> None:
    assert RUNNER.problems(shipped) == ()


def test_every_example_has_a_name_of_its_own() -> None:
    ids = [each.id for each in EXAMPLES]

    assert sorted(set(ids)) == sorted(ids)


@pytest.mark.parametrize(
    ("expect", "complaint"),
    [
        (Expectation(Outcome.NO), "expected no card, got a card"),
        (Expectation(Outcome.UNKNOWN), "expected unknown, got a card"),
        (Expectation(Outcome.FIRES, "info"), "severity info, got warning"),
        (
            Expectation(Outcome.FIRES, "warning", summary="Something else"),
            "expected the summary 'Something else'",
        ),
        (
            Expectation(Outcome.FIRES, "warning", detail_contains=("Nowhere",)),
            "expected 'Nowhere' in the detail",
        ),
        (
            Expectation(Outcome.FIRES, "warning", detail_lacks=("atrial",)),
            "did not expect 'atrial' in the detail",
        ),
    ],
)
def test_a_wrong_example_fails_and_says_why(
    expect: Expectation, complaint: str
) -> None:
    problems = RUNNER.problems(example(expect=expect))

    assert len(problems) == 1
    assert complaint in problems[0]


def test_a_wrong_reason_for_not_knowing_fails() -> None:
    wrong = example(
        patient={**EXAMPLES[0].patient, "not_loaded": ["Condition"]},
        expect=Expectation(Outcome.UNKNOWN, unknown_because=frozenset({"weather"})),
    )

    (problem,) = RUNNER.problems(wrong)

    assert "because of weather" in problem
    assert "palliative_care" in problem


def test_a_known_gap_passes_by_failing_and_fails_once_it_passes() -> None:
    gap = example(expect=Expectation(Outcome.NO), todo="not built")
    closed = example(todo="not built")

    assert RUNNER.problems(gap) == ()
    assert "passes although it is marked" in RUNNER.problems(closed)[0]


def test_a_rule_that_is_not_there_is_named() -> None:
    assert RUNNER.problems(example(rule="no-such-rule")) == (
        "there is no rule `no-such-rule`",
    )


def test_a_param_outside_its_bounds_is_a_problem() -> None:
    shipped = next(e for e in EXAMPLES if e.rule == "av-nodal-agent-bradycardia")

    (problem,) = RUNNER.problems(replace(shipped, params={"hr_limit": 90}))

    assert "does not compile" in problem and "outside" in problem


def test_what_a_site_tunes_does_not_change_the_tests_of_a_rule() -> None:
    site = FILES["site.yaml"] + (
        "rules:\n  beta-blocker-resting-tachycardia:\n"
        "    status: shadow\n    params: { hr_limit: 130 }\n"
    )
    tuned = ExampleRunner({**FILES, "site.yaml": site})
    fires = next(e for e in EXAMPLES if e.rule == "beta-blocker-resting-tachycardia")

    assert tuned.problems(fires) == ()


def test_a_rule_tested_before_it_takes_effect_is_told() -> None:
    early = example(now=EXAMPLES[0].now.replace(year=2025))

    assert RUNNER.problems(early) == (
        "the rule is not in force on 2025-11-22, the day of `now`",
    )


def test_the_shipped_rules_compile_without_an_error_or_a_warning() -> None:
    compiled = compile_rulebook(FILES)

    assert compiled.rulebook is not None
    assert [each for each in compiled.findings if each.level is not Level.NOTE] == []


@pytest.mark.parametrize("name", RULE_FILES)
def test_a_rule_has_examples_that_fire_that_do_not_and_that_cannot_know(
    name: str,
) -> None:
    outcomes = {
        each.expect.outcome
        for each in examples_of(name.replace(".yaml", ".test.yaml"))
        if not each.todo
    }

    assert outcomes == {Outcome.FIRES, Outcome.NO, Outcome.UNKNOWN}


@pytest.mark.parametrize("name", RULE_FILES)
def test_a_rule_names_its_evidence_and_no_invented_approver(name: str) -> None:
    governance = data_of(name)["governance"]

    assert "approved" not in governance
    assert all(each["citation"] and each["url"] for each in governance["evidence"])


@pytest.mark.parametrize("name", RULE_FILES)
def test_a_rule_suggests_drafts_only(name: str) -> None:
    created = list(created_in(data_of(name)))

    assert created
    for resource in created:
        assert resource["resourceType"] in ("ServiceRequest", "Task") or is_rescue(
            resource
        )
        assert (resource["status"], resource["intent"]) == ("draft", "proposal")
        assert "coding" not in resource.get("code", {})


def is_rescue(resource: Mapping[str, Any]) -> bool:
    """Whether a medicine is proposed that only saves from another one.

    A signal from a consumer device alone is no reason to start or stop any other.
    """
    named: str = resource.get("medicationCodeableConcept", {}).get("text", "")
    return resource["resourceType"] == "MedicationRequest" and named.startswith(
        ("Naloxone", "Glucagon")
    )


@pytest.mark.parametrize(
    "shipped",
    [pytest.param(e, id=e.id) for e in EXAMPLES if e.expect.summary],
)
def test_a_card_is_fit_to_leave(shipped: Example) -> None:
    evaluations, service = RUNNER.evaluations(shipped)

    (built,) = identify(draft_cards(evaluations, service.service), "seed")

    assert problems("response", {"cards": [as_json(built.card)]}) == []
    for suggestion in built.card.suggestions:
        for action in suggestion.actions:
            assert action.resource is not None
            assert check_resource(action.resource) == []
            assert "Patient/example" in json.dumps(action.resource)


@pytest.mark.parametrize("name", RULE_FILES)
def test_the_index_that_picks_rules_overlooks_none(name: str) -> None:
    overlooked = []
    for shipped in examples_of(name.replace(".yaml", ".test.yaml")):
        service = RUNNER.service(shipped)
        case = RUNNER.scene(shipped).case(service)
        picked, asked = evaluate_case(service, case), ask_all(service, case)
        if draft_cards(picked, service.service) != draft_cards(asked, service.service):
            overlooked.append(shipped.name)

    assert overlooked == []


def created_in(value: Any) -> list[Mapping[str, Any]]:
    """Every resource that a rule file creates."""
    if isinstance(value, list):
        return [found for each in value for found in created_in(each)]
    if not isinstance(value, dict):
        return []
    own = [value["create"]] if "create" in value else []
    return own + [found for each in value.values() for found in created_in(each)]


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_names_the_schema_that_editors_check_it_with(name: str) -> None:
    first = FILES[name].split("\n", 1)[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)

    assert found is not None
    assert (RULES / name).parent.joinpath(found[1]).resolve().is_file()


def test_the_snomed_overlay_holds_identifiers_only_beside_its_notice() -> None:
    notice = (
        "SNOMED CT identifiers are used under the terms of SNOMED International; "
        "a site makes sure that it may use them."
    )
    overlay = [name for name in FILES if name.startswith("valuesets/snomed/")]

    assert overlay
    assert notice in (RULES / "valuesets/snomed/NOTICE.md").read_text("utf-8")
    for name in overlay:
        comments = re.findall(r"^# (?!yaml-)(.*)$", FILES[name], re.MULTILINE)
        assert " ".join(comments) == notice
        for entry in data_of(name)["include"]:
            assert set(entry) == {"system", "codes"}
            assert all(re.fullmatch(r"\d+", code) for code in entry["codes"])


def test_no_other_value_set_holds_a_snomed_identifier() -> None:
    for name in FILES:
        if name.startswith("valuesets/") and "/snomed/" not in name:
            assert "snomed" not in json.dumps(data_of(name))


UNCHECKED = ("6448", "79619009")
"""Codes that nobody has checked against their terminology."""


def test_no_value_set_holds_a_code_that_was_not_checked() -> None:
    written = {
        found
        for name in FILES
        if name.startswith("valuesets/")
        for found in re.findall(r"\d+", json.dumps(data_of(name)["include"]))
    }

    assert written.isdisjoint(UNCHECKED)


def read_blocks() -> list[str]:
    """The YAML in the page for authors."""
    text = (RULES.parent / "docs" / "authors.md").read_text("utf-8")
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


def read_block(key: str, named: str = "") -> str:
    """The YAML in the page for authors that has a key at its top."""
    top = re.compile(rf"^{key}:.*{named}$", re.MULTILINE)
    (found,) = (each for each in read_blocks() if top.search(each))
    return found


JANE = {
    "resourceType": "Bundle",
    "entry": [
        {
            "resource": {
                "resourceType": resource,
                "id": "x",
                "subject": {"reference": "Patient/jane"},
                "status": "active",
                "intent": "order",
                concept: {"coding": [{"system": SYSTEMS[system], "code": code}]},
            }
        }
        for resource, concept, system, code in (
            ("MedicationRequest", "medicationCodeableConcept", "rxnorm", "3407"),
            ("Condition", "code", "icd10cm", "I48.20"),
        )
    ],
}


@pytest.mark.slow
def test_the_example_of_every_key_of_a_test_works() -> None:
    files = {
        **FILES,
        "cardiology/digoxin-by-watch.yaml": read_block("rule", "by-watch"),
        "cardiology/digoxin-by-watch.test.yaml": read_block("test", "by-watch"),
        "patients/jane.json": json.dumps(JANE),
    }

    judged = gate(files)
    rulebook, findings = judged.rulebook, judged.findings

    assert [each for each in findings if each.level is Level.ERROR] == []
    assert rulebook is not None and "digoxin-by-watch" in rulebook.rules


Key = tuple[str, str]
"""What an object is, by the description of its schema, and one of its keys."""


def keys(schema: Any) -> set[Key]:
    """Every key that a schema knows, at any depth."""
    waiting, seen, found = [schema], set[int](), set[Key]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, (dict, list)):
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            names = node.get("properties", {})
            found |= {(node.get("description", ""), name) for name in names}
        waiting += node.values() if isinstance(node, dict) else node
    return found


def used(schema: Any, data: Any) -> set[Key]:
    """The keys of a schema that *data* has where the schema knows them."""
    if isinstance(data, list):
        inner = schema.get("items", {})
        return {key for each in data for key in used(inner, each)}
    if not isinstance(data, dict):
        return set()
    if "else" in schema:
        return used(schema["else"], data)
    known = schema.get("properties", {})
    found = {(schema.get("description", ""), name) for name in known if name in data}
    for name, value in data.items():
        inner = known.get(name) or schema.get("additionalProperties")
        found |= used(inner, value) if isinstance(inner, dict) else set()
    return found


def without_example(schema: Any, examples: list[Any]) -> set[Key]:
    shown = set[Key]().union(*(used(schema, each) for each in examples))
    return keys(schema) - shown


def test_every_key_of_a_test_file_has_an_example_where_it_belongs() -> None:
    blocks = [parsed(block) for block in read_blocks()]
    tests = [each for each in blocks if isinstance(each, dict) and "test" in each]
    of_detectors = [each for each in tests if "begins" in each]

    assert without_example(whole_schema("rule-test"), tests) == set()
    assert without_example(whole_schema("detector-test"), of_detectors) == set()


def test_every_key_of_a_detector_is_explained() -> None:
    page = (RULES.parent / "docs" / "authors.md").read_text("utf-8")
    section = page[page.index("## A detector") : page.index("## Alerting")]
    explained = set(re.findall(r"[a-z_]+", section))

    known = {name for _, name in keys(whole_schema("detector"))}
    assert known - explained - {"governance", "replaced_by"} <= OF_GOVERNANCE


OF_GOVERNANCE = {name for _, name in keys(whole_schema("rule"))}
"""Keys that detectors have in common with rules."""


def test_a_key_of_a_test_without_an_example_is_noticed() -> None:
    block = parsed(read_block("test", "by-watch"))
    for reading in block["patients"]["base"]["observations"]:
        del reading["status"]

    missing = without_example(whole_schema("rule-test"), [block])

    assert [name for _, name in missing] == ["status"]


def actions_in(value: Any) -> list[Any]:
    """Every action that blocks of the page show."""
    if isinstance(value, list):
        return [found for each in value for found in actions_in(each)]
    if not isinstance(value, dict):
        return []
    own = [*value.get("actions", ()), *value.get("system_actions", ())]
    return own + [found for each in value.values() for found in actions_in(each)]


def test_every_key_of_an_action_has_an_example() -> None:
    blocks = [parsed(block) for block in read_blocks()]
    action = whole_schema("rule")["definitions"]["grammar.action"]
    shown = [each for each in actions_in(blocks) if isinstance(each, dict)]

    assert without_example(action, shown) == set()
    assert {"create", "update", "set", "remove"} <= {name for _, name in keys(action)}


def test_the_detector_of_the_page_for_authors_passes_its_tests() -> None:
    files = {**FILES, **as_files(read_block("detector"))}
    tests, mistakes = read_detector_examples(files)
    (test,) = [each for each in tests if each.rule == "fast-breathing"]
    runner = DetectorRunner(files)

    assert mistakes == ()
    assert [runner.problems(each) for each in test.examples] == [()] * 7


@pytest.mark.slow
def test_the_first_rule_of_the_page_for_authors_works() -> None:
    files = {
        **FILES,
        "cardiology/digoxin-slow-heart.yaml": read_block("rule", "slow-heart"),
        "cardiology/digoxin-slow-heart.test.yaml": read_block("test", "slow-heart"),
        "valuesets/thyroid-hormones.yaml": read_block("valueset"),
        "site.yaml": FILES["site.yaml"] + read_block("rules"),
    }

    judged = gate(files)
    rulebook, findings = judged.rulebook, judged.findings

    assert [each for each in findings if each.level is Level.ERROR] == []
    assert rulebook is not None and "digoxin-slow-heart" in rulebook.rules


def parsed(text: str) -> Any:
    findings = Findings()
    document = parse_yaml(text, "block.yaml", findings)
    assert document is not None and not list(findings)
    return document.data


FIRST = "cardiology/digoxin-slow-heart.yaml"
MORE_FACTS = """
drug: { medication: { in: digoxin } }
heart_failure: { condition: { in: heart-failure } }
kidney_disease: { condition: { in: chronic-kidney-disease } }
atrial_fibrillation: { condition: { in: atrial-fibrillation-flutter } }
resting_hr: { observation: { in: resting-heart-rate, unit: /min, within: 7 days } }
weight: { observation: { in: body-weight, unit: kg, within: 7 days } }
systolic: { observation: { in: systolic-blood-pressure, unit: "mm[Hg]" } }
watch_alert: { wearable_alert: { type: [low-heart-rate] } }
night_spo2:
  wearable: { metric: oxygen-saturation, part: night, unit: "%", within: 7 days }
"""


def rule_with(**changes: Any) -> str:
    """The rule of the page, as a draft, with other keys."""
    rule = {**parsed(read_block("rule", "slow-heart")), "status": "draft"}
    facts = {**rule["facts"], **parsed(MORE_FACTS), **parsed(read_block("stroke_risk"))}
    params = {"hr_limit": {"default": 50, "min": 40, "max": 60}}
    return json.dumps({**rule, "facts": facts, "params": params, **changes})


def added(site: dict[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """What site.yaml says, and beside it what the block says."""
    for key, value in data.items():
        if isinstance(value, list):
            site[key] = [*site.get(key, []), *value]
        else:
            site[key] = {**site.get(key, {}), **value}
    return site


def of_what_is_measured(data: Mapping[str, Any]) -> dict[str, str]:
    """Units of codes alone, or metrics and how they leave, beside the shipped ones."""
    if "units" in data:
        return {"units.yaml": json.dumps({"format": 1, **data})}
    file = "outputs.yaml" if "categories" in data else "metrics.yaml"
    shipped = parsed(FILES[file])
    metrics = {**shipped["metrics"]}
    for name, told in data["metrics"].items():
        metrics[name] = {**metrics.get(name, {}), **told}
    told = {**shipped.get("categories", {}), **data.get("categories", {})}
    categories = {"categories": told} if told else {}
    whole = {**shipped, **data, "metrics": metrics, **categories}
    return {file: json.dumps(whole)}


def as_whole_files(data: Mapping[str, Any], block: str) -> dict[str, str]:
    """A block that is a file, and what that cannot do without."""
    if "valueset" in data:
        return {"valuesets/thyroid-hormones.yaml": block}
    if "detector" in data or "begins" in data:
        return {
            "detectors/fast-breathing.yaml": read_block("detector"),
            "detectors/fast-breathing.test.yaml": read_block("begins"),
        }
    name = data.get("rule") or f"{data['test']}.test"
    return {f"cardiology/{name}.yaml": block}


def as_files(block: str) -> dict[str, str]:
    """The files that a block of the page makes, where it says to put it."""
    data = parsed(block)
    if isinstance(data, list):  # conditions
        return {FIRST: rule_with(when={"all": data})}
    key = next(iter(data))
    if key == "format":
        return as_whole_files(data, block)
    if key in ("units", "priority", "categories"):
        return of_what_is_measured(data)
    if key == "title":  # the head of a value set
        include = [{"system": "loinc", "codes": ["2345-7"]}]
        whole = {
            "format": 1,
            "valueset": "sugar",
            "version": "1.0.0",
            "include": include,
        }
        return {"valuesets/sugar.yaml": json.dumps({**whole, **data})}
    if key == "stroke_risk":
        asked = {"stroke_risk": {"value": {"at_least": 2}}}
        told = {
            **parsed(read_block("rule", "slow-heart"))["card"],
            "summary": "Stroke risk",
        }
        return {FIRST: rule_with(when=asked, card=told)}
    if key == "test":
        return {
            FIRST: read_block("rule", "slow-heart"),
            f"{FIRST[:-5]}.test.yaml": block,
        }
    if key == "card":
        return {
            FIRST: rule_with(
                card={**parsed(read_block("rule", "slow-heart"))["card"], **data[key]}
            )
        }
    if key == "alerting":
        return {FIRST: rule_with(**data)}
    if key == "facts":
        own = parsed(read_block("rule", "slow-heart"))
        told = {**own["card"], "summary": "What wearables told"}
        facts = {**own["facts"], **data["facts"]}
        return {FIRST: rule_with(facts=facts, when=data["when"], card=told)}
    return {"site.yaml": json.dumps(added(parsed(FILES["site.yaml"]), data))}


@pytest.mark.parametrize("block", read_blocks())
def test_every_block_of_the_page_for_authors_is_accepted_where_it_belongs(
    block: str,
) -> None:
    files = {**FILES, **as_files(block)}
    compiled = compile_rulebook(files, check_resource, known=known())

    errors = [each for each in compiled.findings if each.level is Level.ERROR]
    assert [each.message for each in errors] == []
