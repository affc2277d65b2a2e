"""Reads of a call cost the same, however much of the patient there has ever been.

What is counted is not time but work: instructions of SQLite's machine, or the rows that
each step of PostgreSQL's plan looks at.
"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.dialects import sqlite

from cds_service.rulebook.engine.alerting import Lookback
from cds_service.store.database import Prepared
from cds_service.store.detection.reading import ALERTS_READ
from cds_service.store.displays import MOST, as_asked
from cds_service.store.rows import key_digest
from cds_service.store.statements import (
    ALERTS_ASKED,
    ALERTS_SINCE,
    LASTING_ALERTS,
    TIMES_ASKED,
)
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
SINCE = NOW - timedelta(days=30)
PATIENT = PatientKey("default", "-", "p1")
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
FEW, MANY = 10, 20_000
Rows = Callable[[str], list[dict[str, Any]]]

ALERTS = (
    "INSERT INTO wearable_alerts (tenant, fhir_base, patient_id, source, id, rev, type,"
    ' metric, unit, stat, start, "end", start_utc, end_utc, opened, status, origin,'
    " device, local) {count} SELECT 'default', '-', 'p1', 'watch', '{name}-' || i, 0,"
    " 'irregular-rhythm', '', '', '', '2026-11-01T00:00:00+00:00',"
    " '2026-11-01T00:00:00+00:00', {end} - i, {end} - i, '2026-11-01T00:00:00Z',"
    " '{status}', 'vendor', '', false FROM n"
)
CALLS = (
    "INSERT INTO calls (id, at, tenant, client, service, hook, hook_instance,"
    " fhir_base, patient_id, rulebook, sources, evaluations, deviations) {count}"
    " SELECT {first} + i, '{at}', 'default', 'ehr', 'review', 'patient-view', 'h',"
    " '-', 'p1', 'd', '[]', '[]', '[]' FROM n"
)
CARDS = (
    "INSERT INTO cards (uuid, call_id, tenant, client, service, fhir_base, patient_id,"
    " rule, version, dedup_key, key_digest, indicator, shown_at) {count} SELECT"
    " 'u' || ({first} + i), {first} + i, 'default', 'ehr', 'review', '-', 'p1',"
    " 'a', '1.0.0', '{key}', {digest}, '{indicator}', '{at}' FROM n"
)
LINES = (
    "INSERT INTO suppressions (call_id, rule, version, card_index, dedup_key, why,"
    " detail, indicator, told_under) {count} SELECT {first} + i, 'b', '1.0.0', 0,"
    " 'line', 'grouped', '', 'info', 'a' FROM n"
)


@pytest.fixture
def fill(rows: Rows, kind: str) -> Callable[..., None]:
    """Puts so many rows of the patient there, and has the database look at them."""

    def put(insert: str, count: int, **values: Any) -> None:
        digest = key_digest(PATIENT, values.get("key", ""))
        rows(insert.format(count=COUNT.format(count), digest=digest, **values))
        rows("ANALYZE")

    return put


@pytest.fixture
def work(url: str, kind: str, file: Path) -> Callable[[Prepared, Any], int]:
    """How much the database does for a question."""

    def on_sqlite(asked: Prepared, values: Any) -> int:
        form = asked._form(sqlite.dialect())
        with sqlite3.connect(file) as connection:
            steps = 0

            def step() -> int:
                nonlocal steps
                steps += 1
                return 0

            connection.set_progress_handler(step, 10)
            connection.execute(form.sql, form.values(values)).fetchall()
            return steps

    def on_postgresql(asked: Prepared, values: Any) -> int:
        engine = create_engine(url, paramstyle="format")
        form = asked._form(engine.dialect)
        with engine.connect() as connection:
            # With so few rows it would rather read all than look each one up.
            for way in ("seqscan", "hashjoin", "mergejoin"):
                connection.exec_driver_sql(f"SET enable_{way} = off")
            told = [sql.Literal(each).as_string() for each in form.values(values)]
            asks = form.sql
            for number in range(len(told)):
                asks = asks.replace("%s", f"${number + 1}", 1)
            connection.exec_driver_sql(f"PREPARE asked AS {asks}")
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({','.join(told)})"
            looked_at = []
            # A statement that is prepared may be planned without its values.
            for mode in ("custom", "generic"):
                connection.exec_driver_sql(f"SET plan_cache_mode = force_{mode}_plan")
                ((plan,),) = connection.exec_driver_sql(explain)
                looked_at.append(_looked_at(plan[0]["Plan"]))
        engine.dispose()
        return max(looked_at)

    return {"sqlite": on_sqlite, "postgresql": on_postgresql}[kind]


def _looked_at(plan: dict[str, Any]) -> int:
    rows = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return round(rows * plan["Actual Loops"]) + sum(
        _looked_at(each) for each in plan.get("Plans", ())
    )


def alerts_since() -> dict[str, Any]:
    return {**PATIENT._asdict(), "since": SINCE.timestamp(), "most": ALERTS_READ + 1}


@pytest.mark.parametrize(
    ("status", "days"),
    [("closed", 40), ("retracted", 40), ("retracted", 1), ("closed", 1)],
)
def test_old_and_retracted_alerts_cost_nothing_and_of_many_only_the_newest(
    store: Store, fill: Any, work: Any, status: str, days: int
) -> None:
    end = (NOW - timedelta(days=days)).timestamp()
    few = ALERTS_READ + 1 if (status, days) == ("closed", 1) else FEW
    fill(ALERTS, few, name="first", end=end, status=status)
    before = work(ALERTS_SINCE, alerts_since())

    fill(ALERTS, MANY, name="more", end=end, status=status)

    assert work(ALERTS_SINCE, alerts_since()) <= before * 1.5 + 50


@pytest.mark.parametrize(("status", "days"), [("closed", 40), ("retracted", 1)])
def test_old_alerts_cost_nothing_where_each_type_is_asked_for_its_own_time(
    store: Store, fill: Any, work: Any, status: str, days: int
) -> None:
    end = (NOW - timedelta(days=days)).timestamp()
    fill(ALERTS, FEW, name="first", end=end, status=status)
    asked = alerts_since() | {"types": " irregular-rhythm fast "}
    for slot in range(TIMES_ASKED):
        asked |= {f"since{slot}": SINCE.timestamp(), f"types{slot}": asked["types"]}
    before = work(ALERTS_ASKED, asked)

    fill(ALERTS, MANY, name="more", end=end, status=status)

    assert work(ALERTS_ASKED, asked) <= before * 1.5 + 50


def test_closed_alerts_cost_nothing_where_only_open_ones_are_asked_for(
    store: Store, fill: Any, work: Any
) -> None:
    end = NOW.timestamp()
    fill(ALERTS, FEW, name="first", end=end, status="closed")
    before = work(LASTING_ALERTS, PATIENT._asdict())

    fill(ALERTS, MANY, name="more", end=end, status="closed")

    assert work(LASTING_ALERTS, PATIENT._asdict()) <= before + 50


@pytest.mark.parametrize("days", [40, 1])
@pytest.mark.parametrize(
    "lookback",
    [
        Lookback(frozenset({"k"}), SINCE),
        Lookback(frozenset(), SINCE, info_since=NOW - timedelta(days=2)),
        Lookback(frozenset(), SINCE, heard_since=NOW - timedelta(days=2)),
    ],
)
def test_old_displays_cost_nothing_and_of_many_only_the_newest(
    store: Store, fill: Any, work: Any, lookback: Lookback, days: int
) -> None:
    at = f"{NOW - timedelta(days=days):%Y-%m-%dT%H:%M:%S.%fZ}"
    told = {"at": at, "key": "k", "indicator": "info"}
    few, bound = (FEW, 50) if days == 40 else (MOST, 4 * MOST)
    for each in (CALLS, CARDS, LINES):
        fill(each, few, first=0, **told)
    before = work(*as_asked(PATIENT, lookback, None))

    for each in (CALLS, CARDS, LINES):
        fill(each, MANY, first=few, **told)

    assert work(*as_asked(PATIENT, lookback, None)) <= before * 1.5 + bound


def test_lines_on_the_cards_of_other_patients_cost_nothing(
    store: Store, fill: Any, work: Any, rows: Rows
) -> None:
    told = {"at": f"{NOW:%Y-%m-%dT%H:%M:%S.%fZ}", "key": "k", "indicator": "info"}
    asked = as_asked(PATIENT, Lookback(frozenset({"line"}), SINCE), None)
    fill(CALLS, MANY, first=0, **told)
    fill(CARDS, MANY, first=0, **told)
    rows("UPDATE calls SET patient_id = 'other'")
    rows("UPDATE cards SET patient_id = 'other'")
    before = work(*asked)

    fill(LINES, MANY, first=0)

    assert work(*asked) <= before + 50
