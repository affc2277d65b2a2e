"""Apple Health's export as phones share it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from cds_service.exports.apple_health import (
    open_apple_export,
    read_chunks,
    read_ecg,
)
from cds_service.wearables.adapters.apple_xml import BrokenExport

RECORDS = "<?xml version='1.0'?><!DOCTYPE HealthData []><HealthData><Me/></HealthData>"
CDA = "<ClinicalDocument/>"
SHARED = {
    "apple_health_export/导出.xml": RECORDS,
    "apple_health_export/export_cda.xml": CDA,
    "apple_health_export/electrocardiograms/ecg_2026-03-19.csv": "Name,Jane\n",
    "apple_health_export/workout-routes/route.gpx": "<gpx/>",
    "__MACOSX/apple_health_export/._导出.xml": RECORDS,
}


def archive_of(files: Mapping[str, str], folder: Path) -> Path:
    path = folder / "export.zip"
    with ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def folder_of(files: Mapping[str, str], folder: Path) -> Path:
    for name, text in files.items():
        path = folder / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder / "export"


@pytest.mark.parametrize("make", [archive_of, folder_of])
def test_the_records_are_found_whatever_the_file_is_called(
    make: Callable[[Mapping[str, str], Path], Path], tmp_path: Path
) -> None:
    with open_apple_export(make(SHARED, tmp_path)) as export:
        assert export.records.name == "apple_health_export/导出.xml"
        assert export.records.size == len(RECORDS)
        assert b"".join(read_chunks(export.records, print)) == RECORDS.encode()
        assert [read_ecg(each) for each in export.ecgs] == ["Name,Jane\n"]


def test_the_xml_alone_is_an_export(tmp_path: Path) -> None:
    path = tmp_path / "exportación.xml"
    path.write_text(RECORDS)
    with open_apple_export(path) as export:
        assert (export.records.name, export.ecgs) == ("exportación.xml", ())


def test_it_is_told_how_far_the_reading_came(tmp_path: Path) -> None:
    path = tmp_path / "export.xml"
    path.write_text(RECORDS + " " * 600_000)
    heard: list[int] = []
    with open_apple_export(path) as export:
        for _ in read_chunks(export.records, heard.append):
            pass
    assert heard == [262_144, 524_288, 600_000 + len(RECORDS)]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"export_cda.xml": CDA}, "no file in it is an export"),
        ({"notes.txt": RECORDS}, "no file in it is an export"),
        ({"a/export.xml": RECORDS, "b/export.xml": RECORDS}, "name one: a/export.xml"),
    ],
)
def test_an_archive_without_one_export_says_so(
    files: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BrokenExport, match=said):
        with open_apple_export(archive_of(files, tmp_path)):
            pass


def test_an_archive_that_is_damaged_says_so(tmp_path: Path) -> None:
    path = archive_of(SHARED, tmp_path)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"<Me/>")
    raw[at : at + 5] = b"<Mx/>"
    path.write_bytes(raw)
    with pytest.raises(BrokenExport, match="damaged"):
        with open_apple_export(path) as export:
            list(read_chunks(export.records, print))


def test_an_archive_whose_compression_is_damaged_says_so(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("export.xml", RECORDS)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"export.xml") + len("export.xml")] = 0xFF
    path.write_bytes(raw)
    with pytest.raises(BrokenExport, match="damaged"):
        with open_apple_export(path):
            pass


def test_an_encrypted_archive_says_so(tmp_path: Path) -> None:
    path = archive_of({"export.xml": RECORDS}, tmp_path)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(BrokenExport, match="encrypted"):
        with open_apple_export(path):
            pass
