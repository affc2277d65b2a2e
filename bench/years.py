"""``python -m bench years``: what a call reads, beside much that there was before.

Ten alerts, cards and lines of one patient that are new; beside them first none and then
very many, that are older than any rule looks back, or as new as the ten.
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

from cds_service.rulebook.engine import Lookback
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
    " rule, version, dedup_key, indicator, shown_at) {count} SELECT 'u' || i, i,"
    " 'default', 'ehr', 'review', '-', 'p1', 'a', '1.0.0', 'k', 'info',"
    f" {AT} FROM n",
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
