"""The watch over a folder: changed, and at rest."""

import os
from pathlib import Path

import pytest

from cds_service.rulebook.watch import Watch, take_fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cardiology").mkdir()
    (tmp_path / "cardiology" / "a.yaml").write_text("rule: a\n")
    return tmp_path


def test_a_folder_is_worth_reading_once_it_is_at_rest(folder: Path) -> None:
    watch = Watch(folder, quiet=1.0)

    assert watch.look(10.0) is None
    assert watch.look(10.9) is None
    assert watch.look(11.0) is not None


def test_what_is_known_is_not_read_again(folder: Path) -> None:
    watch = Watch(folder, quiet=0.0)
    found = watch.look(0.0)
    assert found is not None
    watch.take(found)

    assert watch.look(1.0) is None
    watch.forget()
    assert watch.look(2.0) is not None


def test_every_write_begins_the_wait_anew(folder: Path) -> None:
    watch = Watch(folder, quiet=1.0)
    file = folder / "cardiology" / "a.yaml"
    for moment, text in enumerate(("", "rule", "rule: b\n")):
        file.write_text(text)
        assert watch.look(moment * 0.5) is None

    assert watch.look(1.5) is None
    assert watch.look(2.0) is not None


def test_a_change_while_files_are_read_is_seen(folder: Path) -> None:
    watch = Watch(folder, quiet=0.0)
    found = watch.look(0.0)
    assert found is not None and watch.is_still(found)

    (folder / "cardiology" / "a.yaml").write_text("rule: other\n")

    assert not watch.is_still(found)


@pytest.mark.parametrize("name", [".a.yaml.swp", "a.yaml~", "#a.yaml#", ".git/index"])
def test_what_an_editor_leaves_counts_for_nothing(folder: Path, name: str) -> None:
    before = take_fingerprint(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("half of it")

    assert take_fingerprint(folder) == before


def test_a_file_that_another_takes_the_place_of_has_changed(folder: Path) -> None:
    file = folder / "cardiology" / "a.yaml"
    before = take_fingerprint(folder)
    stat = file.stat()
    draft = folder / ".draft"
    draft.write_text("rule: b\n")
    os.utime(draft, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    draft.replace(file)

    assert file.stat().st_size == stat.st_size
    assert take_fingerprint(folder) != before


def test_a_volume_that_is_exchanged_below_a_link_has_changed(tmp_path: Path) -> None:
    for name in ("..one", "..two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(f"rule: {name}\n")
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    before = take_fingerprint(tmp_path)

    (tmp_path / "..new").symlink_to("..two")
    (tmp_path / "..new").replace(tmp_path / "..data")

    assert take_fingerprint(tmp_path) != before


def test_a_folder_whose_name_or_rights_are_wrong_has_changed(folder: Path) -> None:
    before = take_fingerprint(folder)
    (folder / "b.yaml").mkdir()
    named = take_fingerprint(folder)
    (folder / "b.yaml").chmod(0)

    assert before != named != take_fingerprint(folder)
    (folder / "b.yaml").rmdir()
    assert take_fingerprint(folder) == before


def test_a_folder_that_vanished_has_changed(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text("rule: a\n")
    before = take_fingerprint(tmp_path / "rules")

    (tmp_path / "rules").rename(tmp_path / "away")

    assert take_fingerprint(tmp_path / "rules") != before
