"""What an author sees in an editor, asked of the YAML language server itself."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cds_service.cli.rules.schema import schema
from cds_service.rulebook.compile.compiler import kind_of
from cds_service.rulebook.load import read_folder

RULES = Path(__file__).parents[2] / "rules"
RULE = RULES / "cardiology/av-nodal-agent-bradycardia.yaml"
TEST = RULES / "cardiology/av-nodal-agent-bradycardia.test.yaml"

DETECTOR = RULES / "detectors/high-heart-rate-at-rest.yaml"
DETECTOR_TEST = RULES / "detectors/high-heart-rate-at-rest.test.yaml"

pytestmark = pytest.mark.slow


def changed(file: Path, old: str, new: str) -> str:
    text = file.read_text("utf-8")
    assert old in text
    return text.replace(old, new, 1)


def places(diagnostics: list[Any]) -> list[tuple[int, int, str]]:
    """Line and column, from 1, and message."""
    return [
        (
            each["range"]["start"]["line"] + 1,
            each["range"]["start"]["character"] + 1,
            each["message"],
        )
        for each in diagnostics
    ]


def marked_in(text: str) -> tuple[str, tuple[int, int]]:
    """The text without its mark, and the line and column where that stood."""
    before, _, after = text.partition("‸")
    return before + after, (before.count("\n") + 1, len(before.rsplit("\n", 1)[-1]) + 1)


def test_no_shipped_file_is_marked(editor: Any) -> None:
    files = [RULES / name for name in read_folder(RULES)]
    for file in files:
        editor.show(file, file.read_text("utf-8"))

    marked = {file.name: places(editor.marked(file)) for file in files}

    assert {name: found for name, found in marked.items() if found} == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("severity: warning", "severity: ‸warn", 'Valid values: "info"'),
        ("status: active", "‸statsu: active", "Property statsu is not allowed"),
        ("within: 30 days", "within: ‸30 day s", "write a duration with"),
        ("- slowing_drug: present", "- slowing_drug: ‸there", '"present"'),
    ],
)
def test_a_mistake_is_marked_where_it_stands(
    editor: Any, old: str, new: str, said: str
) -> None:
    text, place = marked_in(changed(RULE, old, new))

    found = places(editor.diagnostics(RULE, text))

    assert [each for each in found if each[:2] == place and said in each[2]]


def test_a_new_fact_is_offered_its_kinds(editor: Any) -> None:
    text = changed(RULE, "  slowing_drug:\n", "  x:\n    m‸\n  slowing_drug:\n")

    offered = editor.completion(RULE, text)

    assert {"condition", "medication", "observation", "wearable_alert"} <= set(offered)


def test_a_status_is_offered_with_what_it_means(editor: Any) -> None:
    offered = editor.completion(RULE, changed(RULE, "status: active", "status: ‸"))

    assert list(offered) == ["draft", "shadow", "active", "retired"]
    said = offered["shadow"]["documentation"]["value"]
    assert "no card is shown" in said


def test_conditions_are_offered_inside_when(editor: Any) -> None:
    text = changed(RULE, "    - slowing_drug: present", "    - ‸")

    assert {"all", "any", "none", "patient"} <= set(editor.completion(RULE, text))


def test_a_fact_is_offered_what_can_be_asked_of_it(editor: Any) -> None:
    text = changed(RULE, "- slowing_drug: present", "- slowing_drug: ‸")
    inside = changed(RULE, "- slowing_drug: present", "- heart_rate:\n        l‸")

    assert {"present", "absent"} <= set(editor.completion(RULE, text))
    assert {"latest", "mean", "sustained"} <= set(editor.completion(RULE, inside))


def test_a_test_is_offered_what_a_patient_has(editor: Any) -> None:
    text = changed(TEST, "    born: ", "    ‸born: ")

    assert {"draft_orders", "observations"} <= set(editor.completion(TEST, text))


def test_a_word_of_the_grammar_is_explained(editor: Any) -> None:
    text = changed(
        RULE,
        "- slowing_drug: present",
        "- heart_rate: { sust‸ained: { below: 50, for: 3 days } }",
    )

    assert "Readings beyond the limit throughout a period" in editor.hover(RULE, text)


def test_a_detector_is_offered_its_patterns_and_what_each_says(editor: Any) -> None:
    head, _, rest = DETECTOR.read_text("utf-8").partition("  sustained:\n")
    patterns = f"{head}  d‸\n{rest[rest.index('lateness:'):]}"
    keys = changed(DETECTOR, "    above: $limit", "    r‸\n    above: $limit")
    offered = editor.completion(DETECTOR, keys)

    assert {"days", "shift", "gain"} <= set(editor.completion(DETECTOR, patterns))
    assert "late_start" in offered
    said = offered["late_start"]["documentation"]
    assert "no reading needs to speak for" in (
        said if isinstance(said, str) else said["value"]
    )


def test_a_number_of_a_detector_is_explained(editor: Any) -> None:
    text = changed(DETECTOR, "speaks_for: 3", "speaks‸_for: 3")

    assert "it speaks until the next one" in editor.hover(DETECTOR, text)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (DETECTOR, "clear_by: 5", "‸cleer_by: 5", "Property cleer_by is not allowed"),
        (DETECTOR, "coverage: 0.7", "coverage: ‸70", "maximum"),
        (DETECTOR_TEST, "values: 100x31", "values: ‸100 x 31", "write values such as"),
        (DETECTOR_TEST, "closing: lasts", "closing: ‸last", "Valid values"),
    ],
)
def test_a_mistake_in_a_detector_or_its_tests_is_marked(
    editor: Any, file: Path, old: str, new: str, said: str
) -> None:
    text, place = marked_in(changed(file, old, new))

    found = places(editor.diagnostics(file, text))

    assert [each for each in found if each[:2] == place and said in each[2]], found


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    open_editor: Callable[[Path], Any],
) -> tuple[Path, Any]:
    """The rules of a site with its own schemas, and an editor that has it open."""
    folder = tmp_path_factory.mktemp("site")
    rules = shutil.copytree(RULES, folder / "rules")
    result = CliRunner().invoke(
        schema, ["--project", "--modeline", "--rules", str(rules)]
    )
    assert result.exit_code == 0, result.output
    return rules / RULE.relative_to(RULES), open_editor(folder)


def test_no_file_is_marked_by_the_schemas_of_its_project(
    site: tuple[Path, Any],
) -> None:
    rule, editor = site
    rules = rule.parents[1]
    firsts = {kind_of(name): rules / name for name in read_folder(rules)}
    for file in firsts.values():
        assert ".cds-service/schemas" in file.read_text("utf-8").split("\n", 1)[0]

    marked = {kind: places(editor.diagnostics(file)) for kind, file in firsts.items()}

    assert marked == {kind: [] for kind in firsts}


@pytest.mark.parametrize(
    ("old", "new", "label", "said"),
    [
        ("in: syncope", "in: ‸", "syncope", "Syncope"),
        ("use: palliative-care", "use: ‸", "pregnancy", "The patient is pregnant"),
        ("[low-heart-rate]", "[‸]", "irregular-rhythm", "Irregular rhythm"),
        ("- not-wearer", "- ‸", "artifact", "Device artifact or poor fit"),
        ("hooks: [patient-view]", "hooks: [‸]", "order-sign", "Version"),
    ],
)
def test_the_names_of_the_project_are_offered(
    site: tuple[Path, Any], old: str, new: str, label: str, said: str
) -> None:
    rule, editor = site

    offered = editor.completion(rule, changed(rule, old, new))

    assert said in offered[label]["documentation"]["value"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("in: syncope", "in: ‸sincope"),
        ("use: palliative-care", "use: ‸paliative-care"),
        ("[low-heart-rate]", "[‸low-hart-rate]"),
    ],
)
def test_a_name_that_the_project_does_not_have_is_marked(
    site: tuple[Path, Any], old: str, new: str
) -> None:
    rule, editor = site
    text, place = marked_in(changed(rule, old, new))

    found = places(editor.diagnostics(rule, text))

    assert place in [each[:2] for each in found]
    assert "is not accepted" in found[0][2]


def test_markdown_of_the_project_schemas_is_shown_as_such(
    site: tuple[Path, Any],
) -> None:
    rule, editor = site
    text = changed(
        rule,
        "- slowing_drug: present",
        "- heart_rate: { sust‸ained: { below: 50, for: 3 days } }",
    )

    assert "**Unknown** with too few readings" in editor.hover(rule, text)


@pytest.mark.parametrize(
    ("file", "old", "new", "label", "said"),
    [
        (
            DETECTOR,
            "metric: heart-rate",
            "metric: ‸",
            "body-weight",
            "Body weight (kg)",
        ),
        (
            DETECTOR,
            "raises: high-heart-rate",
            "raises: ‸",
            "low-glucose",
            "Low glucose",
        ),
        (DETECTOR, "{ metric: steps,", "{ metric: ‸,", "steps", "Steps"),
        (DETECTOR_TEST, "test: high-h", "test: ‸h", "low-glucose", "Low glucose"),
    ],
)
def test_the_names_of_the_project_are_offered_to_a_detector(
    site: tuple[Path, Any], file: Path, old: str, new: str, label: str, said: str
) -> None:
    rule, editor = site
    own = rule.parents[1] / file.relative_to(RULES)

    offered = editor.completion(own, changed(own, old, new))

    assert said in offered[label]["documentation"]["value"]
