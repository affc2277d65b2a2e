import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.rules.schema import schema
from cds_service.rulebook.language.schemas import NAMES

RULES = Path(__file__).parents[3] / "rules"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site's folder with its rules in it, and the caller in it."""
    shutil.copytree(RULES, tmp_path / "rules")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(schema, [str(each) for each in arguments])


@pytest.mark.parametrize("kind", NAMES)
def test_the_schema_of_a_kind_is_printed(kind: str) -> None:
    result = run(kind)

    assert result.exit_code == 0
    assert json.loads(result.output)["$id"] == f"{kind}.schema.json"


def test_a_project_gets_its_schemas_beside_its_rules(site: Path) -> None:
    result = run("--project")

    assert result.exit_code == 0, result.output
    written = sorted((site / ".cds-service/schemas").iterdir())
    assert [each.name for each in written] == sorted(f"{n}.schema.json" for n in NAMES)
    assert (
        '"beta-blockers"'
        in (site / ".cds-service/schemas/rule.schema.json").read_text()
    )
    assert "yaml.schemas" in result.output


def test_a_second_time_nothing_is_written(site: Path) -> None:
    run("--project", "--modeline")

    result = run("--project", "--modeline")

    assert result.exit_code == 0
    assert len(result.output.splitlines()) == len(NAMES)
    assert all(each.endswith("is up to date") for each in result.output.splitlines())


def test_the_files_can_be_pointed_at_the_schemas(site: Path) -> None:
    before = (site / "rules/facts/pregnancy.yaml").read_text()
    result = run("--project", "--modeline")

    assert result.exit_code == 0
    first, rest = (site / "rules/facts/pregnancy.yaml").read_text().split("\n", 1)
    line = "# yaml-language-server: $schema=../../.cds-service/schemas/fact.schema.json"
    assert first == line
    assert rest == before.split("\n", 1)[1]


def test_a_folder_of_schemas_can_be_named(site: Path) -> None:
    result = run("--out", "schemas")

    assert result.exit_code == 0
    assert '"beta-blockers"' not in Path("schemas/rule.schema.json").read_text()
    assert not Path(".cds-service").exists()


def test_one_schema_of_the_project_is_printed(site: Path) -> None:
    result = run("valueset", "--project")

    assert '"beta-blockers"' in result.output
    assert not Path(".cds-service").exists()


def test_rules_with_errors_are_not_asked_for_their_names(site: Path) -> None:
    (site / "rules/facts/pregnancy.yaml").write_text("format: [")

    result = run("--project")

    assert result.exit_code == 1
    assert "`cds-service check rules` shows them" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a kind of file"),
        (("--modeline",), "name a kind of file"),
        (("rule", "--modeline"), "--modeline goes with"),
        (("rules",), "is not one of"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert said in result.output
