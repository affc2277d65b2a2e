"""``cds-service import``: what becomes of the export of a phone."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

from ...waiting import until

RULES = Path(__file__).parents[3] / "rules"
P1 = PatientKey("default", "-", "p1")
SINCE, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
BEGIN = datetime(2026, 11, 1, 8, 0)


@pytest.fixture
def url(database_url: str) -> str:
    """Of the database of a server, on either kind."""
    return database_url


def record(type: str, unit: str, value: float, minute: int = 0) -> str:
    at = f"{BEGIN + timedelta(minutes=minute):%Y-%m-%d %H:%M:%S} -0500"
    return (
        f'<Record type="HKQuantityTypeIdentifier{type}" sourceName="Watch"'
        f' unit="{unit}" startDate="{at}" endDate="{at}" value="{value}"/>\n'
    )


def beats(number: int) -> str:
    return "".join(record("HeartRate", "count/min", 72, each) for each in range(number))


SYSTOLIC = record("BloodPressureSystolic", "mmHg", 131)
MALFORMED = "<?xml version='1.0'?><!DOCTYPE HealthData [<!ELEMENT HealthData ]>"
CDA = "<ClinicalDocument xmlns='urn:hl7-org:v3'/>"


def export(folder: Path, inside: str) -> Path:
    """A ZIP as a phone set to Chinese shares it."""
    path = folder / "导出.zip"
    text = f"{MALFORMED}<HealthData>{inside}</HealthData>"
    with ZipFile(path, "w") as archive:
        archive.writestr("apple_health_export/导出.xml", text)
        archive.writestr("apple_health_export/export_cda.xml", CDA)
        archive.writestr("__MACOSX/apple_health_export/._导出.xml", text)
    return path


def words(url: str, file: Path, format: str = "apple-health") -> list[str]:
    told = ["import", format, str(file), "--patient", "p1", "--database", url]
    return [*told, "--rules", str(RULES), "--assumed", "--json"]


def run(url: str, file: Path, *more: str, format: str = "apple-health") -> Result:
    return CliRunner().invoke(main, [*words(url, file, format), *more])


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def values(url: str, metric: str) -> list[float]:
    store = Store.open(url)
    found = store.samples.of(P1, metric, SINCE, UNTIL)
    store.close()
    return [each.sample.value for each in found]


def test_an_export_is_taken_in_and_once_more_brings_nothing(
    url: str, tmp_path: Path
) -> None:
    file = export(tmp_path, beats(60))
    assert told(run(url, file)) == {"accepted": 60, "left_out": {}}
    assert told(run(url, file)) == {"accepted": 0, "duplicate": 60, "left_out": {}}
    assert values(url, "heart-rate") == [72.0] * 60


def test_a_blood_pressure_of_a_correlation_and_of_its_own_is_one(
    url: str, tmp_path: Path
) -> None:
    inside = f'<Correlation type="BloodPressure">{SYSTOLIC}</Correlation>{SYSTOLIC}'
    answer = told(run(url, export(tmp_path, inside)))
    assert answer == {"accepted": 1, "left_out": {"other-kind": 1}}
    assert values(url, "systolic-blood-pressure") == [131.0]


def test_a_heart_event_becomes_an_alert_with_its_limit(
    url: str, tmp_path: Path
) -> None:
    at = 'startDate="2026-11-01 08:00:00 -0500" endDate="2026-11-01 08:10:00 -0500"'
    event = (
        '<Record type="HKCategoryTypeIdentifierLowHeartRateEvent" sourceName="Watch"'
        f' {at}><MetadataEntry key="HKHeartRateEventThreshold" value="40 count/min"/>'
        "</Record>"
    )
    assert told(run(url, export(tmp_path, event)))["accepted"] == 1
    store = Store.open(url)
    (alert,) = store.wearable_alerts(P1, SINCE).alerts
    store.close()
    assert (alert.type, alert.threshold) == ("low-heart-rate", 40.0)


def test_an_export_that_breaks_off_keeps_what_stood_before(
    url: str, tmp_path: Path
) -> None:
    file = tmp_path / "export.xml"
    file.write_text(f"<HealthData>{beats(12_000)}<Record type=")
    result = run(url, file)
    assert result.exit_code == 1
    assert "line 12001 after the root" in result.stderr
    assert json.loads(result.stdout)["accepted"] == 10_000


def test_what_is_no_export_says_so_and_stores_nothing(url: str, tmp_path: Path) -> None:
    file = tmp_path / "export.xml"
    file.write_text(CDA)
    result = run(url, file)
    assert (result.exit_code, "no file in it is an export" in result.stderr) == (
        1,
        True,
    )
    assert json.loads(result.stdout) == {"accepted": 0, "left_out": {}}


def test_without_a_consent_nothing_is_taken_in(url: str, tmp_path: Path) -> None:
    answer = told(run(url, export(tmp_path, beats(3)), "--required"))
    assert answer == {"accepted": 0, "left_out": {"consent": 3}}
    assert values(url, "heart-rate") == []


def test_killed_in_the_middle_and_begun_anew_nothing_is_lost_or_twice(
    url: str,
    tmp_path: Path,
    writers: tuple[Callable[[str, int], bool], Callable[[], None]],
) -> None:
    hold, let_go = writers
    file = export(tmp_path, beats(15_000))
    command = [sys.executable, "-m", "cds_service.cli", *words(url, file)]

    def kept_of_a_killed_import() -> int:
        """None is, where it was through before this test came to hold it up."""
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            until(lambda: hold("samples", 1) or process.poll() is not None)
            process.kill()
        let_go()
        kept = len(values(url, "heart-rate"))
        if kept == 15_000:
            erase(url)
        return kept % 15_000

    kept = until(kept_of_a_killed_import)
    assert kept % 5000 == 0
    answer = told(run(url, file))
    assert answer == {"accepted": 15_000 - kept, "left_out": {}, "passed_over": kept}
    assert values(url, "heart-rate") == [72.0] * 15_000


def erase(url: str) -> None:
    """Have nothing be kept of the patient."""
    erasing = ["patient", "erase", "--patient", "p1", "--database", url, "--yes"]
    assert CliRunner().invoke(main, erasing).exit_code == 0


def break_off(url: str, file: Path) -> None:
    """Take in 10,000 of 12,000 records, and fail at the end."""
    file.write_text(f"<HealthData>{beats(12_000)}<Record type=")
    assert run(url, file).exit_code == 1


def test_what_was_read_before_an_import_broke_off_is_passed_over_and_said(
    url: str, tmp_path: Path
) -> None:
    file = tmp_path / "export.xml"
    break_off(url, file)

    again = CliRunner().invoke(main, words(url, file)[:-1])

    assert "10,000 entries of it were read before" in again.stderr
    assert "--again" in again.stderr
    assert again.stdout == "0 accepted\n"


def test_again_reads_from_the_beginning(url: str, tmp_path: Path) -> None:
    file = tmp_path / "export.xml"
    break_off(url, file)

    answer = json.loads(run(url, file, "--again").stdout)

    assert answer == {"accepted": 0, "duplicate": 10_000, "left_out": {}}


def test_another_file_of_the_same_patient_is_read_from_the_beginning(
    url: str, tmp_path: Path
) -> None:
    break_off(url, tmp_path / "export.xml")

    answer = told(run(url, export(tmp_path, beats(12_000))))

    assert answer == {"accepted": 2_000, "duplicate": 10_000, "left_out": {}}


def test_the_same_file_of_another_patient_is_read_from_the_beginning(
    url: str, tmp_path: Path
) -> None:
    file = tmp_path / "export.xml"
    break_off(url, file)

    answer = json.loads(run(url, file, "--patient", "p2").stdout)

    assert answer == {"accepted": 10_000, "left_out": {}}


def test_a_consent_since_then_has_it_read_from_the_beginning(
    url: str, tmp_path: Path
) -> None:
    file = tmp_path / "export.xml"
    file.write_text(f"<HealthData>{beats(12_000)}<Record type=")
    refused = json.loads(run(url, file, "--required").stdout)
    assert refused["left_out"] == {"consent": 10_000}

    answer = json.loads(run(url, file).stdout)

    assert answer == {"accepted": 10_000, "left_out": {}}


def test_who_is_erased_has_nothing_passed_over(url: str, tmp_path: Path) -> None:
    file = tmp_path / "export.xml"
    break_off(url, file)
    erase(url)

    answer = json.loads(run(url, file).stdout)

    assert answer == {"accepted": 10_000, "left_out": {}}


def test_the_trail_tells_of_the_whole_import_and_of_each_batch(
    url: str, tmp_path: Path
) -> None:
    told(run(url, export(tmp_path, beats(5_001))))

    store = Store.open(url)
    entries = [each for each in store.audit_entries() if each.kind != "detection"]
    rows = [json.loads(each.detail) for each in entries]
    store.close()
    assert [(each["key"], each.get("outcomes")) for each in rows] == [
        ("items 1 to 5000", {"accepted": 5000}),
        ("items 5001 to 5001", {"accepted": 1}),
        ("whole", None),
    ]
    assert rows[-1]["import"] == {
        "items": 5001,
        "passed_over": 0,
        "outcomes": {"accepted": 5001},
        "left_out": {},
    }


def test_an_export_of_android_is_taken_in(url: str, tmp_path: Path) -> None:
    file = tmp_path / "health_connect_export.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("""
            CREATE TABLE weight_record_table (time INTEGER, weight REAL);
            INSERT INTO weight_record_table VALUES (1795352700000, 71300.0);
            """)
    assert told(run(url, file, format="health-connect"))["accepted"] == 1
    assert values(url, "body-weight") == [71.3]


@pytest.mark.parametrize("id", ["", "a b", "p/1"])
def test_a_patient_without_an_id_of_fhir_is_refused(
    id: str, url: str, tmp_path: Path
) -> None:
    file = export(tmp_path, beats(1))
    assert run(url, file, "--patient", id).exit_code == 2
