"""Health Connect's export as phones write it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from cds_service.exports.health_connect import (
    BrokenDatabase,
    open_health_connect,
    read_rows,
)
from cds_service.wearables.adapters.health_connect import ExportedRow

NAMES = {
    "heart_rate_record_series_table/beats_per_minute",
    "weight_record_table/weight",
    "steps_record_table/count",
    "blood_glucose_record_table/level",
    "blood_glucose_record_table/level/1",
}
AT = 1_795_352_700_000
UUID = bytes(range(16))
RECORD = (
    "row_id INTEGER PRIMARY KEY, uuid BLOB, last_modified_time INTEGER,"
    " device_info_id INTEGER, app_info_id INTEGER, recording_method INTEGER"
)
INTERVAL = (
    "start_time INTEGER, start_zone_offset INTEGER, end_time INTEGER,"
    " end_zone_offset INTEGER"
)
SCHEMA = f"""
CREATE TABLE device_info_table (row_id INTEGER, manufacturer TEXT, model TEXT);
INSERT INTO device_info_table VALUES (1, 'Google', 'Pixel Watch 3'), (2, NULL, NULL);
CREATE TABLE application_info_table (row_id INTEGER, package_name TEXT);
INSERT INTO application_info_table VALUES (1, 'com.example.watch');
CREATE TABLE heart_rate_record_table ({RECORD}, {INTERVAL});
INSERT INTO heart_rate_record_table
  VALUES (7, x'{UUID.hex()}', {AT + 5}, 1, 1, 2, {AT}, -18000, {AT + 60000}, -18000);
CREATE TABLE heart_rate_record_series_table
  (parent_key INTEGER, beats_per_minute INTEGER, epoch_millis INTEGER);
INSERT INTO heart_rate_record_series_table VALUES (7, 72, {AT}), (7, 75, {AT + 30000});
CREATE TABLE weight_record_table
  ({RECORD}, time INTEGER, zone_offset INTEGER, weight REAL);
INSERT INTO weight_record_table
  VALUES (1, x'{UUID.hex()}', {AT}, 2, 9, 3, {AT}, 3600, 71300.0);
CREATE TABLE steps_record_table (count INTEGER, start_time INTEGER, end_time INTEGER);
INSERT INTO steps_record_table VALUES (420, {AT}, {AT + 600000});
CREATE TABLE nutrition_record_table (energy REAL);
"""


def database(folder: Path, script: str = SCHEMA) -> Path:
    file = folder / "health_connect_export.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)
    return file


def archive(file: Path) -> Path:
    path = file.with_suffix(".zip")
    with ZipFile(path, "w") as zipped:
        zipped.write(file, file.name)
        zipped.writestr("readme.txt", "an export")
    return path


def test_readings_weights_and_steps_come_with_what_is_known_of_them(
    tmp_path: Path,
) -> None:
    with open_health_connect(archive(database(tmp_path)), NAMES) as opened:
        assert opened.count() == 4
        rows = list(read_rows(opened))
    series = ("heart_rate_record_series_table", "beats_per_minute")
    about = (-18_000, UUID, AT + 5, 2, "Google Pixel Watch 3", "com.example.watch")
    assert rows == [
        ExportedRow(*series, 72, AT, None, *about, number=0),
        ExportedRow(*series, 75, AT + 30_000, None, *about, number=1),
        ExportedRow("steps_record_table", "count", 420, AT, AT + 600_000),
        ExportedRow(
            *("weight_record_table", "weight", 71_300.0, AT, None),
            *(3_600, UUID, AT, 3),
        ),
    ]


def test_a_table_of_which_the_site_knows_nothing_is_not_read(tmp_path: Path) -> None:
    names = {"steps_record_table/count", "steps_record_table/stride", "steps"}
    with open_health_connect(database(tmp_path), names) as opened:
        assert opened.count() == 1
        assert [row.value for row in read_rows(opened)] == [420]


GLUCOSE = f"""
CREATE TABLE blood_glucose_record_table
  ({RECORD}, time INTEGER, zone_offset INTEGER, level REAL, specimen_source INTEGER);
INSERT INTO blood_glucose_record_table
  VALUES (1, x'{UUID.hex()}', {AT}, 1, 1, 2, {AT}, 3600, 5.5, 1);
"""


def test_glucose_comes_with_what_it_was_measured_in(tmp_path: Path) -> None:
    with open_health_connect(database(tmp_path, GLUCOSE), NAMES) as opened:
        (row,) = read_rows(opened)

    assert (row.column, row.value, row.kind) == ("level", 5.5, 1)


TEMPERATURE = f"""
CREATE TABLE body_temperature_record_table ({RECORD}, time INTEGER,
  zone_offset INTEGER, temperature REAL, measurement_location INTEGER);
INSERT INTO body_temperature_record_table
  VALUES (1, x'{UUID.hex()}', {AT}, 1, 1, 2, {AT}, 3600, 29.5, 7);
"""


def test_a_temperature_comes_with_where_it_was_measured(tmp_path: Path) -> None:
    names = {"body_temperature_record_table/temperature"}
    with open_health_connect(database(tmp_path, TEMPERATURE), names) as opened:
        (row,) = read_rows(opened)

    assert (row.column, row.value, row.kind) == ("temperature", 29.5, 7)


def test_the_database_alone_is_an_export(tmp_path: Path) -> None:
    with open_health_connect(database(tmp_path), NAMES) as opened:
        assert opened.count() == 4


def test_an_export_is_not_changed_by_being_read(tmp_path: Path) -> None:
    file = database(tmp_path)
    before = file.read_bytes()
    with open_health_connect(file, NAMES) as opened:
        list(read_rows(opened))
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            opened.connection.execute("DELETE FROM weight_record_table")
    assert file.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [file.name]


def test_a_view_in_place_of_a_table_runs_nothing(tmp_path: Path) -> None:
    trap = (
        "CREATE TABLE x (time INTEGER); INSERT INTO x VALUES (1);"
        "CREATE VIEW weight_record_table AS"
        " SELECT time, load_extension('/tmp/evil') AS weight FROM x;"
    )
    with pytest.raises(BrokenDatabase, match="unsafe use of load_extension"):
        with open_health_connect(database(tmp_path, trap), NAMES):
            pass


def test_a_database_of_something_else_says_so(tmp_path: Path) -> None:
    file = database(tmp_path, "CREATE TABLE notes (text TEXT)")
    with pytest.raises(BrokenDatabase, match="no records of Health Connect"):
        with open_health_connect(file, NAMES):
            pass


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "export.db"
    path.write_text("not a database")
    with pytest.raises(BrokenDatabase, match="no database of SQLite"):
        with open_health_connect(path, NAMES):
            pass


def test_an_archive_without_a_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with ZipFile(path, "w") as zipped:
        zipped.writestr("export.db", "not a database")
    with pytest.raises(BrokenDatabase, match="0 databases"):
        with open_health_connect(path, NAMES):
            pass


def test_an_archive_whose_compression_is_damaged_says_so(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as zipped:
        zipped.write(database(tmp_path), "export.db")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"export.db") + len("export.db")] = 0xFF
    path.write_bytes(raw)
    with pytest.raises(BrokenDatabase, match="the archive cannot be read"):
        with open_health_connect(path, NAMES):
            pass


def test_a_damaged_database_says_so_after_what_could_be_read(tmp_path: Path) -> None:
    file = database(tmp_path)
    raw = bytearray(file.read_bytes())
    raw[8192:] = b"\xff" * (len(raw) - 8192)
    file.write_bytes(raw)
    with pytest.raises(BrokenDatabase, match="cannot be read"):
        with open_health_connect(file, NAMES) as opened:
            list(read_rows(opened))
