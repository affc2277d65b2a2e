"""``cds-service export``: readings and days taken out, as FHIR and as tables."""

import csv
import io
import json
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.exports.disclosed import (
    CSV,
    NDJSON,
    Take,
    Taken,
    TakenPosition,
    Taker,
    take_days,
    take_into,
    take_readings,
)
from cds_service.exports.journal import ExportFiles, Subject
from cds_service.fhir.models import check_resource
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.store.upkeep.disclosures import Extent
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, ConsentGate, stamp_of
from cds_service.wearables.outputs.naming import Naming
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Flag, Sample, Stat

from ...shipped import rulebook

RULES = ("--rules", str(Path(__file__).parents[3] / "rules"))
NOON = datetime(2025, 11, 22, 17, tzinfo=UTC)
SINCE = ("--since", "2025-11-20")
UNTIL = ("--until", "2025-12-01")
P1, P2 = (PatientKey("default", "-", id) for id in ("p1", "p2"))
Run = Callable[..., Result]


@pytest.fixture
def kind() -> str:
    """What differs between the databases is tested with the store."""
    return "sqlite"


@pytest.fixture
def run(database_url: str) -> Run:
    """A command of ours on the database, for patients who agree."""

    def run(*words: str, code: int = 0) -> Result:
        asked = [*words, *RULES, "--assumed", "--database", database_url]
        result = CliRunner().invoke(main, asked)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def store(database_url: str, run: Run) -> Iterator[Store]:
    """A heart rate every minute of two patients, steps of a day of one, judged."""
    beats = [
        Sample("heart-rate", 60.0 + n, "/min", at, at, device=Device("w", "=Watch"))
        for n in range(5)
        for at in [NOON + n * timedelta(minutes=1)]
    ]
    midnight = NOON - timedelta(hours=12)
    steps = Sample(
        *("steps", 6120.0, "{steps}", midnight, midnight + timedelta(days=1)),
        device=Device("w", "=Watch"),
        stat=Stat.TOTAL,
        flags=Flag.DAY_TOTAL,
    )
    low = Sample("sensor-glucose", 40.0, "mg/dL", NOON, NOON, flags=Flag.BELOW)
    opened = Store.open(database_url)
    for patient, told in ((P1, [*beats, steps, low]), (P2, beats)):
        batch = SampleBatch(StreamOwner(patient, "vendor"), told)
        event = AuditEvent(NOON, "delivery", "default", "vendor")
        opened.take_in(Intake(samples=(batch,)), event, NOON)
    run("detect", "--all")
    yield opened
    opened.close()


def deny(store: Store, patient: PatientKey, **provision: Any) -> None:
    """Have a patient permit to collect and to use, and not to disclose."""
    actions = "http://terminology.hl7.org/CodeSystem/consentaction"
    coding = [{"system": actions, "code": each} for each in ("collect", "use")]
    resource = {
        "resourceType": "Consent",
        "status": "active",
        "provision": {"type": "permit", "action": [{"coding": coding}], **provision},
    }
    record = ConsentRecord(patient, "c1", NOON, "FHIR server", resource)
    change = ConsentChange(patient, stamp_of(()), (record,))
    event = AuditEvent(NOON, "consent", "default", "ehr", patient)
    store.consents.record([change], event)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(each) for each in result.stdout.splitlines()]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_readings_are_taken_out_as_observations_of_both_patients(
    run: Run, store: Store
) -> None:
    found = lines(run("export", "observations", *SINCE, *UNTIL))

    assert len(found) == len({each["id"] for each in found}) == 12
    assert [check_resource(each) for each in found] == [[]] * 12
    assert {each["subject"]["reference"] for each in found} == {
        "Patient/p1",
        "Patient/p2",
    }
    (low,) = (it for it in found if it["valueQuantity"].get("comparator"))
    assert low["valueQuantity"]["comparator"] == "<"


def test_only_what_begins_in_the_time_is_taken_out(run: Run, store: Store) -> None:
    begin, end = (NOON + timedelta(minutes=n) for n in (1, 3))
    asked = ("--since", begin.isoformat(), "--until", end.isoformat())
    found = lines(run("export", "observations", "--patient", "p2", *asked))

    assert [each["valueQuantity"]["value"] for each in found] == [61, 62]


def test_a_table_of_readings_holds_no_formula(run: Run, store: Store) -> None:
    asked = ("--format", "csv", "--patient", "p1")
    found = rows(run("export", "observations", *asked, *SINCE, *UNTIL).stdout)

    assert len(found) == 7
    (steps,) = (each for each in found if each["metric"] == "steps")
    assert steps == {
        "patient": "p1",
        "metric": "steps",
        "value": "6120.0",
        "comparator": "",
        "unit": "{steps}",
        "statistic": "total",
        "start": "2025-11-22T05:00:00+00:00",
        "end": "2025-11-23T05:00:00+00:00",
        "local": "false",
        "context": "",
        "flags": "day-total",
        "source": "vendor",
        "device": "'=Watch",
        "received": "2025-11-22T17:00:00+00:00",
    }


def test_days_are_taken_out_as_an_ehr_is_told_of_them(run: Run, store: Store) -> None:
    found = lines(run("export", "summaries", "--patient", "p1", *SINCE, *UNTIL))

    told = {
        each["code"]["text"]: each.get("valueQuantity", {}).get("value")
        for each in found
    }
    assert told["Steps of the day"] == 6120
    assert told["Highest heart rate of the day"] == 64
    assert [check_resource(each) for each in found] == [[]] * len(found)


def test_a_table_of_days_tells_all_that_is_kept_of_them(run: Run, store: Store) -> None:
    asked = ("--format", "csv", "--patient", "p2")
    found = rows(run("export", "summaries", *asked, *SINCE, *UNTIL).stdout)

    assert {(each["metric"], each["part"]) for each in found} == {("heart-rate", "day")}
    assert (found[0]["min"], found[0]["max"]) == ("60.0", "64.0")
    assert found[0]["zone"] == "America/New_York"


def test_what_a_patient_does_not_permit_to_disclose_is_withheld_and_counted(
    run: Run, store: Store
) -> None:
    deny(store, P1)
    result = run("export", "observations", *SINCE, *UNTIL)
    days = run("export", "summaries", *SINCE, *UNTIL)

    for each in (result, days):
        assert "Patient/p1" not in each.stdout and "Patient/p2" in each.stdout
    assert "5 readings of 1 patients; 7 withheld" in result.stderr
    assert "withheld, which patients do not permit to disclose" in days.stderr


def test_who_took_out_what_of_whom_is_in_the_trail(run: Run, store: Store) -> None:
    deny(store, P1)
    run("export", "observations", *SINCE, *UNTIL, "--by", "ana")

    trail = [
        (each.client, each.patient_id, json.loads(each.detail))
        for each in store.audit_entries()
        if each.kind == "disclosure"
    ]
    told = {
        "export": "observations",
        "form": "ndjson",
        "since": "2025-11-20T00:00:00+00:00",
        "until": "2025-12-01T00:00:00+00:00",
    }
    assert trail == [
        ("operator:ana", "p2", told),
        ("operator:ana", "", told | {"patients": 1, "given": 5, "withheld": 7}),
    ]


def test_a_file_appears_whole_and_is_its_owners_alone(
    run: Run, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "readings.ndjson"
    result = run("export", "observations", *SINCE, *UNTIL, "--output", str(file))

    assert len(file.read_text("utf-8").splitlines()) == 12
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert result.stdout == ""
    assert [each.name for each in tmp_path.glob("*readings*")] == ["readings.ndjson"]


def test_an_old_file_stays_where_a_new_one_cannot_be_written_whole(
    run: Run, store: Store, tmp_path: Path
) -> None:
    place = tmp_path / "nowhere" / "readings.ndjson"
    result = run("export", "observations", *SINCE, "--output", str(place), code=1)

    assert "No such file or directory" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--until", "2025-11-19"), "until must be later than --since"),
        (("--patient", "p 1"), "--patient must be the id of a FHIR Patient"),
    ],
)
def test_what_cannot_be_meant_is_told(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    result = run("export", "observations", *SINCE, *words, code=2)

    assert said in result.stderr


@pytest.mark.parametrize(("take", "form"), [(take_readings, CSV), (take_days, NDJSON)])
def test_what_was_interrupted_goes_on_and_has_no_row_twice_and_none_too_few(
    store: Store, tmp_path: Path, take: Take, form: str
) -> None:
    gate = ConsentGate(rulebook().catalogue, UTC, assumed=True)
    since, until = (datetime(2025, month, 20, tzinfo=UTC) for month in (11, 12))
    extent = Extent("default", "-", since, until)
    naming = Naming("https://cds.example")
    taker = Taker(store.disclosures, gate, naming, extent, form, "me", until)
    whole = Taken()
    text = "".join(page.text for page in take(taker, whole, lambda so_far: None))

    def interrupt(so_far: Taken) -> None:
        if so_far.patients == 2:
            raise KeyboardInterrupt

    def files() -> ExportFiles[TakenPosition]:
        subject = Subject("default, -", "readings or days", form)
        return ExportFiles(tmp_path / "out", subject, TakenPosition)

    first = files()
    start = first.begin(TakenPosition(until.isoformat()), "header\n")
    with pytest.raises(KeyboardInterrupt):
        take_into(first, taker, take, start, interrupt, every=0.0)
    first.close()
    second = files()
    position = second.go_on()
    taken = take_into(second, taker, take, position)
    second.finish()
    second.close()

    assert position.patients >= 1 and position.after
    assert (tmp_path / "out").read_bytes().decode() == f"header\n{text}"
    assert taken == whole and whole.patients == 2
    assert [each.name for each in tmp_path.glob("out*")] == ["out"]


def test_what_was_not_finished_is_neither_forgotten_nor_gone_on_with_unasked(
    run: Run, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "readings.ndjson"
    (tmp_path / "readings.ndjson.state.json").write_text("{}")
    words = ("export", "observations", *SINCE, *UNTIL, "--output", str(file))

    unasked, broken = run(*words, code=2), run(*words, "--resume", code=2)
    run(*words, "--fresh")

    assert "--resume continues it, --fresh starts over" in unasked.stderr
    assert "cannot be read; --fresh starts over" in broken.stderr
    assert len(file.read_text("utf-8").splitlines()) == 12
    assert [each.name for each in tmp_path.glob("readings*")] == ["readings.ndjson"]
