"""``python -m bench years``: what a call reads, beside much that there was before.

Ten alerts, cards and lines of one patient that are new; beside them none, and then very
many that are older than any rule looks back, or as new as the ten. Then what calls take
up, with twelve evaluations and two cards each, of patients who come four times.
"""

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from cds_service.audit import build_call_event
from cds_service.rulebook.engine import Lookback
from cds_service.store.records import (
    CallRecord,
    CardRecord,
    EvaluationRecord,
    SourceRecord,
)
from cds_service.store.rows import key_digest
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
SINCE = NOW - timedelta(days=30)
PATIENT = PatientKey("default", "-", "p1")
LOOKBACK = Lookback(frozenset({"k"}), SINCE, SINCE, SINCE)
FEW = 10
"""Alerts, cards and lines of the patient, each, that are new."""
ROWS = tuple(map(int, os.environ.get("BENCH_ROWS", "1000,1000000").split(",")))
"""Beside these."""
CALLS = int(os.environ.get("BENCH_CALLS", "20000"))
READS = 200
COUNT = "WITH RECURSIVE n(i) AS (SELECT {} UNION ALL SELECT i + 1 FROM n WHERE i < {})"
AT = "strftime('%Y-%m-%dT%H:%M:%S.000000Z', {end} - i, 'unixepoch')"
FILLING = (
    "INSERT INTO wearable_alerts (tenant, fhir_base, patient_id, source, id, rev, type,"
    ' metric, unit, stat, start, "end", start_utc, end_utc, opened, status, origin,'
    " device, local) {count} SELECT 'default', '-', 'p1', 'watch', i, 0,"
    " 'irregular-rhythm', '', '', '', '2026-11-01T00:00:00+00:00',"
    " '2026-11-01T00:00:00+00:00', {end} - i, {end} - i,"
    " '2026-11-01T00:00:00Z', 'closed', 'vendor', '', 0 FROM n",
    "INSERT INTO calls (id, at, tenant, client, service, hook, hook_instance,"
    " fhir_base, patient_id, rulebook, sources, evaluations, deviations) {count}"
    f" SELECT i, {AT}, 'default', 'ehr', 'review', 'patient-view', 'h', '-', 'p1',"
    " 'd', '[]', '[]', '[]' FROM n",
    "INSERT INTO cards (uuid, call_id, tenant, client, service, fhir_base, patient_id,"
    " rule, version, dedup_key, key_digest, indicator, shown_at) {count} SELECT"
    " 'u' || i, i, 'default', 'ehr', 'review', '-', 'p1', 'a', '1.0.0', 'k',"
    f" {key_digest(PATIENT, 'k')}, 'info', {AT} FROM n",
    "INSERT INTO suppressions (call_id, rule, version, card_index, dedup_key, why,"
    " detail, indicator, told_under) {count} SELECT i, 'b', '1.0.0', 0, 'line',"
    " 'grouped', '', 'info', 'a' FROM n",
)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="cds-bench-") as name:
        measure_reads(Path(name), "old", NOW - timedelta(days=40))
        print()
        measure_reads(Path(name), "in the window", NOW)
        print()
        measure_calls(Path(name))


def measure_reads(folder: Path, what: str, newest: datetime) -> None:
    """Print how long each read takes beside more and more rows of the patient."""
    file = folder / f"{what}.sqlite"
    store = Store.open(f"sqlite:///{file}")
    store.migrate()
    reads: dict[str, Callable[[], object]] = {
        "alerts": lambda: store.wearable_alerts(PATIENT, SINCE),
        "alerts that last": lambda: store.consents.lasting_alerts(PATIENT),
        "displays": lambda: store.displays(PATIENT, LOOKBACK),
    }
    print(f"{'rows that are ' + what:<28}" + "".join(f"{each:>20}" for each in reads))
    fill(file, 1, FEW, NOW)
    there, first = FEW, []
    for rows in (0, *ROWS):
        if rows:
            fill(file, there + 1, FEW + rows, newest)
            there = FEW + rows
        took = [median_of(read) for read in reads.values()]
        first = first or took
        told = (f"{ms:>11.2f} ms {ms / least:4.1f}x" for ms, least in zip(took, first))
        print(f"{rows:<28,}" + "".join(told))
    store.close()


def fill(file: Path, low: int, high: int, newest: datetime) -> None:
    """Put alerts, cards and lines of the patient there, the newest at a time."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for sql in FILLING:
            end = newest.timestamp()
            connection.execute(sql.format(count=COUNT.format(low, high), end=end))


def median_of(read: Callable[[], object]) -> float:
    """Milliseconds of one read."""
    took = []
    for _ in range(READS):
        begun = time.perf_counter()
        read()
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def measure_calls(folder: Path) -> None:
    """Print how many bytes a million calls take up, by table and index."""
    file = folder / "calls.sqlite"
    store = Store.open(f"sqlite:///{file}")
    store.migrate()
    empty = file.stat().st_size
    for number in range(CALLS):
        call = build_call(number)
        store.record_call(call, build_call_event(call))
    store.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes = connection.execute(SIZES).fetchall()
    whole = file.stat().st_size - empty
    print(f"{CALLS:,} calls: {whole / CALLS / 1024:.2f} KiB a call, ", end="")
    print(f"{whole / CALLS * 1e6 / 2**30:.2f} GiB a million")
    for name, size in sizes[:8]:
        print(f"  {name:<28}{size / CALLS:>8.0f} bytes a call")


SIZES = "SELECT name, sum(pgsize) AS size FROM dbstat GROUP BY name ORDER BY size DESC"


def build_call(number: int) -> CallRecord:
    """A call as an EHR makes it, with identifiers as long as theirs."""
    patient = PatientKey("default", "-", f"{number // 4:036}")
    at = NOW + timedelta(seconds=number)
    evaluations = tuple(
        EvaluationRecord(
            f"cardiology-rule-number-{rule}",
            "1.2.0",
            "unknown" if rule % 3 else "fires",
            ("systolic not_recorded",) if rule % 3 else (),
        )
        for rule in range(12)
    )
    cards = tuple(
        CardRecord(
            str(uuid4()),
            f"cardiology-rule-number-{rule}",
            "1.2.0",
            f'{{"patient":"{patient.patient_id}","rule":"rule-number-{rule}"}}',
            "warning",
            at,
            ("Observation/heart-rate-1", "Observation/heart-rate-2"),
        )
        for rule in (0, 3)
    )
    sources = ("patient", "conditions", "medication_requests", "observations")
    return CallRecord(
        at=at,
        client="main-ehr",
        service="wearable-review",
        hook="patient-view",
        hook_instance=str(uuid4()),
        patient=patient,
        rulebook="f19e18e1a0bfb9606c7276aa203fce44cf16f367a96f1fb3ca4fd7ac4f1db8d7",
        user="Practitioner/1234567",
        encounter=f"Encounter/{number:036}",
        sources=tuple(
            SourceRecord(each, "loaded", "prefetch", count=3) for each in sources
        ),
        evaluations=evaluations,
        cards=cards,
    )
