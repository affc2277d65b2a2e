import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cds_service.rulebook.language.diagnostics import Finding
from cds_service.rulebook.load import (
    InvalidRulebook,
    check_folder,
    read_files,
    read_folder,
)

Revise = Callable[[Path, int], dict[str, str]]

RULES = Path(__file__).parents[2] / "rules"


def refuse(folder: Path) -> list[Finding]:
    with pytest.raises(InvalidRulebook) as raised:
        read_folder(folder)
    return list(raised.value.findings)


def told(folder: Path) -> tuple[str, int, int, str]:
    (found,) = refuse(folder)
    return found.file, found.line, found.column, found.code


def test_the_rules_of_the_project_load() -> None:
    rulebook = check_folder(RULES).rulebook

    assert "beta-blocker-resting-tachycardia" in rulebook.rules


def test_a_folder_is_read_with_the_paths_in_it(tmp_path: Path) -> None:
    (tmp_path / "cardiology").mkdir()
    (tmp_path / "cardiology" / "a.yaml").write_text("é: 1\n", "utf-8")
    (tmp_path / "site.yaml").write_bytes(b"\xef\xbb\xbfformat: 1\n")

    assert read_folder(tmp_path) == {
        "cardiology/a.yaml": "é: 1\n",
        "site.yaml": "format: 1\n",
    }


@pytest.mark.parametrize(
    "name",
    [".a.yaml", ".#a.yaml", "#a.yaml#", "~a.yaml", "a.yaml~", "a.yaml.swp", "a.md"],
)
def test_hidden_files_and_those_of_editors_are_left(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a: 1\n")

    assert read_folder(tmp_path) == {}


def test_hidden_folders_are_left(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.yaml").write_text("a: 1\n")

    assert read_folder(tmp_path) == {}


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    (found,) = refuse(tmp_path / "rules")

    assert found.code == "CDS001"
    assert found.message == "there is no such folder"


def test_what_is_not_utf_8_is_told_at_the_byte(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("é: 1\nb: gr".encode() + b"\xfc\xdf\n")

    assert told(tmp_path) == ("a.yaml", 2, 6, "CDS002")


def test_a_file_over_the_limit_is_told_without_reading_it_all(tmp_path: Path) -> None:
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(50 * 1024**3)

    assert told(tmp_path) == ("a.yaml", 1, 1, "CDS003")


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside, secret = tmp_path / "rules", tmp_path / "secret"
    inside.mkdir()
    secret.write_text("password: x\n")
    (inside / "a.yaml").symlink_to(secret)

    assert told(inside) == ("a.yaml", 1, 1, "CDS001")


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "a.yaml").write_text("a: 1\n")
    (tmp_path / "a.yaml").symlink_to(Path("..data", "a.yaml"))

    assert read_folder(tmp_path) == {"a.yaml": "a: 1\n"}


def test_links_to_folders_and_to_nowhere_are_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")

    assert [(each.file, each.code) for each in refuse(tmp_path)] == [
        ("gone.yaml", "CDS001"),
        ("loop", "CDS001"),
    ]


def test_links_that_lead_to_themselves_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    (tmp_path / "b.yaml").symlink_to("c.yaml")
    (tmp_path / "c.yaml").symlink_to("b.yaml")

    assert [(each.file, each.code, each.message) for each in refuse(tmp_path)] == [
        (name, "CDS001", "this link points to itself")
        for name in ("a.yaml", "b.yaml", "c.yaml")
    ]


def test_a_rules_folder_that_is_a_link_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "rules").symlink_to("rules")

    (found,) = refuse(tmp_path / "rules")

    assert (found.file, found.code) == (str(tmp_path / "rules"), "CDS001")


def test_a_link_to_what_no_disk_can_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a" * 300)

    assert told(tmp_path) == ("a.yaml", 1, 1, "CDS001")


def test_a_folder_that_has_the_name_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()

    assert told(tmp_path) == ("a.yaml", 1, 1, "CDS001")


def test_a_wrong_link_keeps_no_other_file_from_being_checked(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    (tmp_path / "b.yaml").write_text("rule: [\n")

    found = [each.file for each in check_folder(tmp_path).findings]

    assert {"a.yaml", "b.yaml"} <= set(found)


def test_what_is_no_ordinary_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")

    assert told(tmp_path) == ("a.yaml", 1, 1, "CDS001")


def test_a_name_that_is_not_utf_8_can_still_be_told(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml")).write_bytes(b"\xff")

    file, *_ = told(tmp_path)

    assert file.encode("utf-8")


def test_a_file_with_the_wrong_ending_is_not_passed_over_in_silence(
    tmp_path: Path,
) -> None:
    (tmp_path / "fast-heart.yml").write_text("a: 1\n")

    found = [each for each in check_folder(tmp_path).findings if each.code == "CDS034"]

    assert [each.help for each in found] == ["rename it to fast-heart.yaml"]


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("fast.YAML", "rename it to fast.yaml"),
        ("fast.YML", "rename it to fast.yaml"),
        ("fast.Yaml", "rename it to fast.yaml"),
        ("fast.yaml.txt", "rename it to fast.yaml"),
        ("fast.yml.txt", "rename it to fast.yaml"),
        ("fast.test.yml", "rename it to fast.test.yaml"),
        ("fast.yaml~", "rename it to fast.yaml"),
        ("fast.yaml.bak", "rename it to fast.yaml"),
        ("fast.bak", "rename it to fast.yaml"),
        ("fast.yaml (1)", "rename it to fast.yaml"),
        ("fast.json", "rules are written in YAML"),
        ("fast.JSON", "rules are written in YAML"),
    ],
)
@pytest.mark.parametrize("folder", ["", "cardiology/", "facts/", "cardiology/more/"])
def test_a_file_that_is_nearly_called_as_a_rule_is_told(
    tmp_path: Path, folder: str, name: str, help: str
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / name).write_text("a: 1\n")

    found = [each for each in check_folder(tmp_path).findings if each.code == "CDS034"]

    assert [(each.file, each.level) for each in found] == [(folder + name, "warning")]
    assert found[0].help.startswith(help)


@pytest.mark.parametrize(
    "name",
    ["README.md", "notes.txt", "fast.yaml~", "fast.yaml.bak", "fast.bak", ".fast.yml"],
)
def test_copies_of_an_editor_and_other_papers_are_passed_over(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "fast.yaml").write_text("a: 1\n")
    (tmp_path / name).write_text("a: 1\n")

    assert "CDS034" not in {each.code for each in check_folder(tmp_path).findings}


def test_a_file_that_reads_like_the_rule_beside_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "fast.yaml").write_text("a: 1\n")
    (tmp_path / "fast.yaml.txt").write_text("a: 2\n")

    found = [each for each in check_folder(tmp_path).findings if each.code == "CDS034"]

    assert [each.help for each in found] == [
        "fast.yaml is; move this one out of the folder"
    ]


def test_one_wrong_file_keeps_the_whole_rulebook_from_loading(
    tmp_path: Path, revise: Revise
) -> None:
    revise(tmp_path, 1)
    assert check_folder(tmp_path).rulebook is not None
    (tmp_path / "valuesets" / "bad.yaml").write_text("a: b: c\n")

    checked = check_folder(tmp_path)

    assert checked.rulebook is None
    assert "valuesets/bad.yaml:1:5: error[CDS005]" in str(
        InvalidRulebook(checked.findings)
    )


def test_a_file_that_cannot_be_read_keeps_the_rulebook_from_loading(
    tmp_path: Path, revise: Revise
) -> None:
    revise(tmp_path, 1)
    (tmp_path / "valuesets" / "bad.yaml").write_bytes(b"\xff")

    assert check_folder(tmp_path).rulebook is None


PATIENT = """\
test: a
now: 2026-11-22T12:00:00Z
cases: [{name: a, set: {fhir: %s}, expect: unknown}]
"""


def lay_test(folder: Path, named: str) -> None:
    (folder / "cardiology").mkdir()
    (folder / "cardiology" / "a.test.yaml").write_text(PATIENT % named)


def test_the_patients_that_tests_name_are_read_and_no_other_json(
    tmp_path: Path,
) -> None:
    lay_test(tmp_path, "../jane.json")
    (tmp_path / "jane.json").write_text("{}")
    (tmp_path / "joe.json").write_text("{}")

    assert set(read_folder(tmp_path)) == {"cardiology/a.test.yaml", "jane.json"}


def test_a_patient_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    lay_test(folder, "../../jane.json")
    (tmp_path / "jane.json").write_text("{}")
    (folder / "joe.json").symlink_to(tmp_path / "jane.json")
    (folder / "b.test.yaml").write_text(PATIENT % "joe.json")

    files, findings = read_files(folder)

    assert set(files) == {"cardiology/a.test.yaml", "b.test.yaml"}
    assert [(each.file, each.code) for each in findings] == [("joe.json", "CDS001")]


def test_a_patient_who_is_a_link_to_itself_is_told(tmp_path: Path) -> None:
    lay_test(tmp_path, "patient.json")
    (tmp_path / "patient.json").symlink_to("patient.json")

    found = [each.file for each in check_folder(tmp_path).findings]

    assert "patient.json" in found


@pytest.mark.parametrize("named", ["x" * 300 + ".json", "no/such.json", "..", "."])
def test_a_patient_who_is_not_there_is_left_to_the_test(
    tmp_path: Path, named: str
) -> None:
    lay_test(tmp_path, named)

    assert set(read_folder(tmp_path)) == {"cardiology/a.test.yaml"}


@pytest.mark.parametrize("content", [b"\xff", b"test: ["])
def test_a_wrong_test_file_keeps_no_rulebook_from_loading(
    tmp_path: Path, revise: Revise, content: bytes
) -> None:
    revise(tmp_path, 1)
    (tmp_path / "a.test.yaml").write_bytes(content)

    assert check_folder(tmp_path).rulebook.rules
