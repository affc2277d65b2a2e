from pathlib import Path

import pytest

from cds_service.rulebook.authoring.modelines import (
    modeline,
    schema_folder,
    with_modeline,
)
from cds_service.rulebook.load import read_folder

RULES = Path(__file__).parents[3] / "rules"
FILES = read_folder(RULES)
LINE = "# yaml-language-server: $schema="


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
